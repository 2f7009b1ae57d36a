// Which samples of a stream's segments a virtual file begins and ends with. See vfile_planner.h.
#include "lib/media/vfile_planner.h"

#include "lib/core/alloc.h"
#include "lib/core/timeutil.h"

// Bounds on what a table may claim, so that no sum of times can overflow: 136 years, and a time
// scale of a tenth of a microsecond.
#define PLAN_SECONDS_MAX (INT64_C(1) << 32)
#define PLAN_TIMESCALE_MAX 10000000

// The frame on screen at `time`: the last in presentation order that is not later; the first one
// when all are.
static void plan_frame_find(
    struct plan_frame *found, const struct sample_table_track *track, int64_t time)
{
    struct plan_frame earliest = {0};
    struct plan_key key = {0}, previous_key = {0};
    bool any = false, any_earliest = false;
    struct sample_iter iter;
    sample_iter_init(&iter, track);
    for (const struct sample *sample; (sample = sample_iter_next(&iter)) != NULL;) {
        int64_t presentation = (int64_t)sample->decode_time + sample->composition;
        // What follows a key frame is shown after the key frame before it.
        if (sample->key && key.found && key.presentation > time)
            break;
        if (sample->key) {
            previous_key = key;
            key =
                (struct plan_key){true, sample->index, (int64_t)sample->decode_time, presentation};
        }
        struct plan_frame frame = {sample->index, presentation, key, previous_key};
        if (presentation <= time && (!any || presentation >= found->presentation)) {
            *found = frame;
            any = true;
        }
        if (!any_earliest || presentation < earliest.presentation) {
            earliest = frame;
            any_earliest = true;
        }
    }
    if (!any)
        *found = earliest;
}

static bool planner_start_at(struct planner *planner, size_t segment, const struct plan_key *key)
{
    planner->first_segment = segment;
    planner->first_sample = key->index;
    planner->first_decode = key->decode;
    planner->first_presentation = key->presentation;
    return true;
}

// A frame that is shown before its key frame (a leading picture of an open GOP) refers to frames
// before that: decoding must begin one key frame earlier, in the segment before if need be. Returns
// false with *cause set when that one's table can not be had.
static bool planner_lead_in(struct planner *planner)
{
    const struct vfile_segment *segments = planner->request->segments;
    const struct plan_frame *shown = &planner->shown;
    size_t segment = planner->shown_segment;
    if (shown->key.found && shown->presentation >= shown->key.presentation)
        return planner_start_at(planner, segment, &shown->key);
    if (shown->previous_key.found)
        return planner_start_at(planner, segment, &shown->previous_key);
    if (segment > 0 && plan_has_video(&segments[segment - 1]) &&
        plan_continues(&segments[segment - 1], &segments[segment])) {
        const struct sample_table_track *track = planner_table(planner, segment - 1, VFILE_VIDEO);
        if (track == NULL)
            return false;
        struct plan_frame last;
        plan_frame_find(&last, track, INT64_MAX);
        if (last.key.found)
            return planner_start_at(planner, segment - 1, &last.key);
    }
    // Nothing before it: the key frame itself is the first that can be shown.
    if (shown->key.found) {
        planner->shown.presentation = shown->key.presentation;
        planner->shown.index = shown->key.index;
    }
    return planner_start_at(planner, segment, &shown->key);
}

static bool plan_summary_sane(const struct track_summary *summary)
{
    if (summary->counts.samples == 0)
        return true;
    if (summary->timescale == 0 || summary->timescale > PLAN_TIMESCALE_MAX)
        return false;
    int64_t limit = PLAN_SECONDS_MAX * summary->timescale;
    return summary->start > -limit && summary->start < limit &&
           summary->counts.duration < (uint64_t)limit &&
           summary->last_duration <= summary->counts.duration;
}

// Refuses what no arithmetic can be done with.
int planner_check(struct planner *planner)
{
    const struct vfile_request *request = planner->request;
    uint32_t timescale = 0;
    for (size_t i = 0; i < request->segment_count; i++) {
        const struct vfile_segment *segment = &request->segments[i];
        if (!plan_summary_sane(&segment->tracks[VFILE_VIDEO]) ||
            !plan_summary_sane(&segment->tracks[VFILE_AUDIO]))
            return planner_refuse(planner, i, "its times are absurd");
        if (segment->start_us < -PLAN_TIME_MAX_US || segment->end_us > PLAN_TIME_MAX_US ||
            segment->end_us < segment->start_us)
            return planner_refuse(planner, i, "its place in time is absurd");
        if (!plan_has_video(segment))
            continue;
        if (timescale != 0 && plan_video(segment)->timescale != timescale)
            return planner_refuse(planner, i, "its video has another time scale");
        timescale = plan_video(segment)->timescale;
    }
    return 0;
}

int planner_find_start(struct planner *planner)
{
    const struct vfile_request *request = planner->request;
    size_t i = 0;
    while (i < request->segment_count && (request->segments[i].end_us <= request->start_us ||
                                             !plan_has_video(&request->segments[i])))
        i++;
    if (i == request->segment_count || request->segments[i].start_us >= request->end_us) {
        *planner->cause = xasprintf("there is no footage in this range");
        return -1;
    }
    const struct vfile_segment *segment = &request->segments[i];
    const struct sample_table_track *track = planner_table(planner, i, VFILE_VIDEO);
    if (track == NULL)
        return -1;
    planner->shown_end = plan_video_end(segment, track);
    int64_t time = INT64_MIN;
    if (request->start_us > segment->start_us)
        time = plan_media_time(segment, planner->shown_end, request->start_us) -
               plan_video(segment)->start;
    planner->shown_segment = i;
    plan_frame_find(&planner->shown, track, time);
    if (!planner_lead_in(planner))
        return -1;
    if (request->start_at_key) {
        if (planner->first_segment != i)
            planner->shown_end = plan_span_end(&request->segments[planner->first_segment]);
        planner->shown_segment = planner->first_segment;
        planner->shown.presentation = planner->first_presentation;
        planner->shown.index = planner->first_sample;
    }
    return 0;
}

// Up to the last sample, in decode order, that is presented before the end of the request; and
// which of them is on screen when it ends.
static int planner_trim_end(struct planner *planner, size_t segment)
{
    const struct vfile_segment *last = &planner->request->segments[segment];
    const struct sample_table_track *track = planner_table(planner, segment, VFILE_VIDEO);
    if (track == NULL)
        return -1;
    planner->last_end = plan_video_end(last, track);
    planner->end = plan_media_time(last, planner->last_end, planner->request->end_us) -
                   plan_video(last)->start;
    if (segment == planner->shown_segment && planner->end <= planner->shown.presentation)
        planner->end = planner->shown.presentation + 1;
    uint32_t first = segment == planner->first_segment ? planner->first_sample : 0;
    planner->last_count = 0;
    int64_t latest = INT64_MIN;
    struct sample_iter iter;
    sample_iter_init(&iter, track);
    for (const struct sample *sample; (sample = sample_iter_next(&iter)) != NULL;) {
        int64_t presentation = (int64_t)sample->decode_time + sample->composition;
        if (presentation >= planner->end || sample->index < first)
            continue;
        planner->last_count = sample->index + 1;
        planner->last_decode = (int64_t)sample->decode_time;
        planner->last_duration = sample->duration;
        if (presentation < latest)
            continue;
        latest = presentation;
        planner->cut_sample = sample->index;
        planner->cut_duration = planner->end - presentation;
        planner->cut_by = (int64_t)sample->duration - planner->cut_duration;
    }
    return 0;
}

static int planner_end_whole(struct planner *planner, size_t segment)
{
    const struct track_summary *video = plan_video(&planner->request->segments[segment]);
    planner->last_segment = segment;
    planner->end_trimmed = false;
    planner->cut_by = 0;
    planner->last_count = video->counts.samples;
    planner->last_decode = (int64_t)video->counts.duration - video->last_duration;
    planner->last_duration = video->last_duration;
    if (planner_video_end(planner, segment, &planner->last_end) < 0)
        return -1;
    planner->end = planner->last_end - video->start;
    return 0;
}

int planner_find_end(struct planner *planner)
{
    const struct vfile_request *request = planner->request;
    size_t i = request->segment_count - 1;
    while (i > planner->shown_segment && (request->segments[i].start_us >= request->end_us ||
                                             !plan_has_video(&request->segments[i])))
        i--;
    const struct vfile_segment *segment = &request->segments[i];
    if (request->end_us >= segment->end_us)
        return planner_end_whole(planner, i);
    planner->last_segment = i;
    planner->end_trimmed = true;
    if (planner_trim_end(planner, i) < 0)
        return -1;
    // The end lies before this segment's first frame: the one before it is the last.
    if (planner->last_count > 0)
        return 0;
    do
        i--;
    while (!plan_has_video(&request->segments[i]));
    return planner_end_whole(planner, i);
}
