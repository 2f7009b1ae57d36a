// Whether footage can stand in one file. See playback_check.h.
#include "webui/playback_check.h"

#include <string.h>

#include "lib/core/timeutil.h"

enum {
    // Between runs the recorder itself loses a moment; what is shorter than this is no gap.
    PLAYBACK_GAP_MIN_MS = 200,
    // How far the last whole fragment of an open segment may lie behind the clock.
    PLAYBACK_OPEN_DELAY_S = 5,
};

static json_t *playback_range_json(int64_t start_us, int64_t end_us)
{
    return json_pack("{s:o, s:o}", "start", reply_time(start_us), "end", reply_time(end_us));
}

// An error that names ranges of time beside its message. Takes the reference.
static void playback_conflict(
    struct reply *reply, const char *code, const char *field, const char *message, json_t *ranges)
{
    reply_json(reply, 409,
        json_pack("{s:{s:s, s:s, s:s, s:o}}", "error", "code", code, "message", message, "field",
            field, "ranges", ranges));
}

static bool playback_has_video(const struct footage_segment *segment)
{
    return segment->tracks[VFILE_VIDEO].counts.samples > 0;
}

// --- Gaps ---

static void playback_add_gap(json_t *gaps, int64_t start_us, int64_t end_us)
{
    if (end_us - start_us > PLAYBACK_GAP_MIN_MS * 1000)
        json_array_append_new(gaps, playback_range_json(start_us, end_us));
}

static bool playback_check_gaps(
    const struct footage *footage, const struct layout_key *key, struct reply *reply)
{
    json_t *gaps = json_array();
    int64_t covered_us = key->start_us;
    bool open = false;
    for (size_t i = 0; i < footage->count; i++) {
        const struct footage_segment *segment = &footage->segments[i];
        if (!playback_has_video(segment))
            continue;
        playback_add_gap(gaps, covered_us, segment->start_us);
        if (segment->end_us > covered_us) {
            covered_us = segment->end_us;
            open = segment->state == FOOTAGE_OPEN;
        }
    }
    int64_t end_us = time_now_us() - (open ? PLAYBACK_OPEN_DELAY_S * US_PER_SECOND : 0);
    playback_add_gap(gaps, covered_us, key->end_us < end_us ? key->end_us : end_us);
    if (json_array_size(gaps) == 0) {
        json_decref(gaps);
        return true;
    }
    playback_conflict(reply, "gaps", "gaps",
        "the range has gaps; ask for its parts, or with gaps=skip for what there is", gaps);
    return false;
}

// --- Codecs ---

// Whether both tracks of that kind can stand in one track of a file. A segment without the track
// goes with any.
static bool playback_compatible(const struct footage *footage, const struct footage_segment *a,
    const struct footage_segment *b, int kind)
{
    if (a->tracks[kind].counts.samples == 0 || b->tracks[kind].counts.samples == 0)
        return true;
    if (a->tracks[kind].timescale != b->tracks[kind].timescale)
        return false;
    if (a->codecs[kind] == 0 || b->codecs[kind] == 0)
        return a->codecs[kind] == b->codecs[kind];
    return strcmp(footage->codecs[a->codecs[kind] - 1].info.family,
               footage->codecs[b->codecs[kind] - 1].info.family) == 0;
}

static void playback_add_codec_range(const struct footage *footage, json_t *ranges,
    const struct footage_segment *first, int64_t end_us, int kind)
{
    json_t *range = playback_range_json(first->start_us, end_us);
    const char *name =
        first->codecs[kind] ? footage->codecs[first->codecs[kind] - 1].info.name : "";
    json_object_set_new(range, "codec", json_string(name));
    json_array_append_new(ranges, range);
}

// The sub-ranges that have one codec each.
static json_t *playback_codec_ranges(const struct footage *footage, int kind)
{
    json_t *ranges = json_array();
    const struct footage_segment *first = NULL;
    int64_t end_us = 0;
    for (size_t i = 0; i < footage->count; i++) {
        const struct footage_segment *segment = &footage->segments[i];
        if (segment->tracks[kind].counts.samples == 0)
            continue;
        if (first != NULL && !playback_compatible(footage, first, segment, kind)) {
            playback_add_codec_range(footage, ranges, first, end_us, kind);
            first = NULL;
        }
        first = first ? first : segment;
        end_us = segment->end_us;
    }
    if (first != NULL)
        playback_add_codec_range(footage, ranges, first, end_us, kind);
    return ranges;
}

static bool playback_check_codecs(
    const struct footage *footage, const struct layout_key *key, struct reply *reply)
{
    for (int kind = 0; kind < (key->audio ? 2 : 1); kind++) {
        json_t *ranges = playback_codec_ranges(footage, kind);
        if (json_array_size(ranges) > 1) {
            playback_conflict(reply, "codec_change", "start",
                kind == VFILE_VIDEO
                    ? "the codec changes inside the range; ask for its parts, or with codec="
                    : "the codec of the sound changes inside the range; ask for its parts, or "
                      "with codec= or audio=0",
                ranges);
            return false;
        }
        json_decref(ranges);
    }
    return true;
}

bool playback_check(
    const struct footage *footage, const struct layout_key *key, struct reply *reply)
{
    bool any = false;
    for (size_t i = 0; i < footage->count; i++)
        any |= playback_has_video(&footage->segments[i]) &&
               footage->segments[i].end_us > key->start_us;
    if (!any) {
        reply_error(reply, 404, "no_footage", NULL, "\"%s/%s\" has no footage in this range",
            key->camera, key->stream);
        return false;
    }
    return (!key->gaps_fail || playback_check_gaps(footage, key, reply)) &&
           playback_check_codecs(footage, key, reply);
}
