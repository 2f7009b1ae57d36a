// What the files that plan a virtual file share: the state of one planning, and its steps in their
// order. Only vfile_*.c include this.
//
// Three clocks: UTC; a run's media clock, on which a segment's tracks lie; and the file's own
// clock, which starts at the first sample that is kept. `origin` is what must be added to run time
// to get file time. All of this is in ticks of the video track; audio is placed from its own run
// time by the same origin, so the offset between the tracks stays as it was recorded.
#pragma once

#include "lib/media/vfile_plan.h"

// A frame and where decoding must begin so that it can be shown. Relative to the track's first
// sample.
struct plan_frame {
    uint32_t index;
    int64_t presentation;
    struct plan_key {
        bool found;
        uint32_t index;
        int64_t decode;
        int64_t presentation;
    } key, previous_key; // the last two at or before the frame, in decode order
};

struct planner {
    const struct vfile_request *request;
    const struct vfile_source *source;
    struct vfile_plan *plan;
    char **cause;
    size_t shown_segment;
    size_t first_segment; // the same, or the one before it
    size_t last_segment;
    int64_t shown_end; // of shown_segment's video
    int64_t last_end;  // of last_segment's, both on their runs' clocks
    struct plan_frame shown;
    uint32_t first_sample; // of first_segment
    int64_t first_decode;
    int64_t first_presentation;
    uint32_t last_count; // samples of last_segment up to the last one kept; 0: all
    int64_t last_decode;
    uint32_t last_duration;
    uint32_t cut_sample;  // of last_segment: the frame that is on screen when presentation ends
    int64_t cut_duration; // how long it is there
    int64_t cut_by;       // how much less that is than its own duration; 0 or less: not at all
    int64_t end;          // of presentation, relative to last_segment's first sample
    bool end_trimmed;
    int64_t shown_time;
    int64_t end_time; // on the file's clock
    int64_t lead_in;
};

// No segment stands further from the epoch than this.
#define PLAN_TIME_MAX_US (INT64_C(1) << 60)

// The steps. Each returns 0, or -1 with the planner's cause set.

// vfile_trim.c: which samples are the first and the last.
int planner_check(struct planner *planner);
int planner_find_start(struct planner *planner);
int planner_find_end(struct planner *planner);

// vfile_join.c: where each segment's video stands on the file's clock.
int planner_place_video(struct planner *planner);

// Gives the frame that is on screen at the end no more than its part.
int planner_cut_last(struct planner *planner);

// vfile_audio.c: what of the audio goes with it, and silence where there is none.
int planner_place_audio(struct planner *planner);

// vfile_made.c: the made bytes of each sample entry, and which pieces have parameter sets before
// their key samples. Silence is made for the time scale of the audio track.
int planner_make_sets(struct planner *planner);
void planner_make_silence(struct planner *planner, uint32_t timescale);

// vfile_place.c: where all bytes stand, and how many there are.
int planner_place_bytes(struct planner *planner);

// Shared by the steps.
struct vfile_piece *planner_add_piece(struct planner *planner, const struct vfile_piece *piece);
struct vfile_span *planner_add_span(
    struct planner *planner, int kind, const struct vfile_span *span);
const struct track_summary *plan_video(const struct vfile_segment *segment);
bool plan_has_video(const struct vfile_segment *segment);

// Presentation of a segment's video on its run's media clock.
int64_t plan_span_start(const struct vfile_segment *segment);
int64_t plan_span_end(const struct vfile_segment *segment);

// Whether its pictures are decoded in another order than they are shown.
bool plan_reorders(const struct vfile_segment *segment);

// Where its last picture is over on that clock, when nothing continues it. `track` is its video,
// needed where it reorders only.
int64_t plan_video_end(const struct vfile_segment *segment, const struct sample_table_track *track);

// The same, with its table looked at where need be. Returns 0, or -1 with the planner's cause set.
int planner_video_end(struct planner *planner, size_t segment, int64_t *end);

// vfile_media_time() and vfile_wall_time(), where it is known when the video ends.
int64_t plan_media_time(const struct vfile_segment *segment, int64_t video_end, int64_t time_us);
int64_t plan_wall_time(const struct vfile_segment *segment, int64_t video_end, int64_t media_time);

// Whether `after` continues `before` on the same media clock.
bool plan_continues(const struct vfile_segment *before, const struct vfile_segment *after);

// The sample table of a track of a segment, or NULL with the planner's cause set. Valid until the
// next call.
const struct sample_table_track *planner_table(struct planner *planner, size_t segment, int kind);

// Says which segment is at fault, and why; returns -1.
int planner_refuse(struct planner *planner, size_t segment, const char *what);

// Gives the last sample of a span the duration that brings the next span's first to its place;
// `segment` is the next span's.
int planner_set_duration(
    struct planner *planner, struct vfile_span *span, int64_t duration, size_t segment);
