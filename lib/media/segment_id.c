// A segment's identity and the names made from it. See segment_id.h.
#include "lib/media/segment_id.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/core/timeutil.h"

bool segment_name_valid(const char *name)
{
    size_t length = strlen(name);
    if (length == 0 || length >= SEGMENT_NAME_MAX || name[0] == '_' || name[0] == '-')
        return false;
    return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") == length;
}

void segment_id_format(const struct segment_id *id, char text[SEGMENT_TEXT_SIZE])
{
    snprintf(text, SEGMENT_TEXT_SIZE, "%s/%s/%" PRId64 "-%06" PRIu32, id->camera, id->stream,
        id->run, id->number);
}

// Reads decimal digits up to the byte `end`; moves *text behind it.
static bool segment_read_number(
    const char **text, char end, int digits_min, uint64_t max, uint64_t *value)
{
    int digits = 0;
    for (*value = 0; isdigit((unsigned char)**text); (*text)++, digits++) {
        unsigned digit = (unsigned)(**text - '0');
        if (*value > (max - digit) / 10)
            return false;
        *value = *value * 10 + digit;
    }
    return digits >= digits_min && *(*text)++ == end;
}

// Reads "RUN-NNNNNN" followed by `end`.
static bool segment_read_numbers(const char **text, char end, int64_t *run, uint32_t *number)
{
    uint64_t run_value, number_value;
    const char *run_text = *text;
    if (run_text[0] == '0' && run_text[1] != '-')
        return false;
    if (!segment_read_number(text, '-', 1, INT64_MAX / 1000, &run_value))
        return false;
    const char *number_text = *text;
    if (!segment_read_number(text, end, 6, UINT32_MAX, &number_value))
        return false;
    if (number_text[0] == '0' && *text - number_text > 7)
        return false;
    *run = (int64_t)run_value;
    *number = (uint32_t)number_value;
    return true;
}

static bool segment_read_name(const char **text, char name[SEGMENT_NAME_MAX])
{
    const char *slash = strchr(*text, '/');
    if (slash == NULL || slash - *text >= SEGMENT_NAME_MAX)
        return false;
    memcpy(name, *text, (size_t)(slash - *text));
    name[slash - *text] = '\0';
    *text = slash + 1;
    return segment_name_valid(name);
}

bool segment_id_parse(const char *text, struct segment_id *id)
{
    *id = (struct segment_id){0};
    return segment_read_name(&text, id->camera) && segment_read_name(&text, id->stream) &&
           segment_read_numbers(&text, '\0', &id->run, &id->number);
}

bool segment_file_parse(const char *name, int64_t *run, uint32_t *number)
{
    return segment_read_numbers(&name, '.', run, number) && strcmp(name, "mp4") == 0;
}

void segment_key_format(
    const struct segment_id *id, int64_t start_us, int utc_offset_s, char key[SEGMENT_KEY_SIZE])
{
    int64_t local_ms = start_us / 1000 + (int64_t)utc_offset_s * 1000;
    time_t seconds = (time_t)(local_ms / 1000);
    struct tm tm;
    char day[16], clock[16];
    gmtime_r(&seconds, &tm);
    strftime(day, sizeof(day), "%Y-%m-%d", &tm);
    strftime(clock, sizeof(clock), "%H-%M-%S", &tm);
    int minutes = abs(utc_offset_s) / 60;
    snprintf(key, SEGMENT_KEY_SIZE, "%s/%s/%s/%s_%s.%03d%c%02d%02d.mp4", id->camera, id->stream,
        day, day, clock, (int)(local_ms % 1000), utc_offset_s < 0 ? '-' : '+', minutes / 60,
        minutes % 60);
}
