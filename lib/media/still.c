// Key frames of a segment. See still.h.
#include "lib/media/still.h"

#include <stdlib.h>

#include "lib/core/alloc.h"

void stills_fini(struct stills *stills)
{
    free(stills->items);
    *stills = (struct stills){0};
}

struct still *stills_add(struct stills *stills, const struct still *still)
{
    ARRAY_RESERVE(stills->items, stills->count, stills->capacity);
    stills->items[stills->count] = *still;
    return &stills->items[stills->count++];
}

bool stills_find(struct stills *stills, const struct vfile_segment *segment, size_t index,
    const struct sample_table_track *video)
{
    const struct track_summary *summary = &segment->tracks[VFILE_VIDEO];
    if (video->sample_count != summary->counts.samples)
        return false;
    struct sample_iter iter;
    sample_iter_init(&iter, video);
    for (const struct sample *sample; (sample = sample_iter_next(&iter)) != NULL;) {
        if (!sample->key || sample->size == 0)
            continue;
        if (sample->offset < segment->media_offset || sample->offset > segment->media_end ||
            segment->media_end - sample->offset < sample->size)
            return false;
        int64_t time = summary->start + (int64_t)sample->decode_time + sample->composition;
        stills_add(stills, &(struct still){.segment = index,
                               .index = sample->index,
                               .offset = sample->offset,
                               .size = sample->size,
                               .time_us = vfile_wall_time(segment, time)});
    }
    return !sample_iter_failed(&iter);
}

const struct still *stills_at(const struct stills *stills, int64_t time_us)
{
    const struct still *last = NULL;
    for (size_t i = 0; i < stills->count; i++)
        if (stills->items[i].time_us <= time_us &&
            (last == NULL || stills->items[i].time_us >= last->time_us))
            last = &stills->items[i];
    return last;
}
