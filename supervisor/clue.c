// What ffmpeg's lines say about an end. See clue.h.
#include "supervisor/clue.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/timeutil.h"

#define CLUE_LIFE_US (30 * US_PER_SECOND)

static const struct clue_pattern {
    const char *text;
    enum reason reason;
    int weight;
} clue_table[] = {
    {"401 Unauthorized", REASON_UNAUTHORIZED, CLUE_TELLING},
    {"403 Forbidden", REASON_UNAUTHORIZED, CLUE_TELLING},
    {"404 Not Found", REASON_NOT_FOUND, CLUE_TELLING},
    {"454 Session Not Found", REASON_NOT_FOUND, CLUE_TELLING},
    {"No space left on device", REASON_NO_SPACE, CLUE_TELLING},
    {"codec not currently supported in container", REASON_CODEC, CLUE_TELLING},
    {"Could not find tag for codec", REASON_CODEC, CLUE_TELLING},
    {"Tag hvc1 incompatible with output codec", REASON_CODEC, CLUE_TELLING},
    {"matches no streams", REASON_NO_VIDEO, CLUE_TELLING},
    {"461 Unsupported", REASON_CONFIGURATION, CLUE_TELLING},
    {"dimensions not set", REASON_NO_FRAMES, CLUE_TELLING},
    {"453 Not Enough Bandwidth", REASON_REFUSED, CLUE_TELLING},
    {"503 Service Unavailable", REASON_REFUSED, CLUE_TELLING},
    {"Failed to resolve hostname", REASON_UNRESOLVED, CLUE_TELLING},
    {"Connection refused", REASON_REFUSED, CLUE_TELLING},
    {"No route to host", REASON_UNREACHABLE, CLUE_TELLING},
    {"Host is down", REASON_UNREACHABLE, CLUE_TELLING},
    {"Network is unreachable", REASON_UNREACHABLE, CLUE_TELLING},
    {"Connection timed out", REASON_TIMEOUT, CLUE_GENERAL},
    {"Operation timed out", REASON_TIMEOUT, CLUE_GENERAL},
    {"Server returned 400 Bad Request", REASON_REFUSED, CLUE_GENERAL},
    {"Server returned 4XX Client Error", REASON_REFUSED, CLUE_GENERAL},
    {"pipe:3: Invalid data found when processing input", REASON_CLOSED, CLUE_VAGUE},
    {"pipe:3: Operation not permitted", REASON_CLOSED, CLUE_VAGUE},
    {"pipe:3: End of file", REASON_CLOSED, CLUE_VAGUE},
};

static const struct clue_pattern *clue_find(const char *line)
{
    const struct clue_pattern *found = NULL;
    for (size_t i = 0; i < ARRAY_LENGTH(clue_table); i++) {
        const struct clue_pattern *pattern = &clue_table[i];
        if ((found == NULL || pattern->weight > found->weight) && strstr(line, pattern->text))
            found = pattern;
    }
    return found;
}

enum reason clue_read(const char *line)
{
    const struct clue_pattern *pattern = clue_find(line);
    return pattern ? pattern->reason : REASON_NONE;
}

bool clue_is_disorder(const char *line)
{
    // The first output is the only one, and its first stream the video.
    return strstr(line, "Non-monotonous DTS in output stream 0:0;") != NULL;
}

void clue_take(struct clue *clue, const char *line, int64_t now_us)
{
    const struct clue_pattern *pattern = clue_find(line);
    clue_expire(clue, now_us);
    if (pattern == NULL || pattern->weight < clue->weight)
        return;
    free(clue->words);
    *clue = (struct clue){
        .reason = pattern->reason,
        .weight = pattern->weight,
        .time_us = now_us,
        .words = xstrdup(line),
    };
}

void clue_expire(struct clue *clue, int64_t now_us)
{
    if (clue->reason != REASON_NONE && now_us - clue->time_us > CLUE_LIFE_US)
        clue_fini(clue);
}

void clue_fini(struct clue *clue)
{
    free(clue->words);
    clue->words = NULL;
    clue->reason = REASON_NONE;
    clue->weight = 0;
}
