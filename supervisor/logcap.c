// The last lines that a child has said. See logcap.h.
#include "supervisor/logcap.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "lib/core/alloc.h"

enum {
    LOGCAP_LINES_MAX = 100,
    LOGCAP_LENGTH_MAX = 500,
};

struct logcap {
    struct {
        char *text;
        unsigned repeats;
    } lines[LOGCAP_LINES_MAX]; // a ring
    size_t first, count;
};

struct logcap *logcap_new(void)
{
    return xcalloc(1, sizeof(struct logcap));
}

void logcap_free(struct logcap *log)
{
    if (log == NULL)
        return;
    for (size_t i = 0; i < LOGCAP_LINES_MAX; i++)
        free(log->lines[i].text);
    free(log);
}

// Replaces control characters, and all that is not ASCII where it is not UTF-8.
static void logcap_make_text(char *line)
{
    json_t *string = json_string(line);
    bool is_utf8 = string != NULL;
    json_decref(string);
    for (; *line != '\0'; line++) {
        unsigned char byte = (unsigned char)*line;
        if (byte < 0x20 || byte == 0x7f || (byte >= 0x80 && !is_utf8))
            *line = '?';
    }
}

// A bounded copy without addresses and blanks at the end.
static char *logcap_clean(const char *line)
{
    char *clean = xmalloc(LOGCAP_LENGTH_MAX + 1);
    size_t length = 0;
    while (*line != '\0' && length < LOGCAP_LENGTH_MAX) {
        if (strncmp(line, " @ 0x", 5) == 0) {
            line += 5;
            while (isxdigit((unsigned char)*line))
                line++;
            continue;
        }
        clean[length++] = *line++;
    }
    // Never end in the middle of a UTF-8 character.
    while (*line != '\0' && length > 0 && ((unsigned char)*line & 0xc0) == 0x80)
        line = clean + --length;
    while (length > 0 && isspace((unsigned char)clean[length - 1]))
        length--;
    clean[length] = '\0';
    logcap_make_text(clean);
    return clean;
}

unsigned logcap_add(struct logcap *log, const char *line)
{
    char *clean = logcap_clean(line);
    size_t last = (log->first + log->count + LOGCAP_LINES_MAX - 1) % LOGCAP_LINES_MAX;
    if (log->count > 0 && strcmp(log->lines[last].text, clean) == 0) {
        free(clean);
        return ++log->lines[last].repeats;
    }
    size_t next = (log->first + log->count) % LOGCAP_LINES_MAX;
    if (log->count == LOGCAP_LINES_MAX) {
        free(log->lines[next].text);
        log->first = (log->first + 1) % LOGCAP_LINES_MAX;
    } else {
        log->count++;
    }
    log->lines[next].text = clean;
    log->lines[next].repeats = 1;
    return 1;
}

size_t logcap_count(const struct logcap *log)
{
    return log->count;
}

const char *logcap_line(const struct logcap *log, size_t index, unsigned *repeats)
{
    size_t place = (log->first + index) % LOGCAP_LINES_MAX;
    *repeats = log->lines[place].repeats;
    return log->lines[place].text;
}

const char *logcap_last(const struct logcap *log)
{
    unsigned repeats;
    return log->count ? logcap_line(log, log->count - 1, &repeats) : NULL;
}
