// Text that came from outside. See text.h.
#include "lib/core/text.h"

#include <stdbool.h>
#include <string.h>

#include <jansson.h>

static bool text_is_utf8(const char *text)
{
    json_t *string = json_string(text);
    json_decref(string);
    return string != NULL;
}

// The bytes of the harmful character that UTF-8 text begins with; 0 when it is harmless: the
// controls of C0, DEL and C1 (U+0080 to 9F), the separators and marks U+2028 to 202E and U+2066 to
// 2069.
static size_t text_harm(const char *text)
{
    unsigned char byte = (unsigned char)text[0], second = (unsigned char)text[1];
    if (byte < 0x20 || byte == 0x7f)
        return 1;
    if (byte == 0xc2)
        return second < 0xa0 ? 2 : 0;
    if (byte != 0xe2)
        return 0;
    unsigned char third = (unsigned char)text[2];
    bool is_mark = (second == 0x80 && third >= 0xa8 && third <= 0xae) ||
                   (second == 0x81 && third >= 0xa6 && third <= 0xa9);
    return is_mark ? 3 : 0;
}

void text_make_plain(char *text)
{
    bool is_utf8 = text_is_utf8(text);
    for (size_t harm; *text != '\0'; text += harm > 0 ? harm : 1) {
        harm = is_utf8 || (unsigned char)*text < 0x80 ? text_harm(text) : 1;
        memset(text, '?', harm);
    }
}
