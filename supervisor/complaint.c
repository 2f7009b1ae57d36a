// How loud a failure is told. See complaint.h.
#include "supervisor/complaint.h"

#include "lib/core/timeutil.h"

#define COMPLAINT_PERIOD_US (3600 * US_PER_SECOND)

bool complaint_take(
    struct complaint *complaint, enum reason reason, int64_t now_us, unsigned *untold)
{
    bool is_news =
        reason != complaint->reason || now_us - complaint->told_us >= COMPLAINT_PERIOD_US;
    *untold = complaint->untold;
    complaint->reason = reason;
    complaint->untold = is_news ? 0 : complaint->untold + 1;
    if (is_news)
        complaint->told_us = now_us;
    return is_news;
}

bool complaint_was_told(const struct complaint *complaint, int64_t since_us)
{
    return complaint->reason != REASON_NONE && complaint->told_us >= since_us;
}

void complaint_end(struct complaint *complaint)
{
    *complaint = (struct complaint){0};
}
