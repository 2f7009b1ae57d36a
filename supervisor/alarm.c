// Tells the hooks of a stream that it is down, or up again. See alarm.h.
#include "supervisor/alarm.h"

#include "lib/core/timeutil.h"
#include "supervisor/hookevent.h"

// The hold-off where there is no on_stream_down to say one.
#define ALARM_HOLD_OFF_US (10 * US_PER_SECOND)

// Why it does not record, as far as is known: the first attempt may still be under way.
static enum reason alarm_reason(const struct stream *stream)
{
    if (stream->end_reason != REASON_NONE)
        return stream->end_reason;
    if (stream->last_reason == REASON_NONE || reason_is_planned(stream->last_reason))
        return REASON_NO_FRAMES;
    return stream->last_reason;
}

static struct outage_view alarm_view(const struct stream *stream)
{
    const struct figures *figures = &stream->figures;
    bool is_waiting = stream->state == STREAM_WAITING && stream->failures == 0;
    bool is_planned = stream->state == STREAM_ENDING && reason_is_planned(stream->end_reason);
    return (struct outage_view){
        .is_wanted = stream->is_wanted && stream->config != NULL,
        .is_recording = stream->state == STREAM_RECORDING,
        .is_queued = is_waiting || is_planned,
        .last_frame_us = figures->has_gap ? figures->gap_since_us : figures->last_frame_us,
        .reason = alarm_reason(stream),
    };
}

static void alarm_post(struct hooks *hooks, const struct stream *stream, enum hook_kind kind,
    const struct config_hook *hook, const struct outage_report *report, int64_t now_us)
{
    int64_t utc_us = time_now_us();
    json_t *event =
        hookevent_new(kind, stream->host->config->node, stream->camera, stream->name, utc_us);
    json_object_set_new(event, "reason", json_string(reason_name(report->reason)));
    hookevent_set_time(event, "since", utc_us - (now_us - report->since_us));
    json_object_set_new(event, "away_seconds", json_real((double)report->away_us / US_PER_SECOND));
    hooks_post(hooks, kind, hook, stream->camera, stream->name, event);
}

void alarm_look(struct hooks *hooks, struct stream *stream, int64_t now_us)
{
    struct outage_view view = alarm_view(stream);
    static const struct config_recording no_hooks;
    const struct config_recording *recording =
        stream->config ? &stream->config->recording : &no_hooks;
    const struct config_hook *down = recording->on_stream_down;
    int64_t hold_off_us = down ? down->hold_off_us : ALARM_HOLD_OFF_US;
    struct outage_report report;
    switch (outage_look(&stream->outage, &view, hold_off_us, now_us, &report)) {
    case OUTAGE_DOWN:
        alarm_post(hooks, stream, HOOK_STREAM_DOWN, down, &report, now_us);
        break;
    case OUTAGE_UP:
        alarm_post(hooks, stream, HOOK_STREAM_UP, recording->on_stream_up, &report, now_us);
        break;
    case OUTAGE_NOTHING:
        break;
    }
}
