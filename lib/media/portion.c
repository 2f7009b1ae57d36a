// Dividing a segment at its key frames. See portion.h.
#include "lib/media/portion.h"

#include <stdlib.h>

#include "lib/core/alloc.h"

static void portions_begin(
    struct portions *portions, const struct sample *key, int64_t presentation)
{
    ARRAY_RESERVE(portions->items, portions->count, portions->capacity);
    portions->items[portions->count++] = (struct portion){
        .first = key->index,
        .decode = (int64_t)key->decode_time,
        .start = presentation,
    };
}

bool portions_find(
    struct portions *portions, const struct sample_table_track *video, uint32_t timescale)
{
    const int64_t least = (int64_t)timescale * PORTION_MS / 1000;
    struct sample_iter iter;
    struct portion *open = NULL;
    int64_t end = INT64_MIN;
    portions->count = 0;
    sample_iter_init_parts(&iter, video, SAMPLE_KEYS | SAMPLE_DURATIONS | SAMPLE_COMPOSITIONS);
    for (const struct sample *sample; (sample = sample_iter_next(&iter)) != NULL;) {
        int64_t presentation = (int64_t)sample->decode_time + sample->composition;
        if (sample->key && (open == NULL || presentation - open->start >= least)) {
            if (open != NULL)
                open->end = presentation;
            portions_begin(portions, sample, presentation);
            open = &portions->items[portions->count - 1];
        }
        if (open != NULL)
            open->count++;
        if (presentation + sample->duration > end)
            end = presentation + sample->duration;
    }
    if (open != NULL)
        open->end = end;
    return !sample_iter_failed(&iter);
}

void portions_fini(struct portions *portions)
{
    free(portions->items);
    *portions = (struct portions){0};
}
