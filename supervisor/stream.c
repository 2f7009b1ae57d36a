// The life of one stream. See stream.h.
#include "supervisor/stream.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/log.h"
#include "lib/core/timeutil.h"
#include "supervisor/backoff.h"
#include "supervisor/mask.h"
#include "supervisor/obituary.h"
#include "supervisor/stream_recorder.h"

// ffmpeg waits for its socket at most so much longer than the socket's timeout.
#define STREAM_END_EXTRA_US (2 * US_PER_SECOND)
// A clean stop as a whole takes 15 s at most.
#define STREAM_END_HURRIED_US (8 * US_PER_SECOND)

// The return of a camera that comes and goes is told when its leaving was, or when it was away for
// so long.
#define STREAM_ABSENCE_TOLD_US (60 * US_PER_SECOND)

typedef void (*stream_action_fn)(struct stream *stream);

const char *stream_state_name(enum stream_state state)
{
    static const char *const names[] = {
#define X(constant, name) [constant] = (name),
        STREAM_STATE_MAP(X)
#undef X
    };
    return names[state];
}

const char *stream_event_name(enum stream_event event)
{
    static const char *const names[] = {
#define X(constant, name) [constant] = (name),
        STREAM_EVENT_MAP(X)
#undef X
    };
    return names[event];
}

static void stream_set_timer(struct stream *stream, int64_t delay_us)
{
    ev_timer_stop(stream->host->loop, &stream->timer);
    ev_timer_set(&stream->timer, (double)delay_us / US_PER_SECOND, 0.);
    ev_timer_start(stream->host->loop, &stream->timer);
}

static void stream_set_state(struct stream *stream, enum stream_state state)
{
    if (stream->state == state)
        return;
    stream->state = state;
    stream->state_since_us = time_now_us();
}

void stream_set_reason(struct stream *stream, enum reason reason, const char *words)
{
    char *copy = words ? xstrdup(words) : NULL;
    free(stream->last_words);
    stream->last_words = copy;
    stream->last_reason = reason;
}

static void stream_forget_failures(struct stream *stream)
{
    stream->failures = 0;
    complaint_end(&stream->complaint);
}

// Becomes off. The stream may be gone after this.
static void stream_rest(struct stream *stream)
{
    ev_timer_stop(stream->host->loop, &stream->timer);
    stream_host_unqueue(stream->host, stream);
    stream_set_state(stream, STREAM_OFF);
    stream_forget_failures(stream);
    figures_unwant(&stream->figures, time_monotonic_us());
    stream->host->idle(stream, stream->host->arg);
}

// Waits for its turn to start, with no pause before.
static void stream_queue(struct stream *stream)
{
    ev_timer_stop(stream->host->loop, &stream->timer);
    stream_set_state(stream, STREAM_WAITING);
    stream_host_queue(stream->host, stream);
}

// Notes a failure and pauses. `line` says what happened, `words` what explains it.
static void stream_fail(
    struct stream *stream, enum reason reason, const char *line, const char *words)
{
    unsigned untold;
    bool is_news = complaint_take(&stream->complaint, reason, time_monotonic_us(), &untold);
    char *more = is_news && untold > 0 ? xasprintf("; %u more failure%s since the last message",
                                             untold, untold == 1 ? "" : "s")
                                       : xstrdup("");
    stream->failures++;
    int64_t pause_ms = backoff_pause_ms(stream->failures);
    log_write(is_news ? LOG_LEVEL_WARN : LOG_LEVEL_DEBUG, "%s; next start in %.1f s%s", line,
        (double)pause_ms / 1000, more);
    free(more);
    stream_set_reason(stream, reason, words);
    stream_set_state(stream, STREAM_WAITING);
    stream_set_timer(stream, pause_ms * 1000);
}

static void stream_do_nothing(struct stream *stream)
{
    (void)stream;
}

// Is off already.
static void stream_do_report(struct stream *stream)
{
    stream->host->idle(stream, stream->host->arg);
}

static void stream_do_queue(struct stream *stream)
{
    stream_queue(stream);
}

static void stream_do_rest(struct stream *stream)
{
    stream_rest(stream);
}

// What kept it from being started: its folder may be on a disk that is full.
static enum reason stream_start_failure(const char *cause)
{
    return clue_read(cause) == REASON_NO_SPACE ? REASON_NO_SPACE : REASON_START_FAILED;
}

static void stream_do_launch(struct stream *stream)
{
    char *cause = NULL;
    ev_timer_stop(stream->host->loop, &stream->timer);
    stream_host_unqueue(stream->host, stream);
    if (stream_recorder_start(stream, &cause) == 0) {
        stream_set_state(stream, STREAM_CONNECTING);
        return;
    }
    enum reason reason = stream_start_failure(cause);
    char *line =
        xasprintf("%s/%s: %s (%s)", stream->camera, stream->name, cause, reason_name(reason));
    figures_end(&stream->figures, reason, true, time_monotonic_us());
    stream_fail(stream, reason, line, cause);
    free(line);
    free(cause);
}

// How long it was away, as people say it.
static char *stream_absence(int64_t absence_us)
{
    int64_t seconds = absence_us / US_PER_SECOND;
    if (seconds < 120)
        return xasprintf("%" PRId64 " s", seconds);
    if (seconds < 7200)
        return xasprintf("%" PRId64 " min", seconds / 60);
    return xasprintf("%" PRId64 " h %" PRId64 " min", seconds / 3600, seconds % 3600 / 60);
}

static void stream_do_record(struct stream *stream)
{
    stream_set_state(stream, STREAM_RECORDING);
    adapt_frame(&stream->adapt);
    if (stream->failures == 0) {
        log_info(
            "%s/%s: records (run %" PRId64 ")", stream->camera, stream->name, stream->run.open.run);
        return;
    }
    int64_t absence_us = stream->figures.last_gap_us;
    int64_t since_us = time_monotonic_us() - absence_us;
    bool is_news =
        complaint_was_told(&stream->complaint, since_us) || absence_us >= STREAM_ABSENCE_TOLD_US;
    char *absence = stream_absence(absence_us);
    log_write(is_news ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG,
        "%s/%s: records again after %s and %u failure%s (run %" PRId64 ")", stream->camera,
        stream->name, absence, stream->failures, stream->failures == 1 ? "" : "s",
        stream->run.open.run);
    free(absence);
}

static void stream_do_terminate(struct stream *stream)
{
    int64_t patience_us = stream->config ? stream->config->recording.timeout_us : 0;
    patience_us += STREAM_END_EXTRA_US;
    if (stream->is_hurried && patience_us > STREAM_END_HURRIED_US)
        patience_us = STREAM_END_HURRIED_US;
    stream_set_state(stream, STREAM_ENDING);
    child_signal(stream->child, SIGTERM);
    stream_set_timer(stream, patience_us);
}

// It ends already; in a hurry it has no more time than others.
static void stream_do_hasten(struct stream *stream)
{
    double left_s = ev_timer_remaining(stream->host->loop, &stream->timer);
    if (stream->is_hurried && ev_is_active(&stream->timer) &&
        left_s * US_PER_SECOND > STREAM_END_HURRIED_US)
        stream_set_timer(stream, STREAM_END_HURRIED_US);
}

static void stream_do_kill(struct stream *stream)
{
    log_debug("%s/%s: ffmpeg does not end, it is killed", stream->camera, stream->name);
    child_signal(stream->child, SIGKILL);
}

// Lets the next start learn from an end that nobody planned. Returns true when it is made at once.
static bool stream_adapt(struct stream *stream, const struct obituary *obituary)
{
    char *news;
    if (stream->config == NULL ||
        !adapt_end(&stream->adapt, &stream->config->recording, obituary->reason, &news))
        return false;
    log_info("%s", obituary->line);
    log_warn("%s/%s: %s", stream->camera, stream->name, news);
    free(news);
    stream_set_reason(stream, obituary->reason, obituary->words);
    stream_queue(stream);
    return true;
}

// The child is over: begins again, pauses, or rests.
static void stream_do_bury(struct stream *stream)
{
    const struct obituary *obituary = stream->obituary;
    bool is_planned = reason_is_planned(obituary->reason);
    stream->obituary = NULL;
    ev_timer_stop(stream->host->loop, &stream->timer);
    if (stream->is_wanted && !is_planned) {
        if (!stream_adapt(stream, obituary))
            stream_fail(stream, obituary->reason, obituary->line, obituary->words);
        return;
    }
    log_info("%s", obituary->line);
    stream_set_reason(stream, obituary->reason, obituary->words);
    stream_forget_failures(stream);
    if (stream->is_wanted)
        stream_queue(stream);
    else
        stream_rest(stream);
}

// What can not happen. If it does, that is a mistake of ours, but no reason to stop recording.
#define stream_do_never NULL

// What happens on which event in which state.
static const stream_action_fn stream_table[STREAM_STATE_COUNT][STREAM_EVENT_COUNT] = {
    [STREAM_OFF] =
        {
            [STREAM_EVENT_START] = stream_do_queue,
            [STREAM_EVENT_STOP] = stream_do_report,
            [STREAM_EVENT_RESTART] = stream_do_nothing,
            [STREAM_EVENT_DUE] = stream_do_never,
            [STREAM_EVENT_TURN] = stream_do_never,
            [STREAM_EVENT_FRAME] = stream_do_never,
            [STREAM_EVENT_FAILING] = stream_do_never,
            [STREAM_EVENT_PATIENCE] = stream_do_never,
            [STREAM_EVENT_OVER] = stream_do_never,
        },
    [STREAM_WAITING] =
        {
            [STREAM_EVENT_START] = stream_do_nothing,
            [STREAM_EVENT_STOP] = stream_do_rest,
            [STREAM_EVENT_RESTART] = stream_do_queue,
            [STREAM_EVENT_DUE] = stream_do_queue,
            [STREAM_EVENT_TURN] = stream_do_launch,
            [STREAM_EVENT_FRAME] = stream_do_never,
            [STREAM_EVENT_FAILING] = stream_do_never,
            [STREAM_EVENT_PATIENCE] = stream_do_never,
            [STREAM_EVENT_OVER] = stream_do_never,
        },
    [STREAM_CONNECTING] =
        {
            [STREAM_EVENT_START] = stream_do_nothing,
            [STREAM_EVENT_STOP] = stream_do_terminate,
            [STREAM_EVENT_RESTART] = stream_do_terminate,
            [STREAM_EVENT_DUE] = stream_do_never,
            [STREAM_EVENT_TURN] = stream_do_never,
            [STREAM_EVENT_FRAME] = stream_do_record,
            [STREAM_EVENT_FAILING] = stream_do_terminate,
            [STREAM_EVENT_PATIENCE] = stream_do_never,
            [STREAM_EVENT_OVER] = stream_do_bury,
        },
    [STREAM_RECORDING] =
        {
            [STREAM_EVENT_START] = stream_do_nothing,
            [STREAM_EVENT_STOP] = stream_do_terminate,
            [STREAM_EVENT_RESTART] = stream_do_terminate,
            [STREAM_EVENT_DUE] = stream_do_never,
            [STREAM_EVENT_TURN] = stream_do_never,
            [STREAM_EVENT_FRAME] = stream_do_never,
            [STREAM_EVENT_FAILING] = stream_do_terminate,
            [STREAM_EVENT_PATIENCE] = stream_do_never,
            [STREAM_EVENT_OVER] = stream_do_bury,
        },
    [STREAM_ENDING] =
        {
            // It begins again, or does not, when this ffmpeg is over.
            [STREAM_EVENT_START] = stream_do_nothing,
            [STREAM_EVENT_STOP] = stream_do_hasten,
            [STREAM_EVENT_RESTART] = stream_do_nothing,
            [STREAM_EVENT_DUE] = stream_do_never,
            [STREAM_EVENT_TURN] = stream_do_never,
            [STREAM_EVENT_FRAME] = stream_do_nothing,
            [STREAM_EVENT_FAILING] = stream_do_never,
            [STREAM_EVENT_PATIENCE] = stream_do_kill,
            [STREAM_EVENT_OVER] = stream_do_bury,
        },
};

void stream_event(struct stream *stream, enum stream_event event)
{
    stream_action_fn action = stream_table[stream->state][event];
    if (action != NULL)
        action(stream);
    else
        log_err("%s/%s: \"%s\" came in state \"%s\", where it never should", stream->camera,
            stream->name, stream_event_name(event), stream_state_name(stream->state));
}

static void stream_timer_cb(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct stream *stream = timer->data;
    (void)loop;
    (void)events;
    stream_event(stream, stream->state == STREAM_ENDING ? STREAM_EVENT_PATIENCE : STREAM_EVENT_DUE);
}

struct stream *stream_new(struct stream_host *host, const struct config_stream *config)
{
    struct stream *stream = xcalloc(1, sizeof(*stream));
    stream->host = host;
    stream->camera = xstrdup(config->camera);
    stream->name = xstrdup(config->name);
    stream->directory =
        xasprintf("%s/%s/%s", host->config->storage.cache, config->camera, config->name);
    stream->config = config;
    adapt_reset(&stream->adapt, &config->recording);
    stream->state_since_us = time_now_us();
    stream->log = logcap_new();
    growth_begin(&stream->growth);
    ev_timer_init(&stream->timer, stream_timer_cb, 0., 0.);
    stream->timer.data = stream;
    return stream;
}

void stream_free(struct stream *stream)
{
    if (stream == NULL)
        return;
    ev_timer_stop(stream->host->loop, &stream->timer);
    stream_host_unqueue(stream->host, stream);
    stream_run_fini(&stream->run, stream->directory);
    clue_fini(&stream->clue);
    logcap_free(stream->log);
    mask_free(stream->mask);
    free(stream->end_words);
    free(stream->last_words);
    free(stream->directory);
    free(stream->name);
    free(stream->camera);
    free(stream);
}

// The first reason why it ends is the one that counts.
static void stream_set_end(struct stream *stream, enum reason reason, char *words)
{
    if (stream->end_reason != REASON_NONE) {
        free(words);
        return;
    }
    stream->end_reason = reason;
    stream->end_words = words;
}

void stream_start(struct stream *stream)
{
    if (!stream->is_wanted)
        adapt_reset(&stream->adapt, &stream->config->recording);
    stream->is_wanted = true;
    if (stream->state == STREAM_OFF)
        figures_want(&stream->figures, time_monotonic_us());
    stream_event(stream, STREAM_EVENT_START);
}

void stream_stop(struct stream *stream, enum reason reason)
{
    stream->is_wanted = false;
    stream->is_hurried = reason == REASON_STOPPED;
    stream_set_end(stream, reason, NULL);
    stream_event(stream, STREAM_EVENT_STOP);
}

void stream_restart(struct stream *stream, enum reason reason)
{
    if (reason == REASON_RELOAD && stream->config != NULL)
        adapt_reset(&stream->adapt, &stream->config->recording);
    stream_forget_failures(stream);
    stream_set_end(stream, reason, NULL);
    stream_event(stream, STREAM_EVENT_RESTART);
}

// Why what runs should be ended, or REASON_NONE; *words says more where it is not NULL.
static enum reason stream_verdict(struct stream *stream, int64_t now_us, char **words)
{
    const struct config_recording *recording = &stream->config->recording;
    // Once it reports progress it waits for nothing but a key frame.
    bool is_mute = stream->state == STREAM_CONNECTING && stream->vitality.block_us == 0;
    if (is_mute && adapt_is_overdue(&stream->adapt, now_us - stream->launch_us))
        return REASON_NO_FRAMES;
    enum reason reason =
        vitality_judge(&stream->vitality, recording->timeout_us, recording->segment_us, now_us);
    if (reason == REASON_NONE && mediaclock_judge(&stream->clock, now_us, words))
        reason = REASON_CLOCK_JUMP;
    return reason;
}

// Ends an ffmpeg that shows no life, or the wrong kind.
static void stream_judge(struct stream *stream, int64_t now_us)
{
    char *words = NULL;
    enum reason reason = stream_verdict(stream, now_us, &words);
    if (reason == REASON_NONE)
        return;
    log_debug("%s/%s: ffmpeg is ended (%s)", stream->camera, stream->name, reason_name(reason));
    stream_set_reason(stream, reason, words); // a frozen ffmpeg may take long to end
    stream_set_end(stream, reason, words);
    stream_event(stream, STREAM_EVENT_FAILING);
}

static void stream_look_at_files(struct stream *stream, int64_t now_us)
{
    struct growth *growth = &stream->growth;
    figures_grow(&stream->figures, growth_look(growth, stream->directory, stream->run.open.run));
    if (growth->fd >= 0)
        vitality_file(&stream->vitality, growth->number, growth->size, now_us);
}

void stream_tick(struct stream *stream, int64_t now_us)
{
    stream_run_retry(&stream->run, stream->directory);
    if (stream->child != NULL)
        stream_look_at_files(stream, now_us);
    figures_tick(&stream->figures, now_us);
    if (stream->state == STREAM_RECORDING && now_us - stream->first_frame_us >= BACKOFF_STABLE_US)
        stream_forget_failures(stream);
    bool is_running = stream->state == STREAM_CONNECTING || stream->state == STREAM_RECORDING;
    if (is_running && stream->config != NULL)
        stream_judge(stream, now_us);
}

void stream_forgive(struct stream *stream, int64_t now_us)
{
    vitality_forgive(&stream->vitality, now_us);
    mediaclock_forgive(&stream->clock, now_us);
}
