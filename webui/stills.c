// Key frames: one of them, or a time-lapse. See stills.h and docs/api.md.
#include "webui/stills.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/media/still.h"
#include "webui/etag.h"
#include "webui/footage_line.h"
#include "webui/playback_check.h"
#include "webui/product.h"

// How far before the moment the frame may be.
#define STILLS_WITHIN_US (60 * US_PER_SECOND)
#define STILLS_WITHIN_MAX_US US_PER_DAY

// What is looked through first, because it mostly suffices.
#define STILLS_NEAR_US (2 * 60 * US_PER_SECOND)

static const char *const stills_gaps[] = {"skip", "fail", NULL};

enum {
    FRAME_T,
    FRAME_WITHIN,
    FRAME_DOWNLOAD,
};

const struct query_rule stills_frame_rules[] = {
    [FRAME_T] = {.name = "t", .type = QUERY_TIME, .required = true},
    [FRAME_WITHIN] = {.name = "within", .type = QUERY_DURATION, .fallback = STILLS_WITHIN_US},
    [FRAME_DOWNLOAD] = {.name = "download", .type = QUERY_FLAG},
    {0},
};

enum {
    TIMELAPSE_START,
    TIMELAPSE_END,
    TIMELAPSE_DURATION,
    TIMELAPSE_SPEED,
    TIMELAPSE_GAPS,
    TIMELAPSE_CODEC,
    TIMELAPSE_DOWNLOAD,
};

const struct query_rule stills_timelapse_rules[] = {
    [TIMELAPSE_START] = {.name = "start", .type = QUERY_TIME, .required = true},
    [TIMELAPSE_END] = {.name = "end", .type = QUERY_TIME},
    [TIMELAPSE_DURATION] = {.name = "duration", .type = QUERY_DURATION},
    [TIMELAPSE_SPEED] = {.name = "speed",
        .type = QUERY_INTEGER,
        .required = true,
        .min = 1,
        .max = STILL_SPEED_MAX},
    [TIMELAPSE_GAPS] = {.name = "gaps", .type = QUERY_CHOICE, .choices = stills_gaps},
    [TIMELAPSE_CODEC] = {.name = "codec", .type = QUERY_CHOICE, .choices = product_codecs},
    [TIMELAPSE_DOWNLOAD] = {.name = "download", .type = QUERY_FLAG},
    {0},
};

// --- From footage to a file ---

// What is known while stills are looked for.
struct stills_work {
    struct worker *worker;
    const struct layout_key *key;
    struct footage footage;
    struct vfile_segment *segments;
    struct stills chosen;
};

static void stills_work_fini(struct stills_work *work)
{
    stills_fini(&work->chosen);
    free(work->segments);
    footage_fini(&work->footage);
    *work = (struct stills_work){.worker = work->worker, .key = work->key};
}

// Loads the footage of a range. Returns false with the reply filled.
static bool stills_load(
    struct stills_work *work, int64_t start_us, int64_t end_us, struct reply *reply)
{
    const struct footage_query query = {
        .camera = work->key->camera,
        .stream = work->key->stream,
        .start_us = start_us,
        .end_us = end_us,
        .after_us = INT64_MIN,
        .limit = PRODUCT_SEGMENTS_MAX + 1,
        .predecessor = true,
    };
    char *cause = NULL;
    work->worker->busy = false;
    enum catalog_status status = footage_load(work->worker, &query, &work->footage, &cause);
    bool failed = product_load_failed(reply, work->key->camera, work->key->stream, status, cause);
    free(cause);
    if (failed)
        return false;
    if (work->footage.count > PRODUCT_SEGMENTS_MAX) {
        reply_error(reply, 400, "range_too_long", "start",
            "a file holds %d segments at most; ask for a part of the range", PRODUCT_SEGMENTS_MAX);
        return false;
    }
    return true;
}

static void stills_describe(struct stills_work *work)
{
    work->segments = xcalloc(work->footage.count + 1, sizeof(work->segments[0]));
    product_describe(&work->footage, work->segments);
}

struct stills_look {
    struct stills *keys;
    const struct vfile_segment *segment;
    size_t index;
};

static bool stills_look(void *arg, const struct sample_table_track *video)
{
    const struct stills_look *look = arg;
    return stills_find(look->keys, look->segment, look->index, video);
}

static int stills_keys(void *arg, size_t segment, struct stills *keys, char **cause)
{
    struct stills_work *work = arg;
    struct stills_look look = {keys, &work->segments[segment], segment};
    return footage_look(
        work->worker, &work->footage, &work->footage.segments[segment], stills_look, &look, cause);
}

// Numbers the sample entries that the chosen frames need. Returns them.
static struct mp4_entry *stills_take_entries(
    struct stills_work *work, struct vfile_request *request)
{
    const struct footage *footage = &work->footage;
    struct mp4_entry *items = xcalloc(footage->codec_count + 1, sizeof(items[0]));
    uint32_t *numbers = xcalloc(footage->codec_count + 1, sizeof(numbers[0]));
    struct vfile_entries *entries = &request->entries[VFILE_VIDEO];
    for (size_t i = 0; i < work->chosen.count; i++) {
        size_t segment = work->chosen.items[i].segment;
        uint32_t index = footage->segments[segment].codecs[VFILE_VIDEO];
        if (index == 0)
            continue;
        const struct catalog_codec *codec = &footage->codecs[index - 1];
        if (numbers[index] == 0) {
            items[entries->count++] = (struct mp4_entry){codec->entry, codec->entry_size};
            numbers[index] = (uint32_t)entries->count;
        }
        work->segments[segment].entries[VFILE_VIDEO] = numbers[index];
        if (codec->info.width > request->width)
            request->width = codec->info.width;
        if (codec->info.height > request->height)
            request->height = codec->info.height;
    }
    entries->items = items;
    free(numbers);
    return items;
}

// Stands for everything that the bytes come from.
static void stills_tag(const struct stills_work *work, struct layout *layout)
{
    const int64_t head[] = {
        VFILE_FORMAT_VERSION, STILL_FPS, (int64_t)vfile_info(layout->file)->size};
    struct etag etag;
    etag_init(&etag);
    etag_add(&etag, "stills", 6);
    etag_add(&etag, head, sizeof(head));
    layout->modified_s = 0;
    bool sealed = true;
    for (size_t i = 0; i < work->chosen.count; i++) {
        const struct still *still = &work->chosen.items[i];
        const struct footage_segment *segment = &layout->footage.segments[still->segment];
        const int64_t figures[] = {
            (int64_t)still->offset, still->size, still->duration, still->time_us};
        etag_add(&etag, figures, sizeof(figures));
        sealed &= segment->state == FOOTAGE_SEALED;
        if (i > 0 && still->segment == still[-1].segment)
            continue;
        char id[SEGMENT_TEXT_SIZE];
        footage_id(&layout->footage, segment, id);
        etag_add(&etag, id, strlen(id));
        if (segment->codecs[VFILE_VIDEO] > 0) {
            const struct catalog_codec *codec =
                &layout->footage.codecs[segment->codecs[VFILE_VIDEO] - 1];
            etag_add(&etag, codec->entry, codec->entry_size);
        }
        layout->modified_s = segment->end_us / US_PER_SECOND;
    }
    etag_format(&etag, layout->etag, sizeof(layout->etag));
    // A date has seconds only, so it stands for what does not change any more.
    if (!sealed)
        layout->modified_s = 0;
}

// A layout of the chosen frames; takes the footage. NULL with the reply filled on failure.
static struct layout *stills_lay_out(struct stills_work *work, struct reply *reply)
{
    struct vfile_request request = {
        .segments = work->segments, .segment_count = work->footage.count};
    struct mp4_entry *entries = stills_take_entries(work, &request);
    struct layout_access access = {work->worker, &work->footage};
    struct vfile_source source = layout_source(&access);
    char *cause = NULL;
    struct layout *layout = NULL;
    struct vfile *file = vfile_new_stills(&request, &work->chosen, &source, &cause);
    if (file != NULL) {
        layout = layout_new(work->key, &work->footage, file);
        stills_tag(work, layout);
    } else {
        product_refuse(reply, work->key, work->worker->busy, cause);
    }
    free(cause);
    free(entries);
    return layout;
}

static void stills_answer(struct worker *worker, struct reply *reply, struct layout *layout)
{
    reply->status = 200;
    reply->content_type = "video/mp4";
    memcpy(reply->etag, layout->etag, sizeof(reply->etag));
    reply->modified_s = layout->modified_s;
    product_lasts(reply, layout);
    reply->stream = layout_stream(layout, worker->shared->holds, worker->shared->disks);
}

// --- The one frame ---

// Looks for the last key frame in the range; none is no failure. Returns false with the reply
// filled.
static bool stills_find_frame(
    struct stills_work *work, int64_t first_us, int64_t time_us, struct reply *reply)
{
    struct still best;
    bool found = false, failed = false;
    char *cause = NULL;
    stills_describe(work);
    for (size_t i = work->footage.count; i-- > 0 && !failed;) {
        const struct vfile_segment *segment = &work->segments[i];
        struct stills keys = {0};
        if (segment->tracks[VFILE_VIDEO].counts.samples == 0 ||
            (found && segment->end_us <= best.time_us))
            continue;
        failed = stills_keys(work, i, &keys, &cause) < 0;
        const struct still *last = stills_at(&keys, time_us);
        if (last != NULL && last->time_us >= first_us && (!found || last->time_us > best.time_us)) {
            best = *last;
            found = true;
        }
        stills_fini(&keys);
    }
    if (failed)
        product_refuse(reply, work->key, work->worker->busy, cause);
    free(cause);
    if (found && !failed) {
        best.duration = VFILE_STILL_SCALE;
        stills_add(&work->chosen, &best);
    }
    return !failed;
}

// Goes back from the moment in growing steps. Returns false with the reply filled.
static bool stills_search(
    struct stills_work *work, int64_t time_us, int64_t within_us, struct reply *reply)
{
    for (int64_t back_us = 0; back_us < within_us && work->chosen.count == 0;) {
        back_us = back_us == 0 ? STILLS_NEAR_US : 8 * back_us;
        back_us = back_us < within_us ? back_us : within_us;
        stills_work_fini(work);
        if (!stills_load(work, time_us - back_us, time_us + 1, reply) ||
            !stills_find_frame(work, time_us - within_us, time_us, reply))
            return false;
    }
    if (work->chosen.count > 0)
        return true;
    reply_error(reply, 404, "no_footage", NULL,
        "\"%s/%s\" has no key frame in the %" PRId64
        " ms up to then; \"within\" looks further back",
        work->key->camera, work->key->stream, within_us / 1000);
    return false;
}

static void stills_answer_frame(
    struct stills_work *work, const struct request *request, struct reply *reply)
{
    char text[TIME_TEXT_SIZE];
    int64_t time_us = work->chosen.items[0].time_us;
    struct layout *layout = stills_lay_out(work, reply);
    if (layout == NULL)
        return;
    time_format_utc(time_us, text);
    reply_header(reply, "X-Keepframe-Time", "%s", text);
    product_file_time(time_us, text);
    reply_header(reply, "Content-Disposition", "%s; filename=\"%s_%s_%sZ.mp4\"",
        request->values[FRAME_DOWNLOAD].number == 1 ? "attachment" : "inline", work->key->camera,
        work->key->stream, text);
    stills_answer(work->worker, reply, layout);
    layout_release(layout);
}

void stills_frame(struct worker *worker, const struct request *request, struct reply *reply)
{
    int64_t time_us = request->values[FRAME_T].number;
    int64_t within_us = request->values[FRAME_WITHIN].number;
    struct layout_key key = {.start_us = time_us, .end_us = time_us};
    struct stills_work work = {.worker = worker, .key = &key};
    memcpy(key.camera, request->names[0], sizeof(key.camera));
    memcpy(key.stream, request->names[1], sizeof(key.stream));
    if (within_us > STILLS_WITHIN_MAX_US) {
        reply_error(reply, 400, "bad_parameter", "within", "\"within\" is a day at most");
        return;
    }
    if (stills_search(&work, time_us, within_us, reply))
        stills_answer_frame(&work, request, reply);
    stills_work_fini(&work);
}

// --- Time-lapse ---

static bool stills_check_length(const struct timelapse *timelapse, struct reply *reply)
{
    uint64_t frames = timelapse_frames_max(timelapse);
    if (frames <= VFILE_STILLS_MAX)
        return true;
    reply_error(reply, 400, "too_many_frames", "speed",
        "a time-lapse holds %d frames at most, this one may have %" PRIu64
        "; ask for a greater speed or a part of the range",
        VFILE_STILLS_MAX, frames);
    return false;
}

// Chooses the frames of the loaded footage. Returns false with the reply filled.
static bool stills_choose(struct stills_work *work, struct reply *reply)
{
    const struct layout_key *key = work->key;
    char *cause = NULL;
    product_choose_codec(&work->footage, key->codec);
    if (!playback_check(&work->footage, key, reply))
        return false;
    footage_line_up(&work->footage, key->start_us);
    stills_describe(work);
    const struct timelapse timelapse = {.segments = work->segments,
        .segment_count = work->footage.count,
        .start_us = key->start_us,
        .end_us = key->end_us,
        .speed = key->speed};
    const struct still_source source = {stills_keys, work};
    if (!stills_check_length(&timelapse, reply))
        return false;
    int result = timelapse_choose(&timelapse, &source, &work->chosen, &cause);
    if (result < 0)
        product_refuse(reply, key, work->worker->busy, cause);
    else if (work->chosen.count == 0)
        reply_error(reply, 404, "no_footage", NULL, "\"%s/%s\" has no key frame in this range",
            key->camera, key->stream);
    free(cause);
    return result == 0 && work->chosen.count > 0;
}

static struct layout *stills_make_timelapse(
    struct worker *worker, const struct layout_key *key, struct reply *reply)
{
    struct stills_work work = {.worker = worker, .key = key};
    struct layout *layout = NULL;
    if (stills_load(&work, key->start_us, key->end_us, reply) && stills_choose(&work, reply))
        layout = stills_lay_out(&work, reply);
    stills_work_fini(&work);
    if (layout != NULL)
        layouts_keep(worker->shared->layouts, layout);
    return layout;
}

void stills_timelapse(struct worker *worker, const struct request *request, struct reply *reply)
{
    const struct query_value *values = request->values;
    struct layout_key key = {
        .start_us = values[TIMELAPSE_START].number,
        .gaps_fail = values[TIMELAPSE_GAPS].number == 1,
        .speed = (uint32_t)values[TIMELAPSE_SPEED].number,
        .codec = (int)values[TIMELAPSE_CODEC].number,
    };
    char text[TIME_TEXT_SIZE];
    if (!product_read_range(
            request, &values[TIMELAPSE_END], &values[TIMELAPSE_DURATION], &key, reply))
        return;
    struct layout *layout =
        layouts_find(worker->shared->layouts, &key, request->conditions.if_range);
    if (layout == NULL)
        layout = stills_make_timelapse(worker, &key, reply);
    if (layout == NULL)
        return;
    const struct vfile_info *info = vfile_info(layout->file);
    time_format_utc(info->start_us, text);
    reply_header(reply, "X-Keepframe-Start", "%s", text);
    time_format_utc(info->end_us, text);
    reply_header(reply, "X-Keepframe-End", "%s", text);
    product_file_time(info->start_us, text);
    reply_header(reply, "Content-Disposition",
        "%s; filename=\"%s_%s_%sZ_%" PRId64 "s_x%" PRIu32 ".mp4\"",
        values[TIMELAPSE_DOWNLOAD].number == 1 ? "attachment" : "inline", key.camera, key.stream,
        text, (info->duration_us + US_PER_SECOND / 2) / US_PER_SECOND, key.speed);
    stills_answer(worker, reply, layout);
    layout_release(layout);
}
