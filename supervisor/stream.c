// The life of one stream. See stream.h.
#include "supervisor/stream.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "lib/core/alloc.h"
#include "lib/core/fsutil.h"
#include "lib/core/log.h"
#include "lib/core/timeutil.h"
#include "supervisor/backoff.h"
#include "supervisor/ffmpeg.h"
#include "supervisor/mask.h"
#include "supervisor/run.h"

enum {
    STREAM_OOM_SCORE = 300,
    STREAM_LOOK_AHEAD = 4, // files that may have been opened and filed away between two looks
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

static void stream_set_reason(struct stream *stream, const char *reason)
{
    free(stream->last_reason);
    stream->last_reason = xstrdup(reason);
}

// Writes the end of a run. Returns 0, or -1 with *cause set.
static int stream_note_end(const struct stream *stream, const struct runfile *run, char **cause)
{
    char *path = run_file_path(stream->directory, run->run);
    int result = runfile_store(run, path, cause);
    free(path);
    return result;
}

// Tries again what a full disk, say, has refused.
static void stream_note_ends(struct stream *stream)
{
    for (size_t i = stream->unnoted_count; i-- > 0;) {
        char *cause = NULL;
        if (stream_note_end(stream, &stream->unnoted[i], &cause) < 0) {
            free(cause);
            return;
        }
        runfile_fini(&stream->unnoted[i]);
        stream->unnoted[i] = stream->unnoted[--stream->unnoted_count];
    }
}

// Ends the run on disk, if one is open.
static void stream_close_run(struct stream *stream, const char *reason, const char *detail)
{
    if (stream->run.run == 0)
        return;
    char *cause = NULL;
    stream->run.end_us = time_now_us();
    stream->run.reason = xstrdup(reason);
    stream->run.detail = detail ? xstrdup(detail) : NULL;
    if (stream_note_end(stream, &stream->run, &cause) == 0) {
        runfile_fini(&stream->run);
        return;
    }
    log_err(
        "%s/%s: the end of a run can not be noted now: %s", stream->camera, stream->name, cause);
    free(cause);
    ARRAY_RESERVE(stream->unnoted, stream->unnoted_count, stream->unnoted_capacity);
    stream->unnoted[stream->unnoted_count++] = stream->run;
    stream->run = (struct runfile){0};
}

static void stream_rest(struct stream *stream)
{
    ev_timer_stop(stream->host->loop, &stream->timer);
    stream->state = STREAM_OFF;
    stream->has_start_slot = false;
    stream->failures = 0;
    stream->host->idle(stream, stream->host->arg);
}

static void stream_wait(struct stream *stream, int64_t delay_us)
{
    stream->state = STREAM_WAITING;
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
static enum log_level stream_fail_level(const struct stream *stream, const char *reason)
{
    bool is_news = stream->failures == 0 || stream->last_reason == NULL ||
                   strcmp(stream->last_reason, reason) != 0;
    return is_news ? LOG_LEVEL_WARN : LOG_LEVEL_DEBUG;
}

// Notes a failure and pauses.
static void stream_fail(struct stream *stream, const char *reason, const char *what)
{
    enum log_level level = stream_fail_level(stream, reason);
    stream->failures++;
    stream->restarts++;
    int64_t pause_us = stream_pause_us(stream);
    log_write(level, "%s/%s: %s (%s); next start in %.1f s", stream->camera, stream->name, what,
        reason, (double)pause_us / US_PER_SECOND);
    stream_set_reason(stream, reason);
    stream_wait(stream, pause_us);
}

static void stream_progress_cb(void *arg, const char *line)
{
    struct stream *stream = arg;
    if (!progress_line(&stream->progress, line))
        return;
    int64_t now_us = time_monotonic_us();
    vitality_block(&stream->vitality, stream->progress.frames, now_us);
    if (stream->progress.frames > 0 && stream->first_frame_us == 0) {
        stream->first_frame_us = now_us;
        stream_event(stream, STREAM_EVENT_FRAME);
    }
}

static void stream_error_cb(void *arg, const char *line)
{
    struct stream *stream = arg;
    char *masked = mask_text(line, stream->mask);
    unsigned repeats = logcap_add(stream->log, masked);
    const char *last = logcap_last(stream->log);
    const char *reason = ffmpeg_line_reason(last);
    free(masked);
    // It records all the same: this is no reason for an end.
    bool is_configuration = reason != NULL && strcmp(reason, "configuration") == 0;
    if (reason != NULL && !is_configuration) {
        stream->line_reason = reason;
        free(stream->line_detail);
        stream->line_detail = xstrdup(last);
    }
    if (repeats == 1 && is_configuration)
        log_err("%s/%s: ffmpeg.input_options has an option that ffmpeg does not know: %s",
            stream->camera, stream->name, last);
    else if (repeats == 1)
        log_debug("%s/%s: ffmpeg: %s", stream->camera, stream->name, last);
}

static bool stream_is_planned(const char *end_reason)
{
    static const char *const planned[] = {"stopped", "reload", "restart", "removed", "disabled"};
    for (size_t i = 0; end_reason && i < ARRAY_LENGTH(planned); i++) {
        if (strcmp(planned[i], end_reason) == 0)
            return true;
    }
    return false;
}

// The last words that may explain the end, or NULL: after a kill what was said before explains
// nothing.
static const char *stream_last_words(const struct stream *stream, int status)
{
    if (stream->line_detail != NULL)
        return stream->line_detail;
    return WIFSIGNALED(status) || stream_is_planned(stream->end_reason) ? NULL
                                                                        : logcap_last(stream->log);
}

// Composes what happened from the exit status: a reason in one word, and a sentence.
static const char *stream_judge(const struct stream *stream, int status, char **what)
{
    double seconds = (double)(time_monotonic_us() - stream->launch_us) / US_PER_SECOND;
    const char *reason = stream->end_reason ? stream->end_reason : stream->line_reason;
    const char *detail = stream_last_words(stream, status);
    char *how;
    if (WIFSIGNALED(status))
        how = xasprintf("was ended by signal %d", WTERMSIG(status));
    else if (stream_is_planned(stream->end_reason))
        how = xstrdup("ended"); // ffmpeg's code for SIGTERM would alarm
    else
        how = xasprintf("ended with %d", WEXITSTATUS(status));
    *what = xasprintf("ffmpeg %s after %.1f s and %" PRId64 " frames%s%s", how, seconds,
        stream->progress.frames, detail ? ": " : "", detail ? detail : "");
    free(how);
    if (reason != NULL)
        return reason;
    if (WIFSIGNALED(status))
        return "killed";
    return WEXITSTATUS(status) == 0 ? "closed" : "failed";
}

static bool stream_was_stable(const struct stream *stream)
{
    return stream->first_frame_us != 0 &&
           time_monotonic_us() - stream->first_frame_us >= BACKOFF_STABLE_US;
}

static void stream_child_end_cb(void *arg, int status)
{
    struct stream *stream = arg;
    char *what;
    const char *reason = stream_judge(stream, status, &what);
    bool is_planned = stream_is_planned(stream->end_reason);
    stream->child = NULL;
    stream_close_run(stream, reason, is_planned ? NULL : stream_last_words(stream, status));
    if (is_planned) {
        log_info("%s/%s: %s (%s)", stream->camera, stream->name, what, reason);
        stream_set_reason(stream, reason);
        stream->failures = 0;
    } else if (stream_was_stable(stream)) {
        stream->failures = 0;
    }
    stream_event(stream, STREAM_EVENT_OVER);
    if (stream->state == STREAM_ENDING && stream->is_wanted && !is_planned)
        stream_fail(stream, reason, what);
    else if (stream->state == STREAM_ENDING && stream->is_wanted)
        stream_wait(stream, 0);
    else
        stream_rest(stream);
    free(what);
}

// Opens a run on disk. Returns 0, or -1 with *cause set.
static int stream_open_run(struct stream *stream, char **cause)
{
    if (fs_make_dirs(stream->directory, 0750, cause) < 0)
        return -1;
    int64_t now_us = time_now_us();
    int64_t run = run_reserve(stream->directory, now_us / 1000, cause);
    if (run == 0)
        return -1;
    stream->run = (struct runfile){
        .camera = xstrdup(stream->camera),
        .stream = xstrdup(stream->name),
        .run = run,
        .node = xstrdup(stream->host->config->node),
        .start_us = now_us,
    };
    char *path = run_file_path(stream->directory, run);
    int result = runfile_store(&stream->run, path, cause);
    free(path);
    if (result < 0)
        runfile_fini(&stream->run);
    return result;
}

static void stream_reset_run(struct stream *stream)
{
    int64_t now_us = time_monotonic_us();
    stream->launch_us = now_us;
    stream->first_frame_us = 0;
    stream->progress = (struct progress){0};
    vitality_begin(&stream->vitality, now_us);
    stream->end_reason = stream->line_reason = NULL;
    free(stream->line_detail);
    stream->line_detail = NULL;
}

static struct child *stream_spawn(struct stream *stream, char **cause)
{
    const struct config *config = stream->host->config;
    char **args = ffmpeg_args(config, stream->config, stream->directory, stream->run.run);
    char *script = ffmpeg_script(config, stream->config);
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

static void stream_launch(struct stream *stream)
{
    char *cause = NULL;
    stream_reset_run(stream);
    if (stream_open_run(stream, &cause) == 0)
        stream->child = stream_spawn(stream, &cause);
    if (stream->child == NULL) {
        stream_close_run(stream, "start_failed", cause);
        stream_fail(stream, "start_failed", cause);
        free(cause);
        return;
    }
    stream->state = STREAM_CONNECTING;
    log_debug("%s/%s: ffmpeg started as %d, run %" PRId64, stream->camera, stream->name,
        (int)child_pid(stream->child), stream->run.run);
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
    stream->state = STREAM_RECORDING;
    if (stream->failures > 0)
        log_info("%s/%s: records again, after %u failed attempts (run %" PRId64 ")", stream->camera,
            stream->name, stream->failures, stream->run.run);
    else
        log_info("%s/%s: records (run %" PRId64 ")", stream->camera, stream->name, stream->run.run);
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
    stream->state = STREAM_ENDING;
    child_signal(stream->child, SIGTERM);
    stream_set_timer(stream, patience_us);
}

static void stream_do_kill(struct stream *stream)
{
    log_write(stream_fail_level(stream, stream->end_reason ? stream->end_reason : ""),
        "%s/%s: ffmpeg does not end, it is killed", stream->camera, stream->name);
    child_signal(stream->child, SIGKILL);
}

static void stream_do_end(struct stream *stream)
{
    ev_timer_stop(stream->host->loop, &stream->timer);
    stream->state = STREAM_ENDING;
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
    stream->log = logcap_new();
    ev_timer_init(&stream->timer, stream_timer_cb, 0., 0.);
    stream->timer.data = stream;
    return stream;
}

void stream_free(struct stream *stream)
{
    if (stream == NULL)
        return;
    ev_timer_stop(stream->host->loop, &stream->timer);
    stream_note_ends(stream);
    while (stream->unnoted_count > 0)
        runfile_fini(&stream->unnoted[--stream->unnoted_count]);
    free(stream->unnoted);
    runfile_fini(&stream->run);
    logcap_free(stream->log);
    mask_free(stream->mask);
    free(stream->line_detail);
    free(stream->last_reason);
    free(stream->directory);
    free(stream->name);
    free(stream->camera);
    free(stream);
}

void stream_start(struct stream *stream)
{
    stream->is_wanted = true;
    stream_event(stream, STREAM_EVENT_START);
}

void stream_stop(struct stream *stream, const char *reason)
{
    stream->is_wanted = false;
    if (stream->end_reason == NULL)
        stream->end_reason = reason;
    if (stream->state == STREAM_OFF)
        stream->host->idle(stream, stream->host->arg);
    else
        stream_event(stream, STREAM_EVENT_END);
}

void stream_restart(struct stream *stream, const char *reason)
{
    if (stream->state == STREAM_OFF)
        return;
    stream->failures = 0;
    if (stream->end_reason == NULL)
        stream->end_reason = reason;
    stream_event(stream, STREAM_EVENT_END);
}

static int64_t stream_file_size(const struct stream *stream, int64_t number)
{
    struct stat info;
    char *path = run_segment_path(stream->directory, stream->run.run, number);
    int64_t size = stat(path, &info) == 0 ? info.st_size : -1;
    free(path);
    return size;
}

// Finds the newest file and whether it has grown. Closed files are taken away by the indexer, so a
// number that is not there may have been.
static void stream_look_at_files(struct stream *stream, int64_t now_us)
{
    int64_t number = stream->vitality.file_number;
    for (int64_t next = number; next <= number + STREAM_LOOK_AHEAD; next++) {
        int64_t size = stream_file_size(stream, next);
        if (size >= 0)
            vitality_file(&stream->vitality, next, size, now_us);
    }
}

void stream_tick(struct stream *stream, int64_t now_us)
{
    bool is_running = stream->state == STREAM_CONNECTING || stream->state == STREAM_RECORDING;
    stream_note_ends(stream);
    if (!is_running || stream->config == NULL)
        return;
    stream_look_at_files(stream, now_us);
    const struct config_recording *recording = &stream->config->recording;
    const char *reason =
        vitality_judge(&stream->vitality, recording->timeout_us, recording->segment_us, now_us);
    if (reason == NULL)
        return;
    log_write(stream_fail_level(stream, reason), "%s/%s: no life in ffmpeg (%s), it is ended",
        stream->camera, stream->name, reason);
    stream->end_reason = reason;
    stream_event(stream, STREAM_EVENT_END);
}

void stream_forgive(struct stream *stream, int64_t now_us)
{
    vitality_forgive(&stream->vitality, now_us);
}
