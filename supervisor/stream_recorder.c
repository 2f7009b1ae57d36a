// The ffmpeg of a stream. See stream_recorder.h.
#include "supervisor/stream_recorder.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/log.h"
#include "lib/core/timeutil.h"
#include "supervisor/ffmpeg.h"
#include "supervisor/mask.h"
#include "supervisor/obituary.h"

enum {
    STREAM_OOM_SCORE = 300,
};

static void stream_recorder_progress_cb(void *arg, const char *line)
{
    struct stream *stream = arg;
    struct progress *progress = &stream->progress;
    if (!progress_line(progress, line))
        return;
    int64_t now_us = time_monotonic_us();
    vitality_block(&stream->vitality, progress->frames, now_us);
    mediaclock_progress(&stream->clock, progress->out_time_us, now_us);
    figures_progress(&stream->figures, progress, now_us, time_now_us());
    if (progress->frames > 0 && stream->first_frame_us == 0) {
        stream->first_frame_us = now_us;
        stream_event(stream, STREAM_EVENT_FRAME);
    }
}

// An option of the script is not known to ffmpeg, which does not say which one. It records all the
// same, and vitality watches over it whatever the option was for: a lost timeout, too.
static void stream_recorder_tell_unused(struct stream *stream, const char *line)
{
    bool is_ours = stream->host->config->ffmpeg.input_options.count == 0;
    log_err("%s/%s: %s: %s", stream->camera, stream->name,
        is_ours ? "this ffmpeg does not know an option that Keepframe needs"
                : "ffmpeg.input_options has an option that ffmpeg's RTSP input does not know",
        line);
    stream_set_reason(stream, REASON_CONFIGURATION, line);
}

static void stream_recorder_error_cb(void *arg, const char *line)
{
    struct stream *stream = arg;
    char *masked = mask_text(line, stream->mask);
    unsigned repeats = logcap_add(stream->log, masked);
    const char *last = logcap_last(stream->log);
    int64_t now_us = time_monotonic_us();
    free(masked);
    stream->has_spoken = true;
    if (clue_is_disorder(last))
        mediaclock_disorder(&stream->clock, now_us);
    clue_take(&stream->clue, last, now_us);
    adapt_line(&stream->adapt, last);
    if (adapt_is_unused_news(&stream->adapt, last))
        stream_recorder_tell_unused(stream, last);
    else if (repeats == 1)
        log_debug("%s/%s: ffmpeg: %s", stream->camera, stream->name, last);
}

static void stream_recorder_write_obituary(
    struct stream *stream, int status, struct obituary *obituary, int64_t now_us)
{
    clue_expire(&stream->clue, now_us);
    const struct obituary_facts facts = {
        .camera = stream->camera,
        .stream = stream->name,
        .status = status,
        .ended_as = stream->end_reason,
        .end_words = stream->end_words,
        .last_line = stream->has_spoken ? logcap_last(stream->log) : NULL,
        .clue = &stream->clue,
        .life_us = now_us - stream->launch_us,
        .timeout_us = stream->config ? stream->config->recording.timeout_us : 0,
        .frames = stream->progress.frames,
    };
    obituary_compose(obituary, &facts);
}

// Says how often what was told once has been repeated.
static void stream_recorder_repeat_cb(void *arg, const char *text, unsigned times)
{
    const struct stream *stream = arg;
    log_debug("%s/%s: ffmpeg, said %u times more: %s", stream->camera, stream->name, times, text);
}

static void stream_recorder_end_cb(void *arg, int status)
{
    struct stream *stream = arg;
    struct obituary obituary;
    int64_t now_us = time_monotonic_us();
    usage_end(&stream->usage, child_cpu_us(stream->child));
    stream->child = NULL;
    stream_recorder_write_obituary(stream, status, &obituary, now_us);
    logcap_tell_repeats(stream->log, stream_recorder_repeat_cb, stream);
    figures_grow(
        &stream->figures, growth_end(&stream->growth, stream->directory, stream->run.open.run));
    figures_end(&stream->figures, obituary.reason, stream->is_wanted, now_us);
    stream_run_close(&stream->run, stream->directory, obituary.reason, obituary.words);
    stream->obituary = &obituary;
    stream_event(stream, STREAM_EVENT_OVER); // the stream may be gone after this
    obituary_fini(&obituary);
}

static void stream_recorder_reset(struct stream *stream)
{
    int64_t now_us = time_monotonic_us();
    stream->launch_us = now_us;
    stream->first_frame_us = 0;
    stream->progress = (struct progress){0};
    stream->end_reason = REASON_NONE;
    free(stream->end_words);
    stream->end_words = NULL;
    stream->has_spoken = false;
    clue_fini(&stream->clue);
    adapt_begin(&stream->adapt);
    growth_begin(&stream->growth);
    figures_begin(&stream->figures);
    vitality_begin(&stream->vitality, now_us);
    mediaclock_begin(&stream->clock);
}

// What is done with what the child says, and with its end.
static struct child_spec stream_recorder_spec(struct stream *stream)
{
    return (struct child_spec){
        .environment = stream->host->environment,
        .death_signal = SIGKILL,
        .oom_score = STREAM_OOM_SCORE,
        .progress = stream_recorder_progress_cb,
        .error = stream_recorder_error_cb,
        .end = stream_recorder_end_cb,
        .arg = stream,
    };
}

static struct child *stream_recorder_spawn(struct stream *stream, char **cause)
{
    const struct config *config = stream->host->config;
    const struct ffmpeg_way *way = &stream->adapt.way;
    char **args = ffmpeg_args(config, stream->config, way, stream->directory, stream->run.open.run);
    char *script = ffmpeg_script(config, stream->config, way);
    struct child_spec spec = stream_recorder_spec(stream);
    spec.argv = args;
    spec.input = script;
    mask_free(stream->mask);
    stream->mask = mask_new(stream->config->url, stream->config->password);
    struct child *child = child_start(stream->host->loop, &spec, cause);
    explicit_bzero(script, strlen(script));
    free(script);
    ffmpeg_args_free(args);
    return child;
}

int stream_recorder_start(struct stream *stream, char **cause)
{
    stream_recorder_reset(stream);
    if (stream_run_open(&stream->run, stream->directory, stream->host->config->node, cause) < 0)
        return -1;
    stream->child = stream_recorder_spawn(stream, cause);
    if (stream->child == NULL) {
        stream_run_close(&stream->run, stream->directory, REASON_START_FAILED, *cause);
        return -1;
    }
    log_debug("%s/%s: ffmpeg started as %d, run %" PRId64, stream->camera, stream->name,
        (int)child_pid(stream->child), stream->run.open.run);
    return 0;
}

void stream_recorder_take_over(
    struct handover_reader *reader, json_t *object, struct stream *stream)
{
    const struct child_spec spec = stream_recorder_spec(stream);
    stream->child = child_take_over(reader, object, stream->host->loop, &spec);
}
