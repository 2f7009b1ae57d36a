// Takes secrets out of text. See mask.h.
#include "supervisor/mask.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lib/core/buf.h"
#include "lib/core/percent.h"

enum {
    MASK_SECRET_LENGTH_MIN = 4,
};

// How many bytes at `text` stand for `byte`: 1 raw, 3 percent-encoded, 0 for neither.
static size_t mask_match_byte(const char *text, char byte)
{
    if (percent_byte(text, strnlen(text, 3)) == (unsigned char)byte)
        return 3;
    return text[0] == byte ? 1 : 0;
}

// How many bytes at `text` are the secret; 0 when they are not.
static size_t mask_match(const char *text, const char *secret)
{
    size_t length = 0;
    for (; *secret != '\0'; secret++) {
        size_t step = mask_match_byte(text + length, *secret);
        if (step == 0)
            return 0;
        length += step;
    }
    return length;
}

// The length of the user information and its '@' behind a "://", or 0.
static size_t mask_userinfo(const char *text)
{
    // A password may hold a raw '/', '?' or '#' although it should not: all up to the last '@'
    // before a blank or a quote counts.
    size_t length = strcspn(text, " \t'\"<>");
    const char *at = memrchr(text, '@', length);
    return at ? (size_t)(at - text) + 1 : 0;
}

char *mask_text(const char *text, const char *secret)
{
    struct buf out = BUF_INIT;
    bool has_secret = secret != NULL && strlen(secret) >= MASK_SECRET_LENGTH_MIN;
    while (*text != '\0') {
        size_t length = has_secret ? mask_match(text, secret) : 0;
        if (length > 0) {
            buf_put(&out, "***", 3);
            text += length;
        } else if (strncmp(text, "://", 3) == 0) {
            length = mask_userinfo(text + 3);
            buf_printf(&out, "://%s", length > 0 ? "***@" : "");
            text += 3 + length;
        } else {
            buf_put_u8(&out, (uint8_t)*text++);
        }
    }
    return buf_string(&out);
}
