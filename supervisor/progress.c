// What ffmpeg's -progress says. See progress.h.
#include "supervisor/progress.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"

static const struct {
    const char *key;
    size_t offset;
} progress_table[] = {
    {"frame=", offsetof(struct progress, frames)},
    {"out_time_us=", offsetof(struct progress, out_time_us)},
    {"dup_frames=", offsetof(struct progress, duplicated)},
    {"drop_frames=", offsetof(struct progress, dropped)},
};

static const char *progress_value(const char *line, const char *key)
{
    size_t length = strlen(key);
    return strncmp(line, key, length) == 0 ? line + length : NULL;
}

static void progress_integer(const char *text, int64_t *number)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end != text && *end == '\0' && errno == 0)
        *number = value;
}

bool progress_line(struct progress *progress, const char *line)
{
    for (size_t i = 0; i < ARRAY_LENGTH(progress_table); i++) {
        const char *value = progress_value(line, progress_table[i].key);
        if (value != NULL)
            progress_integer(value, (int64_t *)((char *)progress + progress_table[i].offset));
    }
    const char *fps = progress_value(line, "fps=");
    if (fps != NULL && isdigit((unsigned char)*fps)) {
        char *end;
        double value = strtod(fps, &end);
        if (*end == '\0')
            progress->fps = value;
    }
    const char *end = progress_value(line, "progress=");
    if (end != NULL && strcmp(end, "end") == 0)
        progress->has_ended = true;
    return end != NULL;
}
