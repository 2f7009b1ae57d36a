// What all streams share. See stream_host.h.
#include "supervisor/stream_host.h"

#include "lib/core/timeutil.h"
#include "supervisor/stream.h"

// Waits for the next turn that anybody may have. It also comes from the loop when it is due at
// once: whoever joins the queue is never started from within.
static void stream_host_wait(struct stream_host *host)
{
    int64_t delay_us = start_queue_delay_us(&host->starts, time_monotonic_us());
    ev_timer_stop(host->loop, &host->turn);
    if (delay_us < 0)
        return;
    ev_timer_set(&host->turn, (double)delay_us / US_PER_SECOND, 0.);
    ev_timer_start(host->loop, &host->turn);
}

static void stream_host_turn_cb(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct stream_host *host = timer->data;
    struct start_turn *turn = start_queue_take(&host->starts, time_monotonic_us());
    (void)loop;
    (void)events;
    if (turn != NULL)
        stream_event(turn->owner, STREAM_EVENT_TURN);
    stream_host_wait(host);
}

void stream_host_init(struct stream_host *host, struct ev_loop *loop, const struct config *config,
    stream_idle_fn idle, void *arg)
{
    *host = (struct stream_host){.loop = loop, .config = config, .idle = idle, .arg = arg};
    ev_timer_init(&host->turn, stream_host_turn_cb, 0., 0.);
    host->turn.data = host;
}

void stream_host_fini(struct stream_host *host)
{
    if (host->loop != NULL)
        ev_timer_stop(host->loop, &host->turn);
}

void stream_host_queue_as(struct stream_host *host, struct stream *stream, enum start_class class)
{
    stream->turn.owner = stream;
    // Only in another queue it begins at the end: one that is restarted often would never start.
    if (stream->turn.class != class)
        start_queue_leave(&host->starts, &stream->turn);
    start_queue_join(&host->starts, &stream->turn, class);
    if (!ev_is_active(&host->turn))
        stream_host_wait(host);
}

void stream_host_queue(struct stream_host *host, struct stream *stream)
{
    stream_host_queue_as(host, stream, stream->failures > 1 ? START_RETRY : START_FRESH);
}

void stream_host_unqueue(struct stream_host *host, struct stream *stream)
{
    start_queue_leave(&host->starts, &stream->turn);
}
