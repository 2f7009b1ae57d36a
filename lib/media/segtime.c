// Where a segment stands in UTC. See segtime.h.
#include "lib/media/segtime.h"

enum {
    SEGTIME_SLEW_PPM = 500,
};

// Media that would begin so long after its file was made is of a clock that has jumped.
#define SEGTIME_JUMP_US (INT64_C(60) * 1000000)

static int64_t segtime_clamp(int64_t value, int64_t limit)
{
    return value > limit ? limit : value < -limit ? -limit : value;
}

static void segtime_observe(struct segtime *time, int64_t anchor_us)
{
    if (!time->anchored || anchor_us < time->anchor_us)
        time->anchor_us = anchor_us;
    time->anchored = true;
}

// Takes in what this segment says of the anchor. Returns false when it says nothing yet.
static bool segtime_anchor(struct segtime *time, const struct segtime_segment *segment, bool alone)
{
    int64_t media_end_us = segment->media_start_us + segment->media_duration_us;
    if (segment->number > 0 && segment->birth_us > 0)
        segtime_observe(time, segment->birth_us - segment->latency_us - segment->media_start_us);
    if (time->anchored)
        return true;
    if (segment->next_birth_us > 0)
        segtime_observe(time, segment->next_birth_us - segment->latency_us - media_end_us);
    else if (alone && segment->written_us > 0)
        segtime_observe(time, segment->written_us - segment->latency_us - media_end_us);
    else if (alone && segment->birth_us > 0)
        segtime_observe(time, segment->birth_us - segment->latency_us - segment->media_start_us);
    return time->anchored;
}

// Where the media clock has jumped ahead, the file's birth says when it went on: nothing is of the
// future.
static int64_t segtime_after_jump(
    struct segtime *time, const struct segtime_segment *segment, int64_t start_us)
{
    int64_t arrival_us = segment->birth_us - segment->latency_us;
    if (segment->number == 0 || segment->birth_us <= 0 || start_us <= arrival_us + SEGTIME_JUMP_US)
        return start_us;
    start_us = arrival_us > time->next_start_us ? arrival_us : time->next_start_us;
    time->anchor_us = start_us - segment->media_start_us;
    return start_us;
}

bool segtime_place(struct segtime *time, const struct segtime_segment *segment, bool alone,
    int64_t *start_us, int64_t *end_us)
{
    if (!segtime_anchor(time, segment, alone))
        return false;

    *start_us = time->anchor_us + segment->media_start_us;
    if (time->placed) {
        // Footage that is missing in between moves the start on by its media time.
        int64_t missing_us = segment->media_start_us - time->next_media_us;
        *start_us = time->next_start_us;
        if (missing_us > 0)
            *start_us = segtime_after_jump(time, segment, time->next_start_us + missing_us);
    }
    int64_t media_end_us = segment->media_start_us + segment->media_duration_us;
    int64_t limit_us = segment->media_duration_us / 1000000 * SEGTIME_SLEW_PPM +
                       segment->media_duration_us % 1000000 * SEGTIME_SLEW_PPM / 1000000;
    int64_t unslewed_us = *start_us + segment->media_duration_us;
    *end_us = unslewed_us + segtime_clamp(time->anchor_us + media_end_us - unslewed_us, limit_us);

    time->placed = true;
    time->next_start_us = *end_us;
    time->next_media_us = media_end_us;
    return true;
}
