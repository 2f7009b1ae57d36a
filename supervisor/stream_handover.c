// What of a stream is handed over. See stream_handover.h.
#include "supervisor/stream_handover.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/core/alloc.h"
#include "supervisor/mask.h"
#include "supervisor/stream_recorder.h"

static const char *const stream_state_names[STREAM_STATE_COUNT] = {
#define X(constant, name) [constant] = (name),
    STREAM_STATE_MAP(X)
#undef X
};
static const struct handover_names stream_states = {stream_state_names, STREAM_STATE_COUNT};

static const char *const stream_audio_names[] = {
    [FFMPEG_AUDIO_COPY] = "copy",
    [FFMPEG_AUDIO_AAC] = "aac",
    [FFMPEG_AUDIO_NONE] = "none",
};
static const struct handover_names stream_audios = {
    stream_audio_names, ARRAY_LENGTH(stream_audio_names)};

static const struct handover_field stream_runfile_fields[] = {
    HANDOVER_VALUE(struct runfile, camera),
    HANDOVER_VALUE(struct runfile, stream),
    HANDOVER_VALUE(struct runfile, run),
    HANDOVER_VALUE(struct runfile, node),
    HANDOVER_VALUE(struct runfile, start_us),
    HANDOVER_VALUE(struct runfile, end_us),
    HANDOVER_VALUE(struct runfile, reason),
    HANDOVER_VALUE(struct runfile, detail),
};
static const struct handover_table stream_runfile_table =
    HANDOVER_TABLE(struct runfile, stream_runfile_fields);

static const struct handover_field stream_run_fields[] = {
    HANDOVER_INNER(struct stream_run, open, &stream_runfile_table),
    HANDOVER_SKIP(struct stream_run, unnoted), // a list, see below
    HANDOVER_SKIP(struct stream_run, unnoted_count),
    HANDOVER_SKIP(struct stream_run, unnoted_capacity),
};
static const struct handover_table stream_run_table =
    HANDOVER_TABLE(struct stream_run, stream_run_fields);

static const struct handover_field stream_progress_fields[] = {
    HANDOVER_VALUE(struct progress, frames),
    HANDOVER_VALUE(struct progress, fps),
    HANDOVER_VALUE(struct progress, out_time_us),
    HANDOVER_VALUE(struct progress, duplicated),
    HANDOVER_VALUE(struct progress, dropped),
    HANDOVER_VALUE(struct progress, has_ended),
};
static const struct handover_table stream_progress_table =
    HANDOVER_TABLE(struct progress, stream_progress_fields);

static const struct handover_field stream_growth_fields[] = {
    HANDOVER_SKIP(struct growth, fd), // a descriptor, see below
    HANDOVER_VALUE(struct growth, number),
    HANDOVER_VALUE(struct growth, size),
};
static const struct handover_table stream_growth_table =
    HANDOVER_TABLE(struct growth, stream_growth_fields);

static const struct handover_field stream_vitality_fields[] = {
    HANDOVER_VALUE(struct vitality, sign_us),
    HANDOVER_VALUE(struct vitality, block_us),
    HANDOVER_VALUE(struct vitality, frame_us),
    HANDOVER_VALUE(struct vitality, frames),
    HANDOVER_VALUE(struct vitality, file_number),
    HANDOVER_VALUE(struct vitality, file_size),
    HANDOVER_VALUE(struct vitality, file_us),
};
static const struct handover_table stream_vitality_table =
    HANDOVER_TABLE(struct vitality, stream_vitality_fields);

static const struct handover_field stream_clock_fields[] = {
    HANDOVER_VALUE(struct mediaclock, first_us),
    HANDOVER_VALUE(struct mediaclock, last_us),
    HANDOVER_VALUE(struct mediaclock, media_us),
    HANDOVER_VALUE(struct mediaclock, offset_us),
    HANDOVER_VALUE(struct mediaclock, moved_us),
    HANDOVER_VALUE(struct mediaclock, off_since_us),
    HANDOVER_VALUE(struct mediaclock, off_moved_us),
    HANDOVER_VALUE(struct mediaclock, disorder_since_us),
    HANDOVER_VALUE(struct mediaclock, disorder_us),
    HANDOVER_NUMBERS(struct mediaclock, verdicts_us),
    HANDOVER_VALUE(struct mediaclock, verdict_count),
};
static const struct handover_table stream_clock_table =
    HANDOVER_TABLE(struct mediaclock, stream_clock_fields);

static const struct handover_field stream_clue_fields[] = {
    HANDOVER_NAMED(struct clue, reason, &handover_reasons),
    HANDOVER_VALUE(struct clue, weight),
    HANDOVER_VALUE(struct clue, time_us),
    HANDOVER_VALUE(struct clue, words),
};
static const struct handover_table stream_clue_table =
    HANDOVER_TABLE(struct clue, stream_clue_fields);

static const struct handover_field stream_complaint_fields[] = {
    HANDOVER_NAMED(struct complaint, reason, &handover_reasons),
    HANDOVER_VALUE(struct complaint, told_us),
    HANDOVER_VALUE(struct complaint, untold),
};
static const struct handover_table stream_complaint_table =
    HANDOVER_TABLE(struct complaint, stream_complaint_fields);

static const struct handover_field stream_figures_fields[] = {
    HANDOVER_VALUE(struct figures, frames),
    HANDOVER_VALUE(struct figures, duplicated),
    HANDOVER_VALUE(struct figures, dropped),
    HANDOVER_VALUE(struct figures, bytes),
    HANDOVER_COUNTED(struct figures, restarts, &handover_reasons),
    HANDOVER_VALUE(struct figures, last_frame_utc_us),
    HANDOVER_INNER(struct figures, counted, &stream_progress_table),
    HANDOVER_VALUE(struct figures, block_us),
    HANDOVER_VALUE(struct figures, quiet_since_us),
    HANDOVER_VALUE(struct figures, quiet_until_us),
    HANDOVER_VALUE(struct figures, has_gap),
    HANDOVER_NAMED(struct figures, gap_reason, &handover_reasons),
    HANDOVER_VALUE(struct figures, gap_since_us),
    HANDOVER_VALUE(struct figures, gap_counted_us),
    HANDOVER_COUNTED(struct figures, gap_us, &handover_reasons),
    HANDOVER_VALUE(struct figures, last_frame_us),
    HANDOVER_VALUE(struct figures, last_gap_us),
    HANDOVER_NUMBERS(struct figures, samples), // three of them for each
    HANDOVER_VALUE(struct figures, sample_count),
};
static const struct handover_table stream_figures_table =
    HANDOVER_TABLE(struct figures, stream_figures_fields);

static const struct handover_field stream_usage_fields[] = {
    HANDOVER_VALUE(struct usage, ended_cpu_us),
    HANDOVER_VALUE(struct usage, running_cpu_us),
    HANDOVER_VALUE(struct usage, resident_bytes),
};
static const struct handover_table stream_usage_table =
    HANDOVER_TABLE(struct usage, stream_usage_fields);

static const struct handover_field stream_outage_fields[] = {
    HANDOVER_VALUE(struct outage, since_us),
    HANDOVER_VALUE(struct outage, queued_us),
    HANDOVER_VALUE(struct outage, is_told),
    HANDOVER_NAMED(struct outage, reason, &handover_reasons),
};
static const struct handover_table stream_outage_table =
    HANDOVER_TABLE(struct outage, stream_outage_fields);

static const struct handover_field stream_way_fields[] = {
    HANDOVER_NAMED(struct ffmpeg_way, audio, &stream_audios),
    HANDOVER_VALUE(struct ffmpeg_way, is_substitute),
    HANDOVER_VALUE(struct ffmpeg_way, is_udp),
};
static const struct handover_table stream_way_table =
    HANDOVER_TABLE(struct ffmpeg_way, stream_way_fields);

static const struct handover_field stream_adapt_fields[] = {
    HANDOVER_INNER(struct adapt, way, &stream_way_table),
    HANDOVER_VALUE(struct adapt, hints),
    HANDOVER_VALUE(struct adapt, has_frames),
    HANDOVER_VALUE(struct adapt, is_overdue),
    HANDOVER_VALUE(struct adapt, is_patient),
    HANDOVER_VALUE(struct adapt, is_suspicion),
    HANDOVER_VALUE(struct adapt, is_audio_cleared),
    HANDOVER_VALUE(struct adapt, is_tcp_refused),
    HANDOVER_VALUE(struct adapt, has_crossed),
    HANDOVER_VALUE(struct adapt, has_told_unused),
};
static const struct handover_table stream_adapt_table =
    HANDOVER_TABLE(struct adapt, stream_adapt_fields);

static const struct handover_field stream_fields[] = {
    HANDOVER_SKIP(struct stream, host),
    HANDOVER_SKIP(struct stream, camera), // whoever makes it says them
    HANDOVER_SKIP(struct stream, name),
    HANDOVER_SKIP(struct stream, directory),
    HANDOVER_SKIP(struct stream, config),
    HANDOVER_NAMED(struct stream, state, &stream_states),
    HANDOVER_VALUE(struct stream, state_since_us),
    HANDOVER_VALUE(struct stream, is_wanted),
    HANDOVER_VALUE(struct stream, is_hurried),
    HANDOVER_SKIP(struct stream, timer), // see below
    HANDOVER_SKIP(struct stream, turn),  // the queue is handed over by its host
    HANDOVER_SKIP(struct stream, child), // see below
    HANDOVER_SKIP(struct stream, mask),
    HANDOVER_INNER(struct stream, run, &stream_run_table),
    HANDOVER_VALUE(struct stream, launch_us),
    HANDOVER_VALUE(struct stream, first_frame_us),
    HANDOVER_INNER(struct stream, progress, &stream_progress_table),
    HANDOVER_INNER(struct stream, growth, &stream_growth_table),
    HANDOVER_INNER(struct stream, vitality, &stream_vitality_table),
    HANDOVER_INNER(struct stream, clock, &stream_clock_table),
    HANDOVER_VALUE(struct stream, has_spoken),
    HANDOVER_INNER(struct stream, clue, &stream_clue_table),
    HANDOVER_NAMED(struct stream, end_reason, &handover_reasons),
    HANDOVER_VALUE(struct stream, end_words),
    HANDOVER_SKIP(struct stream, obituary), // is never there between two events
    HANDOVER_SKIP(struct stream, log),      // see below
    HANDOVER_VALUE(struct stream, failures),
    HANDOVER_NAMED(struct stream, last_reason, &handover_reasons),
    HANDOVER_VALUE(struct stream, last_words),
    HANDOVER_INNER(struct stream, complaint, &stream_complaint_table),
    HANDOVER_INNER(struct stream, figures, &stream_figures_table),
    HANDOVER_INNER(struct stream, usage, &stream_usage_table),
    HANDOVER_INNER(struct stream, outage, &stream_outage_table),
    HANDOVER_INNER(struct stream, adapt, &stream_adapt_table),
};
const struct handover_table stream_handover_table = HANDOVER_TABLE(struct stream, stream_fields);

static json_t *stream_hand_over_unnoted(const struct stream_run *run)
{
    json_t *list = json_array();
    for (size_t i = 0; i < run->unnoted_count; i++)
        json_array_append_new(list, handover_write(&stream_runfile_table, &run->unnoted[i]));
    return list;
}

json_t *stream_hand_over(struct handover_writer *writer, const struct stream *stream)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "fields",
        handover_write(&stream_handover_table, stream), "timer",
        handover_timer(stream->host->loop, &stream->timer), "unnoted_runs",
        stream_hand_over_unnoted(&stream->run), "file", handover_fd(writer, stream->growth.fd),
        "log", logcap_hand_over(stream->log), "secrets", mask_hand_over(stream->mask), "child",
        stream->child ? child_hand_over(writer, stream->child) : json_null());
}

static void stream_take_over_unnoted(
    struct handover_reader *reader, json_t *list, struct stream_run *run)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        ARRAY_RESERVE(run->unnoted, run->unnoted_count, run->unnoted_capacity);
        struct runfile *file = &run->unnoted[run->unnoted_count++];
        *file = (struct runfile){0};
        handover_read(reader, json_array_get(list, i), &stream_runfile_table, file);
    }
}

// Whether a stream can be as it is said to be. (That one that waits has its turn or a timer is for
// whoever knows the queue to see to.)
static void stream_check(
    struct handover_reader *reader, const struct stream *stream, bool has_timer)
{
    bool is_running = stream->state == STREAM_CONNECTING || stream->state == STREAM_RECORDING ||
                      stream->state == STREAM_ENDING;
    bool may_have_timer = stream->state == STREAM_WAITING || stream->state == STREAM_ENDING;
    if (is_running != (stream->child != NULL) || (has_timer && !may_have_timer) ||
        is_running != (stream->run.open.run != 0))
        handover_fail(
            reader, "the state of %s/%s contradicts itself", stream->camera, stream->name);
}

struct stream *stream_take_over(struct handover_reader *reader, json_t *object,
    struct stream_host *host, const char *camera, const char *name)
{
    const struct config_stream named = {.camera = (char *)camera, .name = (char *)name};
    struct stream *stream = stream_new(host, &named);
    stream->config = NULL;
    handover_read(reader, handover_take(reader, object, "fields", JSON_OBJECT),
        &stream_handover_table, stream);
    bool has_timer = handover_take_timer(reader, object, "timer", host->loop, &stream->timer);
    stream_take_over_unnoted(
        reader, handover_take(reader, object, "unnoted_runs", JSON_ARRAY), &stream->run);
    stream->growth.fd = handover_take_fd(reader, object, "file", S_IFREG);
    logcap_take_over(reader, handover_take(reader, object, "log", JSON_ARRAY), stream->log);
    stream->mask = mask_take_over(reader, handover_take(reader, object, "secrets", JSON_ARRAY));
    json_t *child = handover_take_or_null(reader, object, "child", JSON_OBJECT);
    if (child != NULL)
        stream_recorder_take_over(reader, child, stream);
    handover_end(reader, object);
    stream_check(reader, stream, has_timer);
    return stream;
}
