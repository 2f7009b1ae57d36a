// Whether the clock in a run's frames runs as ours does. See mediaclock.h.
#include "supervisor/mediaclock.h"

#include <stdlib.h>

#include "lib/core/alloc.h"
#include "lib/core/timeutil.h"

// A run's first seconds: ffmpeg has buffered some while it probed, and moves one track when the
// first sender report comes.
#define MEDIACLOCK_STIR_US (12 * US_PER_SECOND)

#define MEDIACLOCK_LEEWAY_US (2 * US_PER_SECOND)
#define MEDIACLOCK_STAY_US (10 * US_PER_SECOND)

// What is accepted follows by so much of the time that passes: two seconds in sixty.
#define MEDIACLOCK_SLEW 30

// Progress comes once a second: after a longer silence data flows again.
#define MEDIACLOCK_SILENCE_US (3 * US_PER_SECOND)

// An offset that shrinks by so much is on its way back.
#define MEDIACLOCK_RETURN_US US_PER_SECOND

#define MEDIACLOCK_ROW_US (5 * US_PER_SECOND) // warnings that are so near belong together
#define MEDIACLOCK_PERIOD_US (3600 * US_PER_SECOND)

void mediaclock_begin(struct mediaclock *clock)
{
    struct mediaclock fresh = {.verdict_count = clock->verdict_count};
    for (int i = 0; i < MEDIACLOCK_VERDICTS; i++)
        fresh.verdicts_us[i] = clock->verdicts_us[i];
    *clock = fresh;
}

static void mediaclock_accept(struct mediaclock *clock, int64_t offset_us)
{
    clock->offset_us = offset_us;
    clock->moved_us = clock->off_since_us = 0;
}

// Is off: since now, unless it is already, stays so and data flows.
static void mediaclock_be_off(struct mediaclock *clock, int64_t silence_us, int64_t now_us)
{
    bool is_returning = llabs(clock->moved_us) < llabs(clock->off_moved_us) - MEDIACLOCK_RETURN_US;
    if (clock->off_since_us != 0 && silence_us < MEDIACLOCK_SILENCE_US && !is_returning)
        return;
    clock->off_since_us = now_us;
    clock->off_moved_us = clock->moved_us;
}

void mediaclock_progress(struct mediaclock *clock, int64_t media_us, int64_t now_us)
{
    if (media_us <= 0 || media_us == clock->media_us)
        return;
    int64_t silence_us = now_us - clock->last_us;
    if (clock->first_us == 0)
        clock->first_us = now_us;
    clock->media_us = media_us;
    clock->last_us = now_us;
    if (now_us - clock->first_us < MEDIACLOCK_STIR_US) {
        mediaclock_accept(clock, media_us - now_us);
        return;
    }
    clock->moved_us = media_us - now_us - clock->offset_us;
    if (llabs(clock->moved_us) > MEDIACLOCK_LEEWAY_US) {
        mediaclock_be_off(clock, silence_us, now_us);
        return;
    }
    int64_t slew_us = silence_us / MEDIACLOCK_SLEW;
    int64_t step_us = clock->moved_us < -slew_us  ? -slew_us
                      : clock->moved_us > slew_us ? slew_us
                                                  : clock->moved_us;
    clock->off_since_us = 0;
    clock->offset_us += step_us;
}

void mediaclock_disorder(struct mediaclock *clock, int64_t now_us)
{
    if (clock->disorder_us == 0 || now_us - clock->disorder_us > MEDIACLOCK_ROW_US)
        clock->disorder_since_us = now_us;
    clock->disorder_us = now_us;
}

void mediaclock_forgive(struct mediaclock *clock, int64_t now_us)
{
    if (clock->off_since_us != 0)
        clock->off_since_us = now_us;
}

static bool mediaclock_has_jumped(const struct mediaclock *clock, int64_t now_us)
{
    return clock->off_since_us != 0 && now_us - clock->last_us < MEDIACLOCK_SILENCE_US &&
           clock->last_us - clock->off_since_us >= MEDIACLOCK_STAY_US;
}

static bool mediaclock_is_disordered(const struct mediaclock *clock, int64_t now_us)
{
    int64_t since_us = clock->first_us + MEDIACLOCK_STIR_US;
    if (clock->first_us == 0 || clock->disorder_us == 0)
        return false;
    if (clock->disorder_since_us > since_us)
        since_us = clock->disorder_since_us;
    return clock->disorder_us - since_us >= MEDIACLOCK_STAY_US &&
           now_us - clock->disorder_us <= MEDIACLOCK_ROW_US;
}

// Whether the hour has room for a verdict. Notes it then.
static bool mediaclock_may_end(struct mediaclock *clock, int64_t now_us)
{
    int64_t *oldest_us = &clock->verdicts_us[clock->verdict_count % MEDIACLOCK_VERDICTS];
    if (clock->verdict_count >= MEDIACLOCK_VERDICTS && now_us - *oldest_us < MEDIACLOCK_PERIOD_US)
        return false;
    *oldest_us = now_us;
    clock->verdict_count++;
    return true;
}

bool mediaclock_judge(struct mediaclock *clock, int64_t now_us, char **words)
{
    bool has_jumped = mediaclock_has_jumped(clock, now_us);
    if (!has_jumped && !mediaclock_is_disordered(clock, now_us))
        return false;
    if (!mediaclock_may_end(clock, now_us)) {
        mediaclock_accept(clock, clock->media_us - clock->last_us);
        clock->disorder_us = 0;
        return false;
    }
    *words = has_jumped ? xasprintf("media time has moved by %+.1f s against the clock",
                              (double)clock->moved_us / US_PER_SECOND)
                        : xstrdup("the video's timestamps go backwards again and again");
    return true;
}
