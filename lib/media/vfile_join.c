// Joins the segments' video on the file's clock. See vfile_planner.h.
#include "lib/media/vfile_planner.h"

#include <stdlib.h>

#include "lib/core/alloc.h"
#include "lib/core/timeutil.h"

// A piece and a span for each segment, of the same index.
static void planner_add_segments(struct planner *planner)
{
    for (size_t i = planner->first_segment; i <= planner->last_segment; i++) {
        const struct vfile_segment *from = &planner->request->segments[i];
        if (!plan_has_video(from))
            continue;
        planner_add_span(planner, VFILE_VIDEO,
            &(struct vfile_span){.piece = planner->plan->piece_count,
                .count = plan_video(from)->counts.samples,
                .last_duration = plan_video(from)->last_duration,
                .entry = from->entries[VFILE_VIDEO]});
        planner_add_piece(
            planner, &(struct vfile_piece){.kind = PIECE_SEGMENT,
                         .segment = i,
                         .file_offset = from->media_offset,
                         .file_end = from->media_end,
                         .kept[VFILE_VIDEO].count = plan_video(from)->counts.samples});
    }
}

static void planner_trim_spans(struct planner *planner)
{
    struct vfile_plan *plan = planner->plan;
    struct vfile_span *spans = plan->tracks[VFILE_VIDEO].spans;
    size_t last = plan->tracks[VFILE_VIDEO].span_count - 1;
    spans[last].count = planner->last_count;
    spans[last].last_duration = planner->last_duration;
    spans[0].first = planner->first_sample;
    spans[0].count -= planner->first_sample;
    plan->pieces[last].kept[VFILE_VIDEO].count = planner->last_count;
    plan->pieces[0].kept[VFILE_VIDEO].first = planner->first_sample;
    plan->pieces[0].kept[VFILE_VIDEO].count -= planner->first_sample;
}

// Finds where each piece's video ends, and how much time is left out between them.
static int planner_end_pieces(struct planner *planner)
{
    struct vfile_plan *plan = planner->plan;
    const struct vfile_segment *segments = planner->request->segments;
    int64_t until_us = INT64_MAX;
    for (size_t i = 0; i < plan->piece_count; i++) {
        const struct vfile_segment *segment = &segments[plan->pieces[i].segment];
        bool last = i + 1 == plan->piece_count;
        int64_t *end = &plan->pieces[i].video_end;
        if (last)
            *end = planner->last_end;
        else if (plan_continues(segment, &segments[plan->pieces[i + 1].segment]))
            *end = plan_span_end(segment);
        else if (planner_video_end(planner, plan->pieces[i].segment, end) < 0)
            return -1;
        bool joined = i > 0 && plan_continues(&segments[plan->pieces[i - 1].segment], segment);
        if (!joined && segment->start_us > until_us)
            plan->skipped_us += segment->start_us - until_us;
        if (i == 0 || segment->end_us > until_us)
            until_us = segment->end_us;
    }
    return 0;
}

static int64_t planner_next_origin(const struct planner *planner, size_t i)
{
    const struct vfile_piece *before = &planner->plan->pieces[i - 1];
    const struct vfile_segment *segments = planner->request->segments;
    const struct vfile_segment *segment = &segments[before[1].segment];
    if (plan_continues(&segments[before->segment], segment))
        return before->origin;
    return before->origin + before->video_end - plan_span_start(segment);
}

// Places every piece's video on the file's clock. Where decode times would not ascend, the segment
// is decoded later by `shift` and its composition offsets shrink by as much: it is shown when it
// was.
static int planner_place_pieces(struct planner *planner)
{
    struct vfile_plan *plan = planner->plan;
    struct vfile_span *spans = plan->tracks[VFILE_VIDEO].spans;
    int64_t last_decode = -1;
    for (size_t i = 0; i < plan->piece_count; i++) {
        struct vfile_piece *piece = &plan->pieces[i];
        const struct track_summary *video = plan_video(&planner->request->segments[piece->segment]);
        int64_t first_decode = i == 0 ? planner->first_decode : 0;
        piece->origin = i == 0 ? -(video->start + first_decode) : planner_next_origin(planner, i);
        int64_t decode = piece->origin + video->start + first_decode;
        int64_t shift = decode > last_decode ? 0 : last_decode + 1 - decode;
        decode += shift;
        spans[i].composition_shift = (int32_t)-shift;
        if (shift > INT32_MAX)
            return planner_refuse(planner, piece->segment, "its times overlap too far");
        if (i > 0 &&
            planner_set_duration(planner, &spans[i - 1], decode - last_decode, piece->segment) < 0)
            return -1;
        int64_t whole = (int64_t)video->counts.duration - video->last_duration;
        last_decode =
            decode + (i + 1 == plan->piece_count ? planner->last_decode : whole) - first_decode;
        if (piece->segment == planner->shown_segment)
            planner->shown_time = piece->origin + video->start + planner->shown.presentation;
        planner->end_time = piece->origin + video->start + planner->end;
    }
    planner->lead_in = planner->shown_time - (planner->first_presentation - planner->first_decode);
    return 0;
}

// An edit can not begin before time zero: moves all presentation so that it does not.
static int planner_shift_presentation(struct planner *planner)
{
    struct vfile_plan *plan = planner->plan;
    int64_t shift = planner->shown_time < 0 ? -planner->shown_time : 0;
    bool composition = false;
    for (size_t i = 0; i < plan->piece_count; i++) {
        struct vfile_piece *piece = &plan->pieces[i];
        const struct track_summary *video = plan_video(&planner->request->segments[piece->segment]);
        struct vfile_span *span = &plan->tracks[VFILE_VIDEO].spans[i];
        int64_t total = span->composition_shift + shift;
        if (video->least_composition + total < INT32_MIN ||
            video->greatest_composition + total > INT32_MAX)
            return planner_refuse(planner, piece->segment, "its composition offsets are absurd");
        span->composition_shift = (int32_t)total;
        composition |=
            total != 0 || video->least_composition != 0 || video->greatest_composition != 0;
        piece->origin += shift;
    }
    planner->shown_time += shift;
    planner->end_time += shift;
    plan->tracks[VFILE_VIDEO].composition = composition;
    return 0;
}

static void planner_finish_video(struct planner *planner)
{
    struct vfile_plan *plan = planner->plan;
    const struct vfile_segment *segments = planner->request->segments;
    const struct vfile_segment *shown = &segments[planner->shown_segment];
    const struct vfile_segment *last = &segments[planner->last_segment];
    struct vfile_track_plan *track = &plan->tracks[VFILE_VIDEO];
    track->timescale = plan_video(shown)->timescale;
    track->duration = (uint64_t)(planner->end_time - planner->shown_time);
    track->edits[0] = (struct mp4_edit){track->duration, planner->shown_time};
    track->edit_count = 1;
    plan->shown_time = planner->shown_time;
    for (size_t i = 0; i < plan->piece_count; i++)
        plan->pieces[i].time = plan->pieces[i].origin - planner->shown_time +
                               plan_span_start(&segments[plan->pieces[i].segment]);
    plan->timescale = track->timescale;
    plan->duration = track->duration;
    plan->start_us = plan_wall_time(
        shown, planner->shown_end, plan_video(shown)->start + planner->shown.presentation);
    plan->end_us = last->end_us;
    if (planner->end_trimmed)
        plan->end_us =
            planner->request->end_us > plan->start_us
                ? planner->request->end_us
                : plan_wall_time(last, planner->last_end, plan_video(last)->start + planner->end);
    plan->lead_in_us =
        planner->lead_in <= 0 ? 0 : time_muldiv(planner->lead_in, US_PER_SECOND, track->timescale);
}

int planner_place_video(struct planner *planner)
{
    planner_add_segments(planner);
    planner_trim_spans(planner);
    if (planner_end_pieces(planner) < 0 || planner_place_pieces(planner) < 0 ||
        planner_shift_presentation(planner) < 0)
        return -1;
    planner_finish_video(planner);
    return 0;
}

// Where frames are reordered, others are decoded after the one that is shown last: they move up by
// what it loses and are shown when they were. They become a span of their own, because a span has
// one shift of its composition offsets.
int planner_cut_last(struct planner *planner)
{
    struct vfile_track_plan *track = &planner->plan->tracks[VFILE_VIDEO];
    if (planner->cut_by <= 0)
        return 0;
    struct vfile_span *span = &track->spans[track->span_count - 1];
    const struct vfile_span whole = *span;
    uint32_t kept = planner->cut_sample - whole.first + 1;
    const struct track_summary *video =
        plan_video(&planner->request->segments[planner->last_segment]);
    int64_t shift = whole.composition_shift + planner->cut_by;
    span->last_duration = (uint32_t)planner->cut_duration;
    if (kept == whole.count)
        return 0;
    if (video->greatest_composition + shift > INT32_MAX)
        return planner_refuse(planner, planner->last_segment, "its composition offsets are absurd");
    span->count = kept;
    struct vfile_span rest = whole;
    rest.first += kept;
    rest.count -= kept;
    rest.composition_shift = (int32_t)shift;
    planner_add_span(planner, VFILE_VIDEO, &rest);
    return 0;
}
