// The end of an ffmpeg, composed. See obituary.h.
#include "supervisor/obituary.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "lib/core/alloc.h"
#include "lib/core/timeutil.h"

// While it connects, ffmpeg has the same words for a camera that hangs up and one that is silent:
// only the time that it took tells them apart.
static bool obituary_is_silence(const struct obituary_facts *facts)
{
    return facts->ended_as == REASON_NONE && facts->clue->weight == CLUE_VAGUE &&
           facts->frames == 0 && facts->timeout_us > 0 && facts->life_us >= facts->timeout_us;
}

static enum reason obituary_reason(const struct obituary_facts *facts)
{
    if (facts->ended_as != REASON_NONE)
        return facts->ended_as;
    if (obituary_is_silence(facts))
        return REASON_TIMEOUT;
    if (facts->clue->reason != REASON_NONE)
        return facts->clue->reason;
    if (WIFSIGNALED(facts->status))
        return REASON_KILLED;
    // A camera that closes the connection leaves no trace but this.
    return WEXITSTATUS(facts->status) == 0 ? REASON_CLOSED : REASON_UNKNOWN;
}

// What was planned needs no words, and after a kill what was said before explains nothing.
static const char *obituary_words(const struct obituary_facts *facts)
{
    if (reason_is_planned(facts->ended_as))
        return NULL;
    if (facts->end_words != NULL)
        return facts->end_words;
    if (obituary_is_silence(facts))
        return "the camera did not answer in time"; // ffmpeg's own words would mislead
    if (facts->clue->words != NULL)
        return facts->clue->words;
    return WIFSIGNALED(facts->status) ? NULL : facts->last_line;
}

static char *obituary_manner(const struct obituary_facts *facts)
{
    if (WIFSIGNALED(facts->status))
        return xasprintf("was ended by signal %d", WTERMSIG(facts->status));
    if (reason_is_planned(facts->ended_as))
        return xstrdup("ended"); // ffmpeg's code for SIGTERM would alarm
    return xasprintf("ended with %d", WEXITSTATUS(facts->status));
}

void obituary_compose(struct obituary *obituary, const struct obituary_facts *facts)
{
    enum reason reason = obituary_reason(facts);
    const char *words = obituary_words(facts);
    char *manner = obituary_manner(facts);
    *obituary = (struct obituary){
        .reason = reason,
        .words = words ? xstrdup(words) : NULL,
        .line = xasprintf("%s/%s: ffmpeg %s after %.1f s and %" PRId64 " frames (%s)%s%s",
            facts->camera, facts->stream, manner, (double)facts->life_us / US_PER_SECOND,
            facts->frames, reason_name(reason), words ? ": " : "", words ? words : ""),
    };
    free(manner);
}

void obituary_fini(struct obituary *obituary)
{
    free(obituary->words);
    free(obituary->line);
}
