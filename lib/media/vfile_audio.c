// Places the segments' audio beside their video, and silence where there is none. See
// vfile_planner.h.
//
// The file's audio clock begins with its first sample; `origin` places each segment on it as its
// video. Where a frame ends more than a frame before the next one begins, silent frames come
// between: as many as come nearest, the last of them as long as the next one's place wants it, so
// that no error is carried on.
#include "lib/media/vfile_planner.h"

#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/timeutil.h"

enum {
    AUDIO_SILENCE_MAX = 1 << 16, // frames in a span: its tables are made at once
    // What a segment's sound may begin before its video: where the next segment of a run has sound,
    // the silence before it is left to be filled up to there.
    AUDIO_EARLY_S = 1,
};

// How far the audio is placed, on the file's audio clock.
struct plan_audio {
    struct planner *planner;
    uint32_t timescale;
    bool started;
    bool sounds;          // there is more than silence
    int64_t from;         // presentation of the first frame shown
    int64_t to;           // presentation's end
    int64_t first_time;   // of the first frame kept
    int64_t last_time;    // of the last one
    int64_t end;          // where that one ends
    size_t last_segment;  // whose it is; SIZE_MAX: it is silence
    uint32_t entry;       // of the last frame, before the first one: of the first that comes
    size_t segment_count; // pieces of segments; those of silence come behind them, at first
};

// A segment's audio beside its video.
struct audio_place {
    size_t index; // of its piece
    const struct vfile_segment *segment;
    int64_t start; // of its first sample
    int64_t lower; // frames begin here or later
    int64_t upper; // and before this
    bool covering; // also one that only ends after `lower`
};

// Consecutive frames without a hole.
struct audio_run {
    uint32_t first;
    uint32_t count;
    int64_t begin;
    int64_t last; // where the last one begins
    uint32_t last_duration;
};

static const struct vfile_made *audio_silence(const struct plan_audio *audio)
{
    return &audio->planner->plan->tracks[VFILE_AUDIO].made[audio->entry - 1];
}

// --- Frames ---

// Ends what is there at `time`, where the next frame begins. Returns -1 with the cause set.
static int audio_join(struct plan_audio *audio, int64_t time, size_t segment)
{
    struct vfile_track_plan *track = &audio->planner->plan->tracks[VFILE_AUDIO];
    if (!audio->started) {
        audio->started = true;
        audio->first_time = time;
        return 0;
    }
    return planner_set_duration(
        audio->planner, &track->spans[track->span_count - 1], time - audio->last_time, segment);
}

static int audio_add_silence(struct plan_audio *audio, size_t index, int64_t time, uint32_t count)
{
    struct vfile_plan *plan = audio->planner->plan;
    const struct vfile_piece beside = plan->pieces[index];
    const struct vfile_made *made = audio_silence(audio);
    if (audio_join(audio, time, beside.segment) < 0)
        return -1;
    planner_add_span(audio->planner, VFILE_AUDIO,
        &(struct vfile_span){.piece = plan->piece_count,
            .count = count,
            .last_duration = made->duration,
            .entry = audio->entry});
    planner_add_piece(audio->planner, &(struct vfile_piece){.kind = PIECE_SILENCE,
                                          .entry = audio->entry,
                                          .segment = beside.segment,
                                          .time = time - audio->from,
                                          // where it goes, until the pieces are in order
                                          .file_offset = index});
    audio->last_time = time + (int64_t)(count - 1) * made->duration;
    audio->end = audio->last_time + made->duration;
    audio->last_segment = SIZE_MAX;
    return 0;
}

// Fills what is empty before `time` with silence, beside a piece: `exactly`, because a frame begins
// there, else with frames that end by then.
static int audio_fill(struct plan_audio *audio, size_t index, int64_t time, bool exactly)
{
    int64_t begin = audio->started ? audio->end : audio->from;
    int64_t frame = audio_silence(audio)->duration;
    int64_t empty = time - begin;
    if (frame == 0 || empty <= frame)
        return 0;
    int64_t count = (empty + (exactly ? frame / 2 : 0)) / frame;
    if (count > MEDIA_SAMPLES_MAX)
        return planner_refuse(audio->planner, audio->planner->plan->pieces[index].segment,
            "the distance does not fit the file's tables");
    for (int64_t done = 0, next; done < count; done += next) {
        next = count - done < AUDIO_SILENCE_MAX ? count - done : AUDIO_SILENCE_MAX;
        if (audio_add_silence(audio, index, begin + done * frame, (uint32_t)next) < 0)
            return -1;
    }
    return 0;
}

static int audio_add_run(
    struct plan_audio *audio, const struct audio_place *place, const struct audio_run *run)
{
    struct vfile_plan *plan = audio->planner->plan;
    if (run->count == 0)
        return 0;
    if (audio_fill(audio, place->index, run->begin, true) < 0)
        return -1;
    int64_t time = run->begin;
    if (audio->started && time <= audio->last_time)
        time = audio->last_time + 1;
    if (audio_join(audio, time, plan->pieces[place->index].segment) < 0)
        return -1;
    struct vfile_piece *piece = &plan->pieces[place->index];
    uint32_t entry = place->segment->entries[VFILE_AUDIO];
    planner_add_span(audio->planner, VFILE_AUDIO,
        &(struct vfile_span){.piece = place->index,
            .first = run->first,
            .count = run->count,
            .last_duration = run->last_duration,
            .entry = entry});
    if (piece->kept[VFILE_AUDIO].count == 0)
        piece->kept[VFILE_AUDIO].first = run->first;
    piece->kept[VFILE_AUDIO].count = run->first + run->count - piece->kept[VFILE_AUDIO].first;
    audio->entry = entry;
    audio->last_time = time + run->last - run->begin;
    audio->end = audio->last_time + run->last_duration;
    audio->last_segment = piece->segment;
    audio->sounds = true;
    return 0;
}

// --- A segment ---

// Whether there may be a hole in a segment's sound: its frames are not all equally long, and last
// longer than so many frames do. Without a table this can not be seen where as much overlaps
// elsewhere.
static bool audio_may_have_holes(
    const struct plan_audio *audio, const struct track_summary *summary)
{
    const struct track_counts *counts = &summary->counts;
    uint64_t frame = audio_silence(audio)->duration;
    bool steady = counts->duration == (uint64_t)counts->samples * summary->last_duration &&
                  counts->stts_entries <= 2;
    return frame > 0 && !steady && counts->duration > (counts->samples + (uint64_t)1) * frame;
}

// How long frames are: as those of silence, or as most of them are (packets of Opus have any
// length).
static uint32_t audio_usual_duration(
    const struct plan_audio *audio, const struct sample_table_track *track)
{
    uint32_t candidate = 0, votes = 0, count = 0;
    struct sample_iter iter;
    const struct sample *sample;
    sample_iter_init_parts(&iter, track, SAMPLE_DURATIONS);
    while ((sample = sample_iter_next(&iter)) != NULL) {
        if (votes == 0)
            candidate = sample->duration;
        votes = sample->duration == candidate ? votes + 1 : votes - 1;
    }
    sample_iter_init_parts(&iter, track, SAMPLE_DURATIONS);
    while ((sample = sample_iter_next(&iter)) != NULL)
        count += sample->duration == candidate;
    uint32_t frame = audio_silence(audio)->duration;
    return count > track->sample_count / 2 && candidate > frame ? candidate : frame;
}

// The frames that are kept, looked up in the table: what lies before or behind the place is left
// out, what follows a hole is a run of its own.
static int audio_place_frames(struct plan_audio *audio, const struct audio_place *place)
{
    struct planner *planner = audio->planner;
    struct vfile_track_plan *plan = &planner->plan->tracks[VFILE_AUDIO];
    const struct sample_table_track *track =
        planner_table(planner, planner->plan->pieces[place->index].segment, VFILE_AUDIO);
    if (track == NULL)
        return -1;
    uint32_t usual = audio_usual_duration(audio, track);
    struct audio_run run = {0};
    struct sample_iter iter;
    sample_iter_init_parts(&iter, track, SAMPLE_DURATIONS);
    for (const struct sample *sample; (sample = sample_iter_next(&iter)) != NULL;) {
        int64_t time = place->start + (int64_t)sample->decode_time;
        // The last frame before a hole is as long as the hole.
        bool hole = usual > 0 && sample->duration > 2 * (uint64_t)usual;
        uint32_t duration = hole ? usual : sample->duration;
        bool early = place->covering ? time + duration <= place->lower : time < place->lower;
        if (early || time >= place->upper) {
            plan->dropped += time >= audio->from && time < audio->to ? sample->duration : 0;
            continue;
        }
        if (run.count > 0 && run.last_duration < time - run.last) {
            if (audio_add_run(audio, place, &run) < 0)
                return -1;
            run.count = 0;
        }
        if (run.count++ == 0) {
            run.first = sample->index;
            run.begin = time;
        }
        run.last = time;
        run.last_duration = duration;
    }
    return audio_add_run(audio, place, &run);
}

static int audio_place_segment(struct plan_audio *audio, const struct audio_place *place)
{
    const struct track_summary *summary = &place->segment->tracks[VFILE_AUDIO];
    int64_t duration = (int64_t)summary->counts.duration;
    int64_t last = place->start + duration - summary->last_duration;
    audio->entry = audio->started ? audio->entry : place->segment->entries[VFILE_AUDIO];
    if (place->start + duration <= place->lower || place->start >= place->upper) {
        if (place->start >= audio->from && place->start < audio->to)
            audio->planner->plan->tracks[VFILE_AUDIO].dropped += summary->counts.duration;
        return 0;
    }
    if (place->start < place->lower || last >= place->upper || audio_may_have_holes(audio, summary))
        return audio_place_frames(audio, place);
    return audio_add_run(audio, place,
        &(struct audio_run){.count = summary->counts.samples,
            .begin = place->start,
            .last = last,
            .last_duration = summary->last_duration});
}

// --- All of them ---

static int64_t audio_time(const struct plan_audio *audio, int64_t video_time)
{
    return time_muldiv(video_time, audio->timescale, audio->planner->plan->timescale);
}

static const struct vfile_segment *audio_segment(const struct plan_audio *audio, size_t index)
{
    const struct planner *planner = audio->planner;
    return &planner->request->segments[planner->plan->pieces[index].segment];
}

static bool audio_continues(const struct plan_audio *audio, size_t index)
{
    return index > 0 && index < audio->segment_count &&
           plan_continues(audio_segment(audio, index - 1), audio_segment(audio, index));
}

// Where frames of a piece may stand: a run's sound goes from its first picture to its last one's
// end. Inside a run an overlap of less than a frame is the recorder's own jitter; behind silence
// and between runs, half a frame or more of it is a frame too many.
static void audio_bound(const struct plan_audio *audio, struct audio_place *place)
{
    const struct vfile_segment *segment = place->segment;
    int64_t origin = audio->planner->plan->pieces[place->index].origin;
    place->start = segment->tracks[VFILE_AUDIO].start + audio_time(audio, origin);
    place->lower = audio->from;
    place->upper = audio->to;
    place->covering = !audio->started;
    bool same = audio->last_segment != SIZE_MAX &&
                plan_continues(&audio->planner->request->segments[audio->last_segment], segment);
    if (audio->started)
        place->lower =
            same ? audio->last_time + 1 : audio->last_time + (audio->end - audio->last_time) / 2;
    if (place->index > 0 && !audio_continues(audio, place->index)) {
        int64_t begin = audio_time(audio, plan_span_start(segment) + origin) -
                        segment->tracks[VFILE_AUDIO].last_duration / 2;
        place->lower = begin > place->lower ? begin : place->lower;
        place->covering = false;
    }
    if (place->index + 1 < audio->segment_count && !audio_continues(audio, place->index + 1)) {
        int64_t end =
            audio_time(audio, audio->planner->plan->pieces[place->index].video_end + origin);
        place->upper = end < place->upper ? end : place->upper;
    }
}

static int audio_place_piece(struct plan_audio *audio, size_t index)
{
    struct audio_place place = {.index = index, .segment = audio_segment(audio, index)};
    audio_bound(audio, &place);
    if (place.segment->tracks[VFILE_AUDIO].counts.samples > 0 &&
        audio_place_segment(audio, &place) < 0)
        return -1;
    const struct vfile_piece *piece = &audio->planner->plan->pieces[index];
    int64_t end = audio_time(audio, piece->video_end + piece->origin);
    if (audio_continues(audio, index + 1))
        end -= (int64_t)AUDIO_EARLY_S * audio->timescale;
    return audio_fill(audio, index, end < place.upper ? end : place.upper, false);
}

// The silences stand behind all segments until now: each goes before the piece that it is beside,
// so that no reader has far to go.
static void audio_order_pieces(struct plan_audio *audio)
{
    struct vfile_plan *plan = audio->planner->plan;
    size_t count = plan->piece_count, silence = audio->segment_count, at = 0;
    if (silence == count)
        return;
    struct vfile_piece *ordered = xcalloc(count, sizeof(ordered[0]));
    size_t *places = xcalloc(count, sizeof(places[0]));
    for (size_t i = 0; i < audio->segment_count; i++) {
        for (; silence < count && plan->pieces[silence].file_offset == i; silence++) {
            places[silence] = at;
            ordered[at] = plan->pieces[silence];
            ordered[at++].file_offset = 0;
        }
        places[i] = at;
        ordered[at++] = plan->pieces[i];
    }
    for (int kind = 0; kind < MEDIA_TRACKS_MAX; kind++)
        for (size_t i = 0; i < plan->tracks[kind].span_count; i++)
            plan->tracks[kind].spans[i].piece = places[plan->tracks[kind].spans[i].piece];
    free(places);
    free(plan->pieces);
    plan->pieces = ordered;
    plan->piece_capacity = count;
}

// Both edits begin at the presentation of the first frame shown; where audio begins later by less
// than a silent frame, or no silence can be made, an empty edit holds its place. Audio that fills
// not even a tick, or is silence alone, is left out.
static void audio_finish(struct plan_audio *audio)
{
    struct vfile_plan *plan = audio->planner->plan;
    struct vfile_track_plan *track = &plan->tracks[VFILE_AUDIO];
    int64_t begin = audio->first_time > audio->from ? audio->first_time : audio->from;
    int64_t end = audio->end < audio->to ? audio->end : audio->to;
    uint64_t empty = (uint64_t)time_muldiv(begin - audio->from, plan->timescale, audio->timescale);
    uint64_t duration =
        end > begin ? (uint64_t)time_muldiv(end - begin, plan->timescale, audio->timescale) : 0;
    if (empty + duration > plan->duration)
        duration = plan->duration > empty ? plan->duration - empty : 0;
    if (duration == 0 || !audio->sounds) {
        track->span_count = 0;
        plan->piece_count = audio->segment_count;
        for (size_t i = 0; i < plan->piece_count; i++)
            plan->pieces[i].kept[VFILE_AUDIO].count = 0;
        return;
    }
    if (empty > 0)
        track->edits[track->edit_count++] = (struct mp4_edit){empty, -1};
    track->edits[track->edit_count++] = (struct mp4_edit){duration, begin - audio->first_time};
    track->timescale = audio->timescale;
    track->duration = empty + duration;
}

// Finds the first audio that there is; the rest must be like it. Returns 0, or -1 with the cause
// set; the timescale stays 0 where there is none.
static int audio_begin(struct plan_audio *audio)
{
    struct planner *planner = audio->planner;
    audio->segment_count = planner->plan->piece_count;
    for (size_t i = 0; i < audio->segment_count; i++) {
        const struct vfile_segment *segment = audio_segment(audio, i);
        const struct track_summary *summary = &segment->tracks[VFILE_AUDIO];
        if (summary->counts.samples == 0)
            continue;
        if (audio->timescale == 0) {
            audio->timescale = summary->timescale;
            audio->entry = segment->entries[VFILE_AUDIO];
        }
        if (summary->timescale != audio->timescale)
            return planner_refuse(
                planner, planner->plan->pieces[i].segment, "its audio has another time scale");
    }
    if (audio->timescale == 0)
        return 0;
    audio->from = audio_time(audio, planner->shown_time);
    audio->to = audio_time(audio, planner->end_time);
    planner_make_silence(planner, audio->timescale);
    return 0;
}

int planner_place_audio(struct planner *planner)
{
    struct plan_audio audio = {.planner = planner, .last_segment = SIZE_MAX};
    if (audio_begin(&audio) < 0)
        return -1;
    if (audio.timescale == 0)
        return 0;
    for (size_t i = 0; i < audio.segment_count; i++)
        if (audio_place_piece(&audio, i) < 0)
            return -1;
    if (audio.started)
        audio_finish(&audio);
    audio_order_pieces(&audio);
    return 0;
}
