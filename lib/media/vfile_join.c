// Joins the segments' video on the file's clock. See vfile_planner.h.
#include "lib/media/vfile_planner.h"

#include <stdlib.h>

#include "lib/core/alloc.h"
#include "lib/core/timeutil.h"

static struct vfile_piece *planner_add_piece(struct planner *planner, size_t segment)
{
    struct vfile_plan *plan = planner->plan;
    ARRAY_RESERVE(plan->pieces, plan->piece_count, plan->piece_capacity);
    struct vfile_piece *piece = &plan->pieces[plan->piece_count++];
    const struct vfile_segment *from = &planner->request->segments[segment];
    *piece = (struct vfile_piece){
        .segment = segment, .file_offset = from->media_offset, .file_end = from->media_end};
    for (int kind = 0; kind < MEDIA_TRACKS_MAX; kind++) {
        piece->spans[kind].entry = from->entries[kind];
        piece->spans[kind].last_duration = from->tracks[kind].last_duration;
    }
    piece->spans[VFILE_VIDEO].count = plan_video(from)->counts.samples;
    return piece;
}

static void planner_add_pieces(struct planner *planner)
{
    for (size_t i = planner->first_segment; i <= planner->last_segment; i++)
        if (plan_has_video(&planner->request->segments[i]))
            planner_add_piece(planner, i);
    struct vfile_plan *plan = planner->plan;
    struct vfile_span *last = &plan->pieces[plan->piece_count - 1].spans[VFILE_VIDEO];
    last->count = planner->last_count;
    last->last_duration = planner->last_duration;
    struct vfile_span *first = &plan->pieces[0].spans[VFILE_VIDEO];
    first->first = planner->first_sample;
    first->count -= planner->first_sample;
    planner->origins = xcalloc(plan->piece_count, sizeof(planner->origins[0]));
}

static int64_t planner_next_origin(struct planner *planner, size_t i)
{
    const struct vfile_piece *pieces = planner->plan->pieces;
    const struct vfile_segment *before = &planner->request->segments[pieces[i - 1].segment];
    const struct vfile_segment *segment = &planner->request->segments[pieces[i].segment];
    if (plan_continues(before, segment))
        return planner->origins[i - 1];
    return planner->origins[i - 1] + plan_span_end(before) - plan_span_start(segment);
}

// Places every piece's video on the file's clock. Where decode times would not ascend, the segment
// is decoded later by `shift` and its composition offsets shrink by as much: it is shown when it
// was.
static int planner_place_pieces(struct planner *planner)
{
    struct vfile_plan *plan = planner->plan;
    int64_t last_decode = -1;
    for (size_t i = 0; i < plan->piece_count; i++) {
        struct vfile_piece *piece = &plan->pieces[i];
        const struct track_summary *video = plan_video(&planner->request->segments[piece->segment]);
        int64_t first_decode = i == 0 ? planner->first_decode : 0;
        planner->origins[i] =
            i == 0 ? -(video->start + first_decode) : planner_next_origin(planner, i);
        int64_t decode = planner->origins[i] + video->start + first_decode;
        int64_t shift = decode > last_decode ? 0 : last_decode + 1 - decode;
        decode += shift;
        piece->spans[VFILE_VIDEO].composition_shift = (int32_t)-shift;
        if (shift > INT32_MAX)
            return planner_refuse(planner, piece->segment, "its times overlap too far");
        if (i > 0 && planner_set_duration(planner, &plan->pieces[i - 1].spans[VFILE_VIDEO],
                         decode - last_decode, piece->segment) < 0)
            return -1;
        int64_t whole = (int64_t)video->counts.duration - video->last_duration;
        last_decode =
            decode + (i + 1 == plan->piece_count ? planner->last_decode : whole) - first_decode;
        if (piece->segment == planner->shown_segment)
            planner->shown_time = planner->origins[i] + video->start + planner->shown.presentation;
        planner->end_time = planner->origins[i] + video->start + planner->end;
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
        int64_t total = piece->spans[VFILE_VIDEO].composition_shift + shift;
        if (video->least_composition + total < INT32_MIN ||
            video->greatest_composition + total > INT32_MAX)
            return planner_refuse(planner, piece->segment, "its composition offsets are absurd");
        piece->spans[VFILE_VIDEO].composition_shift = (int32_t)total;
        composition |=
            total != 0 || video->least_composition != 0 || video->greatest_composition != 0;
        planner->origins[i] += shift;
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
    plan->timescale = track->timescale;
    plan->duration = track->duration;
    plan->start_us = vfile_wall_time(shown, plan_video(shown)->start + planner->shown.presentation);
    plan->end_us = planner->end_trimmed && planner->request->end_us > plan->start_us
                       ? planner->request->end_us
                       : vfile_wall_time(last, plan_video(last)->start + planner->end);
    plan->lead_in_us =
        planner->lead_in <= 0 ? 0 : time_muldiv(planner->lead_in, US_PER_SECOND, track->timescale);
}

int planner_place_video(struct planner *planner)
{
    planner_add_pieces(planner);
    if (planner_place_pieces(planner) < 0 || planner_shift_presentation(planner) < 0)
        return -1;
    planner_finish_video(planner);
    return 0;
}

// Where frames are reordered, others are decoded after the one that is shown last: they move up by
// what it loses and are shown when they were. They become a piece of their own, because a piece has
// one shift of its composition offsets.
int planner_cut_last(struct planner *planner)
{
    struct vfile_plan *plan = planner->plan;
    size_t last = plan->piece_count - 1;
    if (planner->cut_by <= 0)
        return 0;
    const struct vfile_span whole = plan->pieces[last].spans[VFILE_VIDEO];
    uint32_t kept = planner->cut_sample - whole.first + 1;
    struct vfile_span *span = &plan->pieces[last].spans[VFILE_VIDEO];
    const struct track_summary *video =
        plan_video(&planner->request->segments[planner->last_segment]);
    int64_t shift = whole.composition_shift + planner->cut_by;
    span->last_duration = (uint32_t)planner->cut_duration;
    if (kept == whole.count)
        return 0;
    if (video->greatest_composition + shift > INT32_MAX)
        return planner_refuse(planner, planner->last_segment, "its composition offsets are absurd");
    span->count = kept;
    struct vfile_piece *rest = planner_add_piece(planner, planner->last_segment);
    rest->spans[VFILE_VIDEO] = whole;
    rest->spans[VFILE_VIDEO].first = whole.first + kept;
    rest->spans[VFILE_VIDEO].count = whole.count - kept;
    rest->spans[VFILE_VIDEO].composition_shift = (int32_t)shift;
    return 0;
}
