// Where a segment stands in UTC. See segtime.h.
#include "lib/media/segtime.h"

#include <stddef.h>

enum {
    SEGTIME_SLEW_PPM = 500, // a segment's duration is bent by
    SEGTIME_RISE_PPM = 250, // the anchor follows later observations by
    SEGTIME_LATE_MAX = 3,   // late in a row
    SEGTIME_SETTLED = 3,    // observations that make an anchor one to rely on
};

// An observation further off than this is a step,
#define SEGTIME_STEP_US INT64_C(1000000)
// and up to this it may be for want of good observations, or for frames that come later.
#define SEGTIME_DELAY_US INT64_C(10000000)
// What a segment lasts at least.
#define SEGTIME_LEAST_US INT64_C(1000)
// No segment is further from its run's beginning, or longer: nothing can be told of nonsense.
#define SEGTIME_MEDIA_US_MAX (INT64_C(1000) * 366 * 86400 * 1000000)

const char *segtime_step_name(enum segtime_step step)
{
    static const char *const names[] = {
#define SEGTIME_STEP_NAME(name, text) [SEGTIME_##name] = (text),
        SEGTIME_STEPS(SEGTIME_STEP_NAME)
#undef SEGTIME_STEP_NAME
    };
    return step < SEGTIME_STEP_COUNT ? names[step] : "";
}

static int64_t segtime_ppm(int64_t duration_us, int64_t ppm)
{
    return duration_us / 1000000 * ppm + duration_us % 1000000 * ppm / 1000000;
}

static int64_t segtime_clamp(int64_t value, int64_t limit)
{
    return value > limit ? limit : value < -limit ? -limit : value;
}

static int64_t segtime_max(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

// Whether a jump of the media clock is why an observation is off: media ahead makes it early.
static bool segtime_explains(int64_t jump_us, int64_t off_us)
{
    int64_t rest_us = off_us + jump_us, some_us = jump_us / 4;
    if (jump_us > -SEGTIME_STEP_US && jump_us < SEGTIME_STEP_US)
        return false;
    some_us = segtime_max(SEGTIME_STEP_US, some_us < 0 ? -some_us : some_us);
    return rest_us >= -some_us && rest_us <= some_us;
}

// Takes an observation in, made `elapsed_us` after the one before. Returns the step that it is.
static enum segtime_step segtime_observe(
    struct segtime *time, int64_t observed_us, int64_t elapsed_us, int64_t jump_us)
{
    int64_t off_us = observed_us - time->anchor_us;
    int64_t slack_us = SEGTIME_STEP_US + segtime_ppm(elapsed_us, SEGTIME_SLEW_PPM);
    if (off_us >= -slack_us && off_us <= slack_us) {
        int64_t rise_us = segtime_ppm(elapsed_us, SEGTIME_RISE_PPM);
        time->anchor_us += off_us < rise_us ? off_us : rise_us;
        time->late = 0;
        if (time->observations < SEGTIME_SETTLED)
            time->observations++;
        return SEGTIME_NONE;
    }
    enum segtime_step step = SEGTIME_CLOCK_STEP;
    if (segtime_explains(jump_us, off_us)) {
        step = SEGTIME_CAMERA_JUMP;
    } else if (off_us > 0) {
        if (time->late == 0 || observed_us < time->late_us)
            time->late_us = observed_us;
        if (++time->late < SEGTIME_LATE_MAX)
            return SEGTIME_NONE;
        observed_us = time->late_us;
        if (observed_us - time->anchor_us <= SEGTIME_DELAY_US)
            step = SEGTIME_DELAY;
    } else if (time->observations < SEGTIME_SETTLED && off_us >= -SEGTIME_DELAY_US) {
        step = SEGTIME_NONE; // the run's first births were late
    }
    time->step_us = observed_us - time->anchor_us;
    time->anchor_us = observed_us;
    time->observations = 1;
    time->late = 0;
    return step;
}

static void segtime_set_anchor(struct segtime *time, int64_t anchor_us)
{
    time->anchored = true;
    time->anchor_us = anchor_us;
    time->observations = 1;
}

// Finds a run's first anchor. Returns false when there is none yet.
static bool segtime_anchor(struct segtime *time, const struct segtime_segment *segment, bool alone)
{
    int64_t media_end_us = segment->media_start_us + segment->media_duration_us;
    bool own = segment->birth_us > 0 && segment->number > 0;
    if (time->anchored)
        return true;
    if (!own && segment->next_birth_us > 0)
        segtime_set_anchor(time, segment->next_birth_us - segment->latency_us - media_end_us);
    else if (!own && alone && segment->written_us > 0)
        segtime_set_anchor(time, segment->written_us - segment->latency_us - media_end_us);
    else if (own || (alone && segment->birth_us > 0))
        segtime_set_anchor(time, segment->birth_us - segment->latency_us - segment->media_start_us);
    return time->anchored;
}

// Takes the segment's own arrival in, unless that was done with its predecessor.
static enum segtime_step segtime_arrive(
    struct segtime *time, const struct segtime_segment *segment, int64_t missing_us)
{
    enum segtime_step step = time->next_seen ? time->next_step : SEGTIME_NONE;
    bool seen = time->next_seen && missing_us < SEGTIME_STEP_US && missing_us > -SEGTIME_STEP_US;
    if (seen || !time->placed || segment->number == 0 || segment->birth_us <= 0)
        return step;
    int64_t elapsed_us = time->next_start_us - time->start_us + segtime_max(missing_us, 0);
    int64_t observed_us = segment->birth_us - segment->latency_us - segment->media_start_us;
    enum segtime_step own =
        segtime_observe(time, observed_us, elapsed_us, time->jump_us + missing_us);
    return own != SEGTIME_NONE ? own : step;
}

// Where the segment begins: at its predecessor's end, or behind it where footage is missing.
static int64_t segtime_start(
    const struct segtime *time, const struct segtime_segment *segment, int64_t missing_us)
{
    int64_t true_us = time->anchor_us + segment->media_start_us;
    if (!time->placed)
        return true_us;
    if (time->step != SEGTIME_NONE)
        return true_us <= time->start_us ? true_us : segtime_max(true_us, time->next_start_us);
    if (missing_us < SEGTIME_STEP_US)
        return time->next_start_us + segtime_max(missing_us, 0);
    return segtime_max(true_us, time->next_start_us);
}

// Where it ends by the anchor.
static int64_t segtime_end(
    const struct segtime *time, const struct segtime_segment *segment, int64_t start_us)
{
    int64_t true_us = time->anchor_us + segment->media_start_us + segment->media_duration_us;
    int64_t end_us = start_us + segment->media_duration_us;
    // After a step there may be no room: it is made up for at once.
    if (start_us - (time->anchor_us + segment->media_start_us) > SEGTIME_STEP_US)
        return segtime_max(true_us, start_us + SEGTIME_LEAST_US);
    return end_us + segtime_clamp(true_us - end_us,
                        segtime_ppm(segment->media_duration_us, SEGTIME_SLEW_PPM));
}

// Takes the successor's arrival in. Returns where the segment ends by that.
static int64_t segtime_foresee(
    struct segtime *time, const struct segtime_segment *segment, int64_t start_us)
{
    int64_t arrival_us = segment->next_birth_us - segment->latency_us;
    int64_t media_end_us = segment->media_start_us + segment->media_duration_us;
    int64_t before_us = segtime_end(time, segment, start_us), anchor_us = time->anchor_us;
    time->next_seen = true;
    time->next_step = segtime_observe(
        time, arrival_us - media_end_us, segment->media_duration_us, segment->media_jump_us);
    bool settled = time->anchor_us < anchor_us - SEGTIME_STEP_US;
    if (time->next_step == SEGTIME_NONE && !settled)
        return segtime_end(time, segment, start_us);
    // It does not last into its successor; and where its own clock has jumped, up to that.
    if (arrival_us > start_us && (arrival_us < before_us || time->next_step == SEGTIME_CAMERA_JUMP))
        return segtime_max(arrival_us, start_us + SEGTIME_LEAST_US);
    return before_us;
}

bool segtime_place(struct segtime *time, const struct segtime_segment *segment, bool alone,
    int64_t *start_us, int64_t *end_us)
{
    if (segment->media_start_us < -SEGTIME_MEDIA_US_MAX ||
        segment->media_start_us > SEGTIME_MEDIA_US_MAX || segment->media_duration_us < 0 ||
        segment->media_duration_us > SEGTIME_MEDIA_US_MAX || !segtime_anchor(time, segment, alone))
        return false;
    int64_t missing_us = time->placed ? segment->media_start_us - time->next_media_us : 0;
    time->step = segtime_arrive(time, segment, missing_us);
    *start_us = segtime_start(time, segment, missing_us);
    time->next_seen = false;
    time->next_step = SEGTIME_NONE;
    *end_us = segment->next_birth_us > 0 ? segtime_foresee(time, segment, *start_us)
                                         : segtime_end(time, segment, *start_us);
    time->placed = true;
    time->start_us = *start_us;
    time->next_start_us = *end_us;
    time->next_media_us = segment->media_start_us + segment->media_duration_us;
    time->jump_us = segment->media_jump_us;
    return true;
}

int64_t segtime_jump_us(const struct media_segment *segment)
{
    const struct media_track *track = media_segment_track(segment, MEDIA_VIDEO);
    if (track == NULL || track->sample_count == 0)
        track = media_segment_track(segment, MEDIA_AUDIO);
    if (track == NULL || track->sample_count < 3)
        return 0;
    uint64_t sum = 0;
    uint32_t longest = 0;
    size_t squeezed = 0;
    for (size_t i = 0; i < track->sample_count; i++) {
        uint32_t duration = track->samples[i].duration;
        sum += duration;
        squeezed += duration <= 2;
        longest = duration > longest ? duration : longest;
    }
    size_t even = track->sample_count - squeezed - 1;
    if (even == 0)
        return 0;
    int64_t usual = (int64_t)((sum - longest) / even), jump = 0;
    if (longest > usual * 8)
        jump = (int64_t)longest - usual;
    jump -= (int64_t)squeezed * usual;
    int64_t jump_us = media_ticks_to_us(jump, track->timescale);
    return jump_us > SEGTIME_STEP_US || jump_us < -SEGTIME_STEP_US ? jump_us : 0;
}
