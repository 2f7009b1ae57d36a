// The last lines that a child has said. See logcap.h.
#include "supervisor/logcap.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/text.h"

enum {
    LOGCAP_LINES_MAX = 100,
    LOGCAP_LENGTH_MAX = 500,
    LOGCAP_LOOK_BACK = 8, // lines among which a repetition is looked for
    LOGCAP_CODE_DIGITS = 3,
};

struct logcap_line {
    char *text;
    unsigned repeats;
    unsigned told; // of the repeats
};

struct logcap {
    struct logcap_line lines[LOGCAP_LINES_MAX]; // a ring
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
    text_make_plain(clean);
    return clean;
}

// Whether two lines say the same: all but the values of their numbers is equal.
static bool logcap_is_same(const char *a, const char *b)
{
    while (*a != '\0' && *b != '\0') {
        size_t a_digits = strspn(a, "0123456789"), b_digits = strspn(b, "0123456789");
        bool is_code = a_digits == LOGCAP_CODE_DIGITS && b_digits == LOGCAP_CODE_DIGITS;
        if ((a_digits == 0) != (b_digits == 0) || (a_digits == 0 && *a != *b) ||
            (is_code && strncmp(a, b, a_digits) != 0))
            return false;
        a += a_digits ? a_digits : 1;
        b += b_digits ? b_digits : 1;
    }
    return *a == *b;
}

static struct logcap_line *logcap_at(struct logcap *log, size_t index)
{
    return &log->lines[(log->first + index) % LOGCAP_LINES_MAX];
}

// Makes the line at `index` the newest one.
static void logcap_renew(struct logcap *log, size_t index)
{
    struct logcap_line line = *logcap_at(log, index);
    for (; index + 1 < log->count; index++)
        *logcap_at(log, index) = *logcap_at(log, index + 1);
    *logcap_at(log, index) = line;
}

// Makes the line of which `clean` is a repetition, if there is one, the newest one.
static bool logcap_repeat(struct logcap *log, const char *clean)
{
    for (size_t back = 1; back <= LOGCAP_LOOK_BACK && back <= log->count; back++) {
        if (!logcap_is_same(logcap_at(log, log->count - back)->text, clean))
            continue;
        logcap_renew(log, log->count - back);
        return true;
    }
    return false;
}

// Makes room for one more line.
static struct logcap_line *logcap_append(struct logcap *log)
{
    if (log->count == LOGCAP_LINES_MAX) {
        free(log->lines[log->first].text);
        log->first = (log->first + 1) % LOGCAP_LINES_MAX;
    } else {
        log->count++;
    }
    struct logcap_line *line = logcap_at(log, log->count - 1);
    *line = (struct logcap_line){.told = 1};
    return line;
}

unsigned logcap_add(struct logcap *log, const char *line)
{
    char *clean = logcap_clean(line);
    bool is_repeated = logcap_repeat(log, clean);
    struct logcap_line *newest = is_repeated ? logcap_at(log, log->count - 1) : logcap_append(log);
    free(newest->text);
    newest->text = clean;
    return ++newest->repeats;
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

void logcap_tell_repeats(struct logcap *log, logcap_repeat_fn tell, void *arg)
{
    for (size_t i = 0; i < log->count; i++) {
        struct logcap_line *line = logcap_at(log, i);
        if (line->repeats > line->told)
            tell(arg, line->text, line->repeats - line->told);
        line->told = line->repeats;
    }
}

static const struct handover_field logcap_fields[] = {
    HANDOVER_VALUE(struct logcap_line, text),
    HANDOVER_VALUE(struct logcap_line, repeats),
    HANDOVER_VALUE(struct logcap_line, told),
};
static const struct handover_table logcap_table = HANDOVER_TABLE(struct logcap_line, logcap_fields);

json_t *logcap_hand_over(const struct logcap *log)
{
    json_t *list = json_array();
    for (size_t i = 0; i < log->count; i++)
        json_array_append_new(
            list, handover_write(&logcap_table, &log->lines[(log->first + i) % LOGCAP_LINES_MAX]));
    return list;
}

void logcap_take_over(struct handover_reader *reader, json_t *list, struct logcap *log)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct logcap_line line = {0};
        handover_read(reader, json_array_get(list, i), &logcap_table, &line);
        if (line.text != NULL)
            *logcap_append(log) = line;
        else
            handover_fail(reader, "the state has a line of the log without its text");
    }
}
