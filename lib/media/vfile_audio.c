// Places the segments' audio beside their video. See vfile_planner.h.
#include "lib/media/vfile_planner.h"

#include "lib/core/timeutil.h"

// Where the next audio sample may begin, on the file's audio clock.
struct plan_audio {
    uint32_t timescale;
    bool started;
    int64_t from;       // presentation of the first frame shown
    int64_t to;         // presentation's end
    int64_t first_time; // of the first sample kept
    int64_t last_time;  // of the last one
    struct vfile_span *last_span;
    const struct vfile_segment *last_segment;
};

// What is kept of one segment's audio.
struct plan_cut {
    uint32_t first;
    uint32_t count;
    int64_t first_decode; // relative to the track's first sample
    int64_t last_decode;
    uint32_t last_duration;
};

// Keeps the samples that begin at `from` or later (with `covering`: that end after it) and before
// `to`.
static void plan_cut_find(struct plan_cut *cut, const struct sample_table_track *track,
    int64_t from, int64_t to, bool covering)
{
    *cut = (struct plan_cut){0};
    struct sample_iter iter;
    sample_iter_init(&iter, track);
    for (const struct sample *sample; (sample = sample_iter_next(&iter)) != NULL;) {
        int64_t decode = (int64_t)sample->decode_time;
        if (decode >= to)
            break;
        if (covering ? decode + sample->duration <= from : decode < from)
            continue;
        if (cut->count++ == 0) {
            cut->first = sample->index;
            cut->first_decode = decode;
        }
        cut->last_decode = decode;
        cut->last_duration = sample->duration;
    }
}

// Decides what of the piece's audio is kept, its track beginning at `start` on the file's clock.
// The table is looked at only where something is cut off.
static int planner_cut_audio(struct planner *planner, const struct plan_audio *audio,
    const struct vfile_piece *piece, int64_t start, struct plan_cut *cut)
{
    const struct vfile_segment *segment = &planner->request->segments[piece->segment];
    const struct track_summary *summary = &segment->tracks[VFILE_AUDIO];
    int64_t duration = (int64_t)summary->counts.duration;
    int64_t from = audio->from;
    // Inside a run an overlap of less than a frame is the recorder's own jitter. Between runs, half
    // a frame or more of it is a frame too many.
    if (audio->started)
        from = audio->last_time + 1;
    if (audio->started && !plan_continues(audio->last_segment, segment))
        from = audio->last_time + audio->last_span->last_duration / 2;
    *cut = (struct plan_cut){.count = summary->counts.samples,
        .last_decode = duration - summary->last_duration,
        .last_duration = summary->last_duration};
    if (start + duration <= from || start >= audio->to) {
        cut->count = 0;
        return 0;
    }
    if (start >= from && start + duration <= audio->to)
        return 0;
    const struct sample_table_track *track = planner_table(planner, piece->segment, VFILE_AUDIO);
    if (track == NULL)
        return -1;
    plan_cut_find(cut, track, from - start, audio->to - start, !audio->started);
    return 0;
}

static int planner_place_audio_piece(
    struct planner *planner, struct plan_audio *audio, struct vfile_piece *piece, int64_t origin)
{
    const struct track_summary *summary =
        &planner->request->segments[piece->segment].tracks[VFILE_AUDIO];
    int64_t start =
        summary->start + time_muldiv(origin, audio->timescale, planner->plan->timescale);
    struct plan_cut cut;
    if (planner_cut_audio(planner, audio, piece, start, &cut) < 0)
        return -1;
    if (cut.count == 0)
        return 0;
    int64_t time = start + cut.first_decode;
    if (!audio->started) {
        audio->started = true;
        audio->first_time = time;
    } else {
        if (time <= audio->last_time)
            time = audio->last_time + 1;
        if (planner_set_duration(
                planner, audio->last_span, time - audio->last_time, piece->segment) < 0)
            return -1;
    }
    struct vfile_span *span = &piece->spans[VFILE_AUDIO];
    span->first = cut.first;
    span->count = cut.count;
    span->last_duration = cut.last_duration;
    audio->last_time = time + cut.last_decode - cut.first_decode;
    audio->last_span = span;
    audio->last_segment = &planner->request->segments[piece->segment];
    return 0;
}

// Both edits begin at the presentation of the first frame shown; where audio begins later, an empty
// edit holds its place. Audio that fills not even a tick is left out.
static void planner_finish_audio(struct planner *planner, const struct plan_audio *audio)
{
    struct vfile_plan *plan = planner->plan;
    struct vfile_track_plan *track = &plan->tracks[VFILE_AUDIO];
    int64_t begin = audio->first_time > audio->from ? audio->first_time : audio->from;
    int64_t end = audio->last_time + audio->last_span->last_duration;
    if (end > audio->to)
        end = audio->to;
    uint64_t empty = (uint64_t)time_muldiv(begin - audio->from, plan->timescale, audio->timescale);
    uint64_t duration =
        end > begin ? (uint64_t)time_muldiv(end - begin, plan->timescale, audio->timescale) : 0;
    if (empty + duration > plan->duration)
        duration = plan->duration > empty ? plan->duration - empty : 0;
    if (duration == 0) {
        for (size_t i = 0; i < plan->piece_count; i++)
            plan->pieces[i].spans[VFILE_AUDIO].count = 0;
        return;
    }
    if (empty > 0)
        track->edits[track->edit_count++] = (struct mp4_edit){empty, -1};
    track->edits[track->edit_count++] = (struct mp4_edit){duration, begin - audio->first_time};
    track->timescale = audio->timescale;
    track->duration = empty + duration;
}

int planner_place_audio(struct planner *planner)
{
    struct vfile_plan *plan = planner->plan;
    struct plan_audio audio = {0};
    for (size_t i = 0; i < plan->piece_count; i++) {
        struct vfile_piece *piece = &plan->pieces[i];
        const struct track_summary *summary =
            &planner->request->segments[piece->segment].tracks[VFILE_AUDIO];
        if (summary->counts.samples == 0)
            continue;
        if (audio.timescale == 0) {
            audio.timescale = summary->timescale;
            audio.from = time_muldiv(planner->shown_time, audio.timescale, plan->timescale);
            audio.to = time_muldiv(planner->end_time, audio.timescale, plan->timescale);
        }
        if (summary->timescale != audio.timescale)
            return planner_refuse(planner, piece->segment, "its audio has another time scale");
        if (planner_place_audio_piece(planner, &audio, piece, planner->origins[i]) < 0)
            return -1;
    }
    if (audio.started)
        planner_finish_audio(planner, &audio);
    return 0;
}
