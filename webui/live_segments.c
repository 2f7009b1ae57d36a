// What a live playlist lists. See live_segments.h.
#include "webui/live_segments.h"

#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/timeutil.h"

enum {
    LIVE_PART_TARGET_MIN_US = 500000, // what the recorder's fragments last
    LIVE_PART_TARGET_STEP_US = 100000,
    LIVE_PART_ADVANCE_US = 3000000, // that a reader may be ahead of the last part
    // What discontinuities are counted from: it grows from one life of the program to the next, and
    // is small enough for readers that have a table of them.
    LIVE_DISCONTINUITY_EPOCH_S = 16384,
};

// --- Room ---

// Forgets the oldest segments with their parts.
static void live_segments_forget(struct live_segments *segments, size_t count)
{
    uint64_t end = count < segments->count ? segments->items[count].first
                                           : segments->part_base + segments->part_count;
    size_t parts = (size_t)(end - segments->part_base);
    for (size_t i = 0; i < parts; i++)
        live_part_unref(&segments->parts[i].part);
    segments->part_count -= parts;
    segments->part_base += parts;
    memmove(segments->parts, segments->parts + parts,
        segments->part_count * sizeof(segments->parts[0]));
    segments->count -= count;
    memmove(segments->items, segments->items + count, segments->count * sizeof(segments->items[0]));
    segments->listed -= count < segments->listed ? count : segments->listed;
}

void live_segments_fini(struct live_segments *segments)
{
    if (segments->count > 0)
        live_segments_forget(segments, segments->count);
    free(segments->parts);
    free(segments->items);
    *segments = (struct live_segments){0};
}

// What a playlist lists is as long as its readers need; what it does not list any more stays
// readable for as long again.
static void live_segments_trim(struct live_segments *segments)
{
    int64_t window_us = 3 * segments->target_s * US_PER_SECOND;
    int64_t listed_us = 0, unlisted_us = 0;
    size_t gone = 0;
    if (window_us < LIVE_SEGMENTS_WINDOW_S * US_PER_SECOND)
        window_us = LIVE_SEGMENTS_WINDOW_S * US_PER_SECOND;
    for (size_t i = segments->listed; i < segments->count; i++)
        listed_us += segments->items[i].is_complete ? segments->items[i].duration_us : 0;
    while (segments->listed + 1 < segments->count &&
           listed_us - segments->items[segments->listed].duration_us >= window_us)
        listed_us -= segments->items[segments->listed++].duration_us;
    for (size_t i = segments->listed; i-- > 0;) {
        unlisted_us += segments->items[i].duration_us;
        if (unlisted_us > window_us + segments->target_s * US_PER_SECOND) {
            gone = i + 1;
            break;
        }
    }
    while (segments->part_count > LIVE_SEGMENTS_PARTS_MAX && gone + 1 < segments->count &&
           segments->items[gone].first <
               segments->part_base + segments->part_count - LIVE_SEGMENTS_PARTS_MAX)
        gone++;
    if (gone > 0)
        live_segments_forget(segments, gone);
}

// --- What is added ---

static void live_segments_raise_targets(
    struct live_segments *segments, const struct live_segment *segment, int64_t part_us)
{
    int64_t seconds = (segment->duration_us + US_PER_SECOND - 1) / US_PER_SECOND;
    int64_t steps = (part_us + LIVE_PART_TARGET_STEP_US - 1) / LIVE_PART_TARGET_STEP_US;
    if (segments->target_s < LIVE_SEGMENT_MIN_S + 1)
        segments->target_s = LIVE_SEGMENT_MIN_S + 1;
    if (seconds > segments->target_s)
        segments->target_s = seconds;
    if (segments->part_target_us < LIVE_PART_TARGET_MIN_US)
        segments->part_target_us = LIVE_PART_TARGET_MIN_US;
    if (steps * LIVE_PART_TARGET_STEP_US > segments->part_target_us)
        segments->part_target_us = steps * LIVE_PART_TARGET_STEP_US;
}

// Whether a part belongs to a segment that is not complete yet.
static bool live_segment_takes(const struct live_segments *segments,
    const struct live_segment *segment, const struct live_part *part)
{
    const struct live_part *last = live_segments_part(segments, segment, segment->count - 1);
    if (part->continuity != last->continuity || part->file->id.number != last->file->id.number ||
        part->file->id.run != last->file->id.run)
        return false;
    if (part->key)
        return segment->duration_us < LIVE_SEGMENT_MIN_S * US_PER_SECOND;
    return segment->duration_us < LIVE_SEGMENT_MAX_S * US_PER_SECOND;
}

// UTC of a run's media time 0: the least delayed of what has arrived of late tells.
static int64_t live_segments_zero(const struct live_segments *segments)
{
    const struct live_segment_part *last = &segments->parts[segments->part_count - 1];
    int64_t zero_us = last->zero_us;
    for (size_t i = segments->part_count - 1; i-- > 0;) {
        const struct live_segment_part *item = &segments->parts[i];
        if (item->part.continuity != last->part.continuity)
            break;
        if (item->zero_us < zero_us)
            zero_us = item->zero_us;
    }
    return zero_us;
}

// Begins another segment with the part that was added last.
static void live_segments_begin(struct live_segments *segments)
{
    const struct live_part *part = &segments->parts[segments->part_count - 1].part;
    ARRAY_RESERVE(segments->items, segments->count, segments->capacity);
    struct live_segment *segment = &segments->items[segments->count];
    struct live_segment *before = segments->count > 0 ? segment - 1 : NULL;
    int64_t wall_us = live_segments_zero(segments) + part->start_us;
    *segment = (struct live_segment){
        .sequence = wall_us > US_PER_SECOND ? (uint64_t)(wall_us / US_PER_SECOND) : 1,
        .first = segments->part_base + segments->part_count - 1,
        .wall_us = wall_us,
        .is_independent = part->key,
        .map = {part->file->id.run, part->file->id.number},
    };
    segment->discontinuities = segment->sequence / LIVE_DISCONTINUITY_EPOCH_S;
    if (before != NULL) {
        const struct live_part *last = live_segments_part(segments, before, before->count - 1);
        bool is_same = live_init_equal(last->init, part->init);
        before->is_complete = true;
        segment->sequence = before->sequence + 1;
        segment->is_discontinuity = !is_same || last->continuity != part->continuity;
        segment->discontinuities = before->discontinuities + segment->is_discontinuity;
        if (is_same)
            segment->map = before->map;
    }
    segments->count++;
}

void live_segments_add(
    struct live_segments *segments, const struct live_part *part, int64_t wall_us)
{
    // The first one can be shown from its first picture on.
    if (!part->has_video || part->duration_us <= 0 || (segments->count == 0 && !part->key))
        return;
    bool is_new = segments->count == 0 ||
                  !live_segment_takes(segments, &segments->items[segments->count - 1], part);
    ARRAY_RESERVE(segments->parts, segments->part_count, segments->part_capacity);
    live_part_ref(part);
    segments->parts[segments->part_count++] = (struct live_segment_part){
        .part = *part, .zero_us = wall_us - part->start_us - part->duration_us};
    if (is_new)
        live_segments_begin(segments);
    struct live_segment *open = &segments->items[segments->count - 1];
    open->count++;
    open->duration_us += part->duration_us;
    live_segments_raise_targets(segments, open, part->duration_us);
    if (is_new)
        live_segments_trim(segments);
}

// --- What is there ---

const struct live_part *live_segments_part(
    const struct live_segments *segments, const struct live_segment *segment, size_t index)
{
    return &segments->parts[segment->first - segments->part_base + index].part;
}

bool live_segments_has(const struct live_segments *segments, int64_t sequence, int64_t part)
{
    if (segments->count == 0)
        return false;
    const struct live_segment *last = &segments->items[segments->count - 1];
    // A part that its segment does not have is the first one of the next.
    if (sequence < 0 || (uint64_t)sequence < last->sequence)
        return true;
    return (uint64_t)sequence == last->sequence && part >= 0 && (uint64_t)part < last->count;
}

bool live_segments_is_too_far(const struct live_segments *segments, int64_t sequence, int64_t part)
{
    if (segments->count == 0 || sequence < 0)
        return false;
    const struct live_segment *last = &segments->items[segments->count - 1];
    if ((uint64_t)sequence > last->sequence + 1)
        return true;
    int64_t limit = LIVE_PART_ADVANCE_US / segments->part_target_us;
    return (uint64_t)sequence == last->sequence && part > (int64_t)last->count + limit;
}

const struct live_part *live_segments_find_part(
    const struct live_segments *segments, int64_t run, uint32_t number, uint32_t index)
{
    for (size_t i = segments->part_count; i-- > 0;) {
        const struct live_part *part = &segments->parts[i].part;
        if (part->file->id.run == run && part->file->id.number == number && part->index == index)
            return part;
    }
    return NULL;
}

const struct live_segment *live_segments_find(const struct live_segments *segments, int64_t run,
    uint32_t number, uint32_t first, uint32_t last)
{
    for (size_t i = segments->count; i-- > 0;) {
        const struct live_segment *segment = &segments->items[i];
        const struct live_part *begin = live_segments_part(segments, segment, 0);
        const struct live_part *end = live_segments_part(segments, segment, segment->count - 1);
        if (segment->is_complete && begin->file->id.run == run &&
            begin->file->id.number == number && begin->index == first && end->index == last)
            return segment;
    }
    return NULL;
}

struct live_init *live_segments_find_init(
    const struct live_segments *segments, int64_t run, uint32_t number)
{
    for (size_t i = 0; i < segments->count; i++) {
        const struct live_segment *segment = &segments->items[i];
        if (segment->map.run == run && segment->map.number == number)
            return live_segments_part(segments, segment, 0)->init;
    }
    return NULL;
}
