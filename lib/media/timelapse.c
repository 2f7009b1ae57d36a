// Which key frames a time-lapse shows. See still.h.
#include <stdlib.h>

#include "lib/core/alloc.h"
#include "lib/core/timeutil.h"
#include "lib/media/still.h"

enum {
    TIMELAPSE_TICKS = VFILE_STILL_SCALE / STILL_FPS, // of a moment
};

// The part of a segment that lies in the range. Returns its length, 0 for none.
static int64_t timelapse_part(const struct timelapse *timelapse, size_t i, int64_t *start_us)
{
    const struct vfile_segment *segment = &timelapse->segments[i];
    int64_t end_us = segment->end_us < timelapse->end_us ? segment->end_us : timelapse->end_us;
    *start_us = segment->start_us > timelapse->start_us ? segment->start_us : timelapse->start_us;
    if (segment->tracks[VFILE_VIDEO].counts.samples == 0 || end_us <= *start_us)
        return 0;
    return end_us - *start_us;
}

// What lies between two moments.
static int64_t timelapse_step_us(const struct timelapse *timelapse)
{
    return (int64_t)timelapse->speed * US_PER_SECOND / STILL_FPS;
}

// How many moments lie before a place in what was recorded.
static int64_t timelapse_moments(const struct timelapse *timelapse, int64_t covered_us)
{
    int64_t step_us = timelapse_step_us(timelapse);
    return covered_us / step_us + (covered_us % step_us != 0);
}

int64_t timelapse_covered_us(const struct timelapse *timelapse)
{
    int64_t covered_us = 0, start_us;
    for (size_t i = 0; i < timelapse->segment_count; i++)
        covered_us += timelapse_part(timelapse, i, &start_us);
    return covered_us;
}

uint64_t timelapse_frames_max(const struct timelapse *timelapse)
{
    int64_t covered_us = 0, start_us;
    uint64_t frames = 0;
    for (size_t i = 0; i < timelapse->segment_count; i++) {
        int64_t before = timelapse_moments(timelapse, covered_us);
        covered_us += timelapse_part(timelapse, i, &start_us);
        uint64_t moments = (uint64_t)(timelapse_moments(timelapse, covered_us) - before);
        // One more: the last one of the segment before it may be on screen yet.
        uint64_t keys = (uint64_t)timelapse->segments[i].tracks[VFILE_VIDEO].counts.syncs + 1;
        frames += moments < keys ? moments : keys;
    }
    return frames;
}

struct chooser {
    const struct timelapse *timelapse;
    const struct still_source *source;
    struct stills *chosen;
    struct stills keys;       // of the segment that is looked at
    struct still last_before; // of the one before it
    bool before_known;        // whether that was asked for
    bool before_found;
    uint32_t pending; // moments before the first frame
    char **cause;
};

static int chooser_keys(struct chooser *chooser, size_t segment)
{
    chooser->keys.count = 0;
    return chooser->source->keys(chooser->source->arg, segment, &chooser->keys, chooser->cause);
}

// The last key frame of the segment before `segment`, NULL when it has none. `keys` is kept.
static int chooser_before(struct chooser *chooser, size_t segment, const struct still **still)
{
    *still = NULL;
    while (segment > 0 &&
           chooser->timelapse->segments[segment - 1].tracks[VFILE_VIDEO].counts.samples == 0)
        segment--;
    if (!chooser->before_known && segment > 0) {
        struct stills keys = {0};
        if (chooser->source->keys(chooser->source->arg, segment - 1, &keys, chooser->cause) < 0) {
            stills_fini(&keys);
            return -1;
        }
        const struct still *last = stills_at(&keys, INT64_MAX);
        chooser->before_found = last != NULL;
        if (last != NULL)
            chooser->last_before = *last;
        stills_fini(&keys);
    }
    chooser->before_known = true;
    if (chooser->before_found)
        *still = &chooser->last_before;
    return 0;
}

// One moment more that shows this frame.
static void chooser_show(struct chooser *chooser, const struct still *still)
{
    struct stills *chosen = chooser->chosen;
    struct still *last = chosen->count > 0 ? &chosen->items[chosen->count - 1] : NULL;
    bool same = last != NULL &&
                (still == NULL || (last->segment == still->segment && last->index == still->index));
    if (last == NULL && still == NULL) {
        chooser->pending += chooser->pending < UINT32_MAX / TIMELAPSE_TICKS - 1;
        return;
    }
    if (!same || last->duration > UINT32_MAX - TIMELAPSE_TICKS) {
        struct still next = same ? *last : *still;
        next.duration = TIMELAPSE_TICKS * chooser->pending;
        chooser->pending = 0;
        last = stills_add(chosen, &next);
    }
    last->duration += TIMELAPSE_TICKS;
}

// The moments of one segment: `count` of them, the first at `time_us`.
static int chooser_segment(struct chooser *chooser, size_t segment, int64_t time_us, int64_t count)
{
    const int64_t step_us = timelapse_step_us(chooser->timelapse);
    chooser->before_known = chooser->before_found = false;
    if (chooser_keys(chooser, segment) < 0)
        return -1;
    const struct stills *keys = &chooser->keys;
    size_t next = 0; // behind the last one at or before the moment
    for (; count > 0; count--, time_us += step_us) {
        const struct still *still = NULL;
        while (next < keys->count && keys->items[next].time_us <= time_us)
            next++;
        if (next > 0)
            still = &keys->items[next - 1];
        else if (chooser_before(chooser, segment, &still) < 0)
            return -1;
        if (still == NULL && chooser->chosen->count == 0 && keys->count > 0)
            still = &keys->items[0];
        chooser_show(chooser, still);
    }
    return 0;
}

int timelapse_choose(const struct timelapse *timelapse, const struct still_source *source,
    struct stills *chosen, char **cause)
{
    struct chooser chooser = {
        .timelapse = timelapse, .source = source, .chosen = chosen, .cause = cause};
    const int64_t step_us = timelapse_step_us(timelapse);
    int64_t covered_us = 0, start_us;
    int result = 0;
    for (size_t i = 0; i < timelapse->segment_count && result == 0; i++) {
        int64_t first = timelapse_moments(timelapse, covered_us);
        int64_t length_us = timelapse_part(timelapse, i, &start_us);
        int64_t count = timelapse_moments(timelapse, covered_us + length_us) - first;
        if (count > 0)
            result = chooser_segment(&chooser, i, start_us + first * step_us - covered_us, count);
        covered_us += length_us;
    }
    stills_fini(&chooser.keys);
    return result;
}
