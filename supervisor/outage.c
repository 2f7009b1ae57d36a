// When a stream counts as down. See outage.h.
#include "supervisor/outage.h"

// Since when a stream is away that is seen to be so for the first time. The time in the queue of
// starts is ours, not the camera's.
static int64_t outage_begin_us(
    const struct outage *outage, const struct outage_view *view, int64_t now_us)
{
    int64_t since_us = view->last_frame_us > 0 ? view->last_frame_us : now_us;
    return since_us > outage->queued_us ? since_us : outage->queued_us;
}

static enum outage_news outage_end(
    struct outage *outage, bool is_up, int64_t now_us, struct outage_report *report)
{
    const struct outage before = *outage;
    *outage = (struct outage){0};
    *report = (struct outage_report){before.reason, now_us, now_us - before.since_us};
    return is_up && before.is_told ? OUTAGE_UP : OUTAGE_NOTHING;
}

enum outage_news outage_look(struct outage *outage, const struct outage_view *view,
    int64_t hold_off_us, int64_t now_us, struct outage_report *report)
{
    if (!view->is_wanted || view->is_recording)
        return outage_end(outage, view->is_wanted, now_us, report);
    if (outage->is_told)
        return OUTAGE_NOTHING;
    if (view->is_queued) {
        *outage = (struct outage){.queued_us = now_us};
        return OUTAGE_NOTHING;
    }
    if (outage->since_us == 0)
        outage->since_us = outage_begin_us(outage, view, now_us);
    *report = (struct outage_report){view->reason, outage->since_us, now_us - outage->since_us};
    if (report->away_us < hold_off_us)
        return OUTAGE_NOTHING;
    outage->is_told = true;
    outage->reason = view->reason;
    return OUTAGE_DOWN;
}
