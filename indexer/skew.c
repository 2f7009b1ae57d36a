// How far a camera's clock is from ours. See skew.h.
#include "indexer/skew.h"

#include "lib/core/timeutil.h"

// 1970 in NTP's seconds (RFC 5905, 6).
#define SKEW_NTP_EPOCH_S INT64_C(2208988800)
#define SKEW_NTP_ERA_US ((INT64_C(1) << 32) * US_PER_SECOND)

// Between taking the time and the last write to the file.
#define SKEW_WRITE_US (250 * INT64_C(1000))
// What two segments may differ by: clocks drift, arrival varies.
#define SKEW_AGREE_US US_PER_SECOND
// A clock so far ahead counts from something else than a date.
#define SKEW_AHEAD_US (366 * US_PER_DAY)
// No segment lasts longer than an hour.
#define SKEW_FRESH_US (2 * INT64_C(3600) * US_PER_SECOND)

// The moment that an NTP time names, in the era in which it is nearest to `near_us`.
static int64_t skew_ntp_us(uint64_t ntp, int64_t near_us)
{
    int64_t fraction_us = (int64_t)(((ntp & UINT32_MAX) * US_PER_SECOND) >> 32);
    int64_t time_us = ((int64_t)(ntp >> 32) - SKEW_NTP_EPOCH_S) * US_PER_SECOND + fraction_us;
    while (near_us - time_us > SKEW_NTP_ERA_US / 2)
        time_us += SKEW_NTP_ERA_US;
    return time_us;
}

bool skew_read(const struct skew_sight *sight, int64_t *skew_us)
{
    if (sight->ntp == 0 || sight->written_us <= 0)
        return false;
    int64_t time_us = skew_ntp_us(sight->ntp, sight->written_us);
    int64_t late_us = time_us - sight->written_us;
    if (time_us < 0 || late_us > SKEW_AHEAD_US)
        return false;
    if (late_us >= -SKEW_WRITE_US && late_us <= SKEW_WRITE_US)
        return false;
    *skew_us = time_us - sight->shown_us;
    return true;
}

void skew_add(struct skew *skew, bool has_skew, int64_t skew_us, int64_t now_us)
{
    int64_t moved_us = skew_us - skew->us;
    skew->believed =
        has_skew && skew->has_last && moved_us >= -SKEW_AGREE_US && moved_us <= SKEW_AGREE_US;
    skew->has_last = has_skew;
    skew->us = skew_us;
    skew->seen_us = now_us;
}

bool skew_get(const struct skew *skew, int64_t now_us, int64_t *skew_us)
{
    *skew_us = skew->us;
    return skew->believed && now_us - skew->seen_us < SKEW_FRESH_US;
}
