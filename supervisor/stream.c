// The life of one stream. See stream.h.
#include "supervisor/stream.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "lib/core/alloc.h"
#include "lib/core/log.h"
#include "lib/core/timeutil.h"
#include "supervisor/backoff.h"
#include "supervisor/ffmpeg.h"
#include "supervisor/mask.h"
#include "supervisor/obituary.h"

enum {
    STREAM_OOM_SCORE = 300,
};

#define STREAM_START_DISTANCE_US (US_PER_SECOND / 10)
#define STREAM_END_EXTRA_US (2 * US_PER_SECOND)
#define STREAM_END_MAX_US (8 * US_PER_SECOND) // a clean stop as a whole takes 15 s at most

enum stream_event {
    STREAM_EVENT_START, // it is wanted
    STREAM_EVENT_TIMER,
    STREAM_EVENT_FRAME, // the first frame of the run
    STREAM_EVENT_END,   // it shall end
    STREAM_EVENT_OVER,  // the child is over
    STREAM_EVENT_COUNT,
};

typedef void (*stream_action_fn)(struct stream *stream);

static void stream_event(struct stream *stream, enum stream_event event);

const char *stream_state_name(enum stream_state state)
{
    static const char *const names[] = {
#define X(constant, name) [constant] = (name),
        STREAM_STATE_MAP(X)
#undef X
    };
    return names[state];
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

static void stream_set_reason(struct stream *stream, enum reason reason, const char *words)
{
    char *copy = words ? xstrdup(words) : NULL;
    free(stream->last_words);
    stream->last_words = copy;
    stream->last_reason = reason;
}

static void stream_rest(struct stream *stream)
{
    ev_timer_stop(stream->host->loop, &stream->timer);
    stream_set_state(stream, STREAM_OFF);
    stream->has_start_slot = false;
    stream->failures = 0;
    figures_unwant(&stream->figures, time_monotonic_us());
    stream->host->idle(stream, stream->host->arg);
}

static void stream_wait(struct stream *stream, int64_t delay_us)
{
    stream_set_state(stream, STREAM_WAITING);
    stream->has_start_slot = false;
    stream_set_timer(stream, delay_us);
}

static int64_t stream_pause_us(const struct stream *stream)
{
    uint32_t random = 0;
    ssize_t ignored = getrandom(&random, sizeof(random), GRND_NONBLOCK);
    (void)ignored;
    return backoff_delay_ms(stream->failures, random) * 1000;
}

// How loud a failure is told: the log has it once, then again when the reason changes.
static enum log_level stream_fail_level(const struct stream *stream, enum reason reason)
{
    bool is_news = stream->failures == 0 || stream->last_reason != reason;
    return is_news ? LOG_LEVEL_WARN : LOG_LEVEL_DEBUG;
}

// Notes a failure and pauses. `line` says what happened, `words` what explains it.
static void stream_fail(
    struct stream *stream, enum reason reason, const char *line, const char *words)
{
    enum log_level level = stream_fail_level(stream, reason);
    stream->failures++;
    int64_t pause_us = stream_pause_us(stream);
    log_write(level, "%s; next start in %.1f s", line, (double)pause_us / US_PER_SECOND);
    stream_set_reason(stream, reason, words);
    stream_wait(stream, pause_us);
}

static void stream_progress_cb(void *arg, const char *line)
{
    struct stream *stream = arg;
    if (!progress_line(&stream->progress, line))
        return;
    int64_t now_us = time_monotonic_us();
    vitality_block(&stream->vitality, stream->progress.frames, now_us);
    figures_progress(&stream->figures, &stream->progress, now_us, time_now_us());
    if (stream->progress.frames > 0 && stream->first_frame_us == 0) {
        stream->first_frame_us = now_us;
        stream_event(stream, STREAM_EVENT_FRAME);
    }
}

// An option of the script is not known to ffmpeg, which does not say which one. It records all the
// same, and vitality watches over it whatever the option was for: a lost timeout, too.
static void stream_tell_unused(struct stream *stream, const char *line)
{
    bool is_ours = stream->host->config->ffmpeg.input_options.count == 0;
    log_err("%s/%s: %s: %s", stream->camera, stream->name,
        is_ours ? "this ffmpeg does not know an option that Keepframe needs"
                : "ffmpeg.input_options has an option that ffmpeg's RTSP input does not know",
        line);
    stream_set_reason(stream, REASON_CONFIGURATION, line);
}

static void stream_error_cb(void *arg, const char *line)
{
    struct stream *stream = arg;
    char *masked = mask_text(line, stream->mask);
    unsigned repeats = logcap_add(stream->log, masked);
    const char *last = logcap_last(stream->log);
    free(masked);
    stream->has_spoken = true;
    clue_take(&stream->clue, last, time_monotonic_us());
    adapt_line(&stream->adapt, last);
    if (adapt_is_unused_news(&stream->adapt, last))
        stream_tell_unused(stream, last);
    else if (repeats == 1)
        log_debug("%s/%s: ffmpeg: %s", stream->camera, stream->name, last);
}

static void stream_write_obituary(
    struct stream *stream, int status, struct obituary *obituary, int64_t now_us)
{
    clue_expire(&stream->clue, now_us);
    const struct obituary_facts facts = {
        .camera = stream->camera,
        .stream = stream->name,
        .status = status,
        .ended_as = stream->end_reason,
        .last_line = stream->has_spoken ? logcap_last(stream->log) : NULL,
        .clue = &stream->clue,
        .life_us = now_us - stream->launch_us,
        .frames = stream->progress.frames,
    };
    obituary_compose(obituary, &facts);
}

static bool stream_was_stable(const struct stream *stream)
{
    return stream->first_frame_us != 0 &&
           time_monotonic_us() - stream->first_frame_us >= BACKOFF_STABLE_US;
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
    stream_wait(stream, 0);
    return true;
}

static void stream_child_end_cb(void *arg, int status)
{
    struct stream *stream = arg;
    struct obituary obituary;
    int64_t now_us = time_monotonic_us();
    bool is_planned = reason_is_planned(stream->end_reason);
    usage_end(&stream->usage, child_cpu_us(stream->child));
    stream->child = NULL;
    stream_write_obituary(stream, status, &obituary, now_us);
    figures_grow(
        &stream->figures, growth_end(&stream->growth, stream->directory, stream->run.open.run));
    figures_end(&stream->figures, obituary.reason, stream->is_wanted, now_us);
    stream_run_close(&stream->run, stream->directory, obituary.reason, obituary.words);
    if (is_planned) {
        log_info("%s", obituary.line);
        stream_set_reason(stream, obituary.reason, NULL);
        stream->failures = 0;
    } else if (stream_was_stable(stream)) {
        stream->failures = 0;
    }
    stream_event(stream, STREAM_EVENT_OVER);
    if (stream->state == STREAM_ENDING && stream->is_wanted && !is_planned) {
        if (!stream_adapt(stream, &obituary))
            stream_fail(stream, obituary.reason, obituary.line, obituary.words);
    } else if (stream->state == STREAM_ENDING && stream->is_wanted)
        stream_wait(stream, 0);
    else
        stream_rest(stream);
    obituary_fini(&obituary);
}

static void stream_reset_run(struct stream *stream)
{
    int64_t now_us = time_monotonic_us();
    stream->launch_us = now_us;
    stream->first_frame_us = 0;
    stream->progress = (struct progress){0};
    stream->end_reason = REASON_NONE;
    stream->has_spoken = false;
    clue_fini(&stream->clue);
    adapt_begin(&stream->adapt);
    growth_begin(&stream->growth);
    figures_begin(&stream->figures);
    vitality_begin(&stream->vitality, now_us);
}

static struct child *stream_spawn(struct stream *stream, char **cause)
{
    const struct config *config = stream->host->config;
    const struct ffmpeg_way *way = &stream->adapt.way;
    char **args = ffmpeg_args(config, stream->config, way, stream->directory, stream->run.open.run);
    char *script = ffmpeg_script(config, stream->config, way);
    const struct child_spec spec = {
        .argv = args,
        .environment = stream->host->environment,
        .death_signal = SIGKILL,
        .oom_score = STREAM_OOM_SCORE,
        .input = script,
        .progress = stream_progress_cb,
        .error = stream_error_cb,
        .end = stream_child_end_cb,
        .arg = stream,
    };
    mask_free(stream->mask);
    stream->mask = mask_new(stream->config->url, stream->config->password);
    struct child *child = child_start(stream->host->loop, &spec, cause);
    explicit_bzero(script, strlen(script));
    free(script);
    ffmpeg_args_free(args);
    return child;
}

// Notes that no ffmpeg could be started.
static void stream_fail_start(struct stream *stream, const char *cause)
{
    char *line = xasprintf(
        "%s/%s: %s (%s)", stream->camera, stream->name, cause, reason_name(REASON_START_FAILED));
    figures_end(&stream->figures, REASON_START_FAILED, true, time_monotonic_us());
    stream_run_close(&stream->run, stream->directory, REASON_START_FAILED, cause);
    stream_fail(stream, REASON_START_FAILED, line, cause);
    free(line);
}

static void stream_launch(struct stream *stream)
{
    char *cause = NULL;
    stream_reset_run(stream);
    if (stream_run_open(&stream->run, stream->directory, stream->host->config->node, &cause) == 0)
        stream->child = stream_spawn(stream, &cause);
    if (stream->child == NULL) {
        stream_fail_start(stream, cause);
        free(cause);
        return;
    }
    stream_set_state(stream, STREAM_CONNECTING);
    log_debug("%s/%s: ffmpeg started as %d, run %" PRId64, stream->camera, stream->name,
        (int)child_pid(stream->child), stream->run.open.run);
}

// Reserves a turn, so that ten starts happen in a second at most. Returns how long it is till then.
static int64_t stream_reserve_start(struct stream_host *host)
{
    int64_t now_us = time_monotonic_us();
    int64_t turn_us = host->next_start_us > now_us ? host->next_start_us : now_us;
    host->next_start_us = turn_us + STREAM_START_DISTANCE_US;
    return turn_us - now_us;
}

static void stream_do_schedule(struct stream *stream)
{
    stream_wait(stream, 0);
}

static void stream_do_launch(struct stream *stream)
{
    int64_t delay_us = stream->has_start_slot ? 0 : stream_reserve_start(stream->host);
    if (delay_us > 0) {
        stream->has_start_slot = true;
        stream_set_timer(stream, delay_us);
        return;
    }
    stream->has_start_slot = false;
    stream_launch(stream);
}

static void stream_do_record(struct stream *stream)
{
    stream_set_state(stream, STREAM_RECORDING);
    adapt_frame(&stream->adapt);
    if (stream->failures > 0)
        log_info("%s/%s: records again, after %u failed attempts (run %" PRId64 ")", stream->camera,
            stream->name, stream->failures, stream->run.open.run);
    else
        log_info(
            "%s/%s: records (run %" PRId64 ")", stream->camera, stream->name, stream->run.open.run);
}

// Out of a pause: begin at once, or rest.
static void stream_do_reconsider(struct stream *stream)
{
    if (stream->is_wanted)
        stream_wait(stream, 0);
    else
        stream_rest(stream);
}

static void stream_do_terminate(struct stream *stream)
{
    int64_t patience_us = stream->config ? stream->config->recording.timeout_us : 0;
    patience_us += STREAM_END_EXTRA_US;
    if (patience_us > STREAM_END_MAX_US)
        patience_us = STREAM_END_MAX_US;
    stream_set_state(stream, STREAM_ENDING);
    child_signal(stream->child, SIGTERM);
    stream_set_timer(stream, patience_us);
}

static void stream_do_kill(struct stream *stream)
{
    log_write(stream_fail_level(stream, stream->end_reason),
        "%s/%s: ffmpeg does not end, it is killed", stream->camera, stream->name);
    child_signal(stream->child, SIGKILL);
}

static void stream_do_end(struct stream *stream)
{
    ev_timer_stop(stream->host->loop, &stream->timer);
    stream_set_state(stream, STREAM_ENDING);
}

// What happens on which event in which state; nothing where nothing stands.
static const stream_action_fn stream_table[STREAM_STATE_COUNT][STREAM_EVENT_COUNT] = {
    [STREAM_OFF] = {[STREAM_EVENT_START] = stream_do_schedule},
    [STREAM_WAITING] =
        {
            [STREAM_EVENT_TIMER] = stream_do_launch,
            [STREAM_EVENT_END] = stream_do_reconsider,
        },
    [STREAM_CONNECTING] =
        {
            [STREAM_EVENT_FRAME] = stream_do_record,
            [STREAM_EVENT_END] = stream_do_terminate,
            [STREAM_EVENT_OVER] = stream_do_end,
        },
    [STREAM_RECORDING] =
        {
            [STREAM_EVENT_END] = stream_do_terminate,
            [STREAM_EVENT_OVER] = stream_do_end,
        },
    [STREAM_ENDING] =
        {
            [STREAM_EVENT_TIMER] = stream_do_kill,
            [STREAM_EVENT_OVER] = stream_do_end,
        },
};

static void stream_event(struct stream *stream, enum stream_event event)
{
    stream_action_fn action = stream_table[stream->state][event];
    if (action != NULL)
        action(stream);
}

static void stream_timer_cb(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    stream_event(timer->data, STREAM_EVENT_TIMER);
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
    stream_run_fini(&stream->run, stream->directory);
    clue_fini(&stream->clue);
    logcap_free(stream->log);
    mask_free(stream->mask);
    free(stream->last_words);
    free(stream->directory);
    free(stream->name);
    free(stream->camera);
    free(stream);
}

void stream_start(struct stream *stream)
{
    if (!stream->is_wanted)
        adapt_reset(&stream->adapt, &stream->config->recording);
    stream->is_wanted = true;
    figures_want(&stream->figures, time_monotonic_us());
    stream_event(stream, STREAM_EVENT_START);
}

void stream_stop(struct stream *stream, enum reason reason)
{
    stream->is_wanted = false;
    if (stream->end_reason == REASON_NONE)
        stream->end_reason = reason;
    if (stream->state == STREAM_OFF)
        stream->host->idle(stream, stream->host->arg);
    else
        stream_event(stream, STREAM_EVENT_END);
}

void stream_restart(struct stream *stream, enum reason reason)
{
    if (reason == REASON_RELOAD && stream->config != NULL)
        adapt_reset(&stream->adapt, &stream->config->recording);
    if (stream->state == STREAM_OFF)
        return;
    stream->failures = 0;
    if (stream->end_reason == REASON_NONE)
        stream->end_reason = reason;
    stream_event(stream, STREAM_EVENT_END);
}

static void stream_look_at_files(struct stream *stream, int64_t now_us)
{
    struct growth *growth = &stream->growth;
    figures_grow(&stream->figures, growth_look(growth, stream->directory, stream->run.open.run));
    if (growth->fd >= 0)
        vitality_file(&stream->vitality, growth->number, growth->size, now_us);
}

// Why what runs should be ended, or REASON_NONE.
static enum reason stream_judge(struct stream *stream, int64_t now_us)
{
    const struct config_recording *recording = &stream->config->recording;
    if (stream->state == STREAM_CONNECTING &&
        adapt_is_overdue(&stream->adapt, now_us - stream->launch_us))
        return REASON_NO_FRAMES;
    return vitality_judge(&stream->vitality, recording->timeout_us, recording->segment_us, now_us);
}

void stream_tick(struct stream *stream, int64_t now_us)
{
    bool is_running = stream->state == STREAM_CONNECTING || stream->state == STREAM_RECORDING;
    stream_run_retry(&stream->run, stream->directory);
    if (stream->child != NULL)
        stream_look_at_files(stream, now_us);
    figures_tick(&stream->figures, now_us);
    if (!is_running || stream->config == NULL)
        return;
    enum reason reason = stream_judge(stream, now_us);
    if (reason == REASON_NONE)
        return;
    log_write(stream_fail_level(stream, reason), "%s/%s: no life in ffmpeg (%s), it is ended",
        stream->camera, stream->name, reason_name(reason));
    stream->end_reason = reason;
    stream_event(stream, STREAM_EVENT_END);
}

void stream_forgive(struct stream *stream, int64_t now_us)
{
    vitality_forgive(&stream->vitality, now_us);
}
