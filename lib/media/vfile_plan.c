// Plans a virtual file: its steps, and what they share. See vfile_plan.h and vfile_planner.h.
#include "lib/media/vfile_plan.h"

#include <stdlib.h>

#include "lib/core/alloc.h"
#include "lib/core/timeutil.h"
#include "lib/media/vfile_planner.h"

enum {
    // A segment that follows in the same run at most this much late is joined at its true place;
    // beyond that, time is skipped as it is between runs.
    PLAN_STALL_MAX_MS = 1000,
    // The recorder's first boundary may overlap by the reorder delay of the video.
    PLAN_OVERLAP_MAX_MS = 200,
    // More than a segment's span is ever bent by (500 ppm).
    PLAN_BEND_MAX_PPM = 1000,
};

const struct track_summary *plan_video(const struct vfile_segment *segment)
{
    return &segment->tracks[VFILE_VIDEO];
}

bool plan_has_video(const struct vfile_segment *segment)
{
    return plan_video(segment)->counts.samples > 0;
}

int64_t plan_span_start(const struct vfile_segment *segment)
{
    return plan_video(segment)->start + plan_video(segment)->first_presentation;
}

// How long a segment is presented. That is the sum of its samples' durations, but for the first of
// a run with reordered frames, which the recorder may decode over a longer time than it is shown
// for: there the span in UTC knows better, which is bent by much less.
static int64_t plan_span_ticks(const struct vfile_segment *segment)
{
    const struct track_summary *video = plan_video(segment);
    int64_t sum = (int64_t)video->counts.duration;
    int64_t wall =
        time_muldiv(segment->end_us - segment->start_us, video->timescale, US_PER_SECOND);
    int64_t bend = sum * PLAN_BEND_MAX_PPM / 1000000 + 1;
    return wall > sum + bend || wall < sum - bend ? wall : sum;
}

int64_t plan_span_end(const struct vfile_segment *segment)
{
    return plan_span_start(segment) + plan_span_ticks(segment);
}

bool plan_reorders(const struct vfile_segment *segment)
{
    const struct track_summary *video = plan_video(segment);
    return video->least_composition != 0 || video->greatest_composition != 0;
}

// A recorder that is killed inside a group of reordered pictures leaves one that is shown later
// than the sum of all durations says.
int64_t plan_video_end(const struct vfile_segment *segment, const struct sample_table_track *track)
{
    const struct track_summary *video = plan_video(segment);
    int64_t sum = (int64_t)video->counts.duration, latest = INT64_MIN, end = INT64_MIN;
    struct sample_iter iter;
    if (!plan_reorders(segment))
        return plan_span_end(segment);
    sample_iter_init_parts(&iter, track, SAMPLE_DURATIONS | SAMPLE_COMPOSITIONS);
    for (const struct sample *sample; (sample = sample_iter_next(&iter)) != NULL;) {
        int64_t presentation = (int64_t)sample->decode_time + sample->composition;
        latest = presentation > latest ? presentation : latest;
        if (presentation + sample->duration > end)
            end = presentation + sample->duration;
    }
    bool sum_holds = plan_span_ticks(segment) == sum && latest < video->first_presentation + sum;
    return sum_holds ? plan_span_end(segment) : video->start + end;
}

int64_t plan_media_time(const struct vfile_segment *segment, int64_t video_end, int64_t time_us)
{
    int64_t start = plan_span_start(segment), wall_us = segment->end_us - segment->start_us;
    if (wall_us <= 0)
        return start;
    return start + time_muldiv(time_us - segment->start_us, video_end - start, wall_us);
}

int64_t plan_wall_time(const struct vfile_segment *segment, int64_t video_end, int64_t media_time)
{
    int64_t start = plan_span_start(segment);
    if (video_end <= start)
        return segment->start_us;
    return segment->start_us +
           time_muldiv(media_time - start, segment->end_us - segment->start_us, video_end - start);
}

int64_t vfile_media_time(const struct vfile_segment *segment, int64_t time_us)
{
    return plan_media_time(segment, plan_span_end(segment), time_us);
}

int64_t vfile_wall_time(const struct vfile_segment *segment, int64_t media_time)
{
    return plan_wall_time(segment, plan_span_end(segment), media_time);
}

bool plan_continues(const struct vfile_segment *before, const struct vfile_segment *after)
{
    if (before->run != after->run || after->number != before->number + 1)
        return false;
    int64_t timescale = plan_video(after)->timescale;
    int64_t late = plan_span_start(after) - plan_span_end(before);
    return late <= timescale * PLAN_STALL_MAX_MS / 1000 &&
           late >= -timescale * PLAN_OVERLAP_MAX_MS / 1000;
}

const struct sample_table_track *vfile_track_table(const struct vfile_source *source,
    size_t segment, enum media_kind kind, uint32_t sample_count, char **cause)
{
    const struct sample_table *table = source->table(source->arg, segment, cause);
    if (table == NULL)
        return NULL;
    const struct sample_table_track *track = sample_table_track(table, kind);
    if (track == NULL || track->sample_count != sample_count) {
        *cause = xasprintf("the sample table does not agree with its segment");
        return NULL;
    }
    return track;
}

const struct sample_table_track *planner_table(struct planner *planner, size_t segment, int kind)
{
    uint32_t count = planner->request->segments[segment].tracks[kind].counts.samples;
    return vfile_track_table(planner->source, segment,
        kind == VFILE_VIDEO ? MEDIA_VIDEO : MEDIA_AUDIO, count, planner->cause);
}

int planner_video_end(struct planner *planner, size_t segment, int64_t *end)
{
    const struct vfile_segment *from = &planner->request->segments[segment];
    const struct sample_table_track *track = NULL;
    if (plan_reorders(from)) {
        track = planner_table(planner, segment, VFILE_VIDEO);
        if (track == NULL)
            return -1;
    }
    *end = plan_video_end(from, track);
    return 0;
}

int planner_refuse(struct planner *planner, size_t segment, const char *what)
{
    const struct vfile_segment *at = &planner->request->segments[segment];
    char text[TIME_TEXT_SIZE];
    bool sane = at->start_us > -PLAN_TIME_MAX_US && at->start_us < PLAN_TIME_MAX_US;
    time_format_utc(sane ? at->start_us : 0, text);
    *planner->cause =
        xasprintf("the footage at %s can not be joined to what is before it: %s", text, what);
    return -1;
}

int planner_set_duration(
    struct planner *planner, struct vfile_span *span, int64_t duration, size_t segment)
{
    if (duration < 1 || duration > UINT32_MAX)
        return planner_refuse(planner, segment, "the distance does not fit the file's tables");
    span->last_duration = (uint32_t)duration;
    return 0;
}

struct vfile_piece *planner_add_piece(struct planner *planner, const struct vfile_piece *piece)
{
    struct vfile_plan *plan = planner->plan;
    ARRAY_RESERVE(plan->pieces, plan->piece_count, plan->piece_capacity);
    plan->pieces[plan->piece_count] = *piece;
    return &plan->pieces[plan->piece_count++];
}

struct vfile_span *planner_add_span(
    struct planner *planner, int kind, const struct vfile_span *span)
{
    struct vfile_track_plan *track = &planner->plan->tracks[kind];
    ARRAY_RESERVE(track->spans, track->span_count, track->span_capacity);
    track->spans[track->span_count] = *span;
    return &track->spans[track->span_count++];
}

int vfile_plan_make(struct vfile_plan *plan, const struct vfile_request *request,
    const struct vfile_source *source, char **cause)
{
    struct planner planner = {.request = request, .source = source, .plan = plan, .cause = cause};
    *plan = (struct vfile_plan){0};
    if (planner_check(&planner) < 0 || planner_find_start(&planner) < 0 ||
        planner_find_end(&planner) < 0)
        return -1;
    if (planner_place_video(&planner) < 0 ||
        (request->audio && planner_place_audio(&planner) < 0) || planner_cut_last(&planner) < 0)
        return -1;
    return planner_make_sets(&planner) < 0 ? -1 : planner_place_bytes(&planner);
}

void vfile_plan_fini(struct vfile_plan *plan)
{
    for (int kind = 0; kind < MEDIA_TRACKS_MAX; kind++) {
        struct vfile_track_plan *track = &plan->tracks[kind];
        for (size_t i = 0; i < track->made_count; i++)
            free(track->made[i].data);
        free(track->made);
        free(track->spans);
    }
    free(plan->pieces);
    *plan = (struct vfile_plan){0};
}
