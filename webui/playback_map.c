// When what of a file was recorded. See playback.h and docs/api.md.
#include "lib/core/timeutil.h"
#include "webui/playback.h"

enum {
    MAP_GAP_MIN_MS = 200, // between runs the recorder itself loses a moment
};

struct map {
    const struct layout *layout;
    json_t *pieces, *gaps, *overlaps, *silence;
    bool any;           // pieces before the next one
    int64_t until_us;   // the latest end of one of them
    int64_t overlap_us; // where the last overlap ends
};

static json_t *map_seconds(int64_t us)
{
    return json_real((double)us / US_PER_SECOND);
}

static json_t *map_step(int64_t media_us, int64_t start_us, int64_t end_us)
{
    return json_pack("{s:o, s:o, s:o}", "media", map_seconds(media_us), "start",
        reply_time(start_us), "end", reply_time(end_us));
}

// Where nothing is before a piece, or what is there was shown already.
static void map_add_step(struct map *map, int64_t media_us, int64_t start_us, int64_t end_us)
{
    int64_t step_us = start_us - map->until_us;
    int64_t overlap_end_us = end_us < map->until_us ? end_us : map->until_us;
    json_t *last = json_array_get(map->overlaps, json_array_size(map->overlaps) - 1);
    if (!map->any)
        return;
    if (step_us > MAP_GAP_MIN_MS * 1000)
        json_array_append_new(map->gaps, map_step(media_us, map->until_us, start_us));
    else if (last != NULL && map->overlap_us == start_us && overlap_end_us > start_us) {
        json_object_set_new(last, "end", reply_time(overlap_end_us));
        map->overlap_us = overlap_end_us;
    } else if (step_us < -MAP_GAP_MIN_MS * 1000) {
        json_array_append_new(map->overlaps, map_step(media_us, start_us, overlap_end_us));
        map->overlap_us = overlap_end_us;
    }
}

static void map_pass(struct map *map, int64_t end_us)
{
    if (!map->any || end_us > map->until_us)
        map->until_us = end_us;
    map->any = true;
}

// A segment's part; what is hidden before the file's first frame is not in the map.
static void map_add_piece(struct map *map, size_t index, const struct vfile_stretch *stretch)
{
    const struct footage *footage = &map->layout->footage;
    const struct footage_segment *segment = &footage->segments[stretch->segment];
    const struct vfile_info *info = vfile_info(map->layout->file);
    char id[SEGMENT_TEXT_SIZE];
    int64_t media_us = stretch->media_us > 0 ? stretch->media_us : 0;
    int64_t start_us = stretch->media_us > 0 ? segment->start_us : info->start_us;
    int64_t end_us =
        index + 1 == vfile_stretch_count(map->layout->file) ? info->end_us : segment->end_us;
    if (end_us <= start_us)
        return;
    map_add_step(map, media_us, start_us, end_us);
    footage_id(footage, segment, id);
    json_array_append_new(
        map->pieces, json_pack("{s:o, s:o, s:o, s:s}", "media", map_seconds(media_us), "start",
                         reply_time(start_us), "end", reply_time(end_us), "segment", id));
    map_pass(map, end_us);
}

static void map_add(struct map *map, size_t index)
{
    struct vfile_stretch stretch;
    vfile_stretch_get(map->layout->file, index, &stretch);
    if (!stretch.silence)
        map_add_piece(map, index, &stretch);
    else
        json_array_append_new(
            map->silence, json_pack("{s:o, s:o}", "media", map_seconds(stretch.media_us),
                              "duration", map_seconds(stretch.duration_us)));
}

static void map_answer(struct map *map, struct worker *worker, size_t next, struct reply *reply)
{
    const struct vfile_info *info = vfile_info(map->layout->file);
    bool more = next < vfile_stretch_count(map->layout->file);
    reply_json(reply, 200,
        json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:I, s:o, s:o, s:o, s:o, s:o}", "node",
            worker->conf->node, "camera", map->layout->key.camera, "stream",
            map->layout->key.stream, "start", reply_time(info->start_us), "end",
            reply_time(info->end_us), "duration", map_seconds(info->duration_us), "lead_in",
            map_seconds(info->lead_in_us), "bytes", (json_int_t)info->size, "pieces", map->pieces,
            "gaps", map->gaps, "overlaps", map->overlaps, "silence", map->silence, "cursor",
            more ? json_sprintf("%zu", next) : json_null()));
}

void playback_map(struct worker *worker, const struct request *request, struct reply *reply)
{
    struct layout *layout = playback_layout(worker, request, reply);
    if (layout == NULL)
        return;
    struct map map = {.layout = layout,
        .pieces = json_array(),
        .gaps = json_array(),
        .overlaps = json_array(),
        .silence = json_array()};
    size_t count = vfile_stretch_count(layout->file);
    size_t at = (size_t)request->values[PLAYBACK_CURSOR].number;
    size_t limit = (size_t)request->values[PLAYBACK_LIMIT].number;
    size_t end = at < count && count - at > limit ? at + limit : count;
    // A page knows what was shown on those before it.
    for (size_t i = 0; i < at && i < count; i++) {
        struct vfile_stretch before;
        vfile_stretch_get(layout->file, i, &before);
        if (!before.silence)
            map_pass(&map, layout->footage.segments[before.segment].end_us);
    }
    for (; at < end; at++)
        map_add(&map, at);
    map_answer(&map, worker, end, reply);
    layout_release(layout);
}
