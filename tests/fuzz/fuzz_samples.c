// Any bytes as a packed sample table: what opens can be iterated to its end, packs again to a table
// that says the same, and gives bodies of the sizes that its counts say.
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/media/mp4_write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    FUZZ_SAMPLES_MAX = 100000, // tables of runs may say more than is worth the time
};

static void expand(const struct sample_table *table, struct media_segment *segment)
{
    segment->track_count = table->track_count;
    for (uint32_t i = 0; i < table->track_count; i++) {
        struct media_track *track = &segment->tracks[i];
        struct sample_iter iter;
        track->kind = table->tracks[i].kind;
        track->parameter_sets = table->tracks[i].parameter_sets;
        track->samples = xcalloc(table->tracks[i].sample_count, sizeof(*track->samples));
        sample_iter_init(&iter, &table->tracks[i]);
        for (const struct sample *sample; (sample = sample_iter_next(&iter)) != NULL;)
            track->samples[track->sample_count++] = (struct media_sample){
                sample->offset, sample->size, sample->duration, sample->composition, sample->key};
        if (track->sample_count != table->tracks[i].sample_count)
            abort();
    }
}

static void check_bodies(const struct sample_table *table)
{
    for (uint32_t i = 0; i < table->track_count; i++) {
        const struct sample_table_track *samples = &table->tracks[i];
        struct mp4_track track = {.composition = true};
        struct mp4_span span = {.samples = samples,
            .first = samples->sample_count / 3,
            .count = samples->sample_count / 2,
            .entry = 1};
        if (span.count == 0)
            continue;
        mp4_span_counts(&span, &track.counts);
        for (enum mp4_table kind = 0; kind < MP4_TABLE_COUNT; kind++) {
            struct buf body = BUF_INIT;
            mp4_put_table_body(&body, &span, kind);
            if (mp4_table_size(&track, kind) > 0 &&
                body.size != mp4_table_body_size(&track, &track.counts, kind))
                abort();
            buf_fini(&body);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sample_table table, again;
    char *cause = NULL;
    if (sample_table_open(&table, data, size, &cause) != 0) {
        assert(cause != NULL);
        free(cause);
        return 0;
    }
    for (uint32_t i = 0; i < table.track_count; i++) {
        if (table.tracks[i].sample_count > FUZZ_SAMPLES_MAX)
            return 0;
    }
    struct media_segment segment = {0}, second = {0};
    struct buf packed = BUF_INIT;
    expand(&table, &segment);
    sample_table_encode(&segment, &packed);
    if (sample_table_open(&again, packed.data, packed.size, &cause) != 0)
        abort();
    expand(&again, &second);
    for (size_t i = 0; i < segment.track_count; i++) {
        for (size_t j = 0; j < segment.tracks[i].sample_count; j++) {
            const struct media_sample *a = &segment.tracks[i].samples[j];
            const struct media_sample *b = &second.tracks[i].samples[j];
            if (a->offset != b->offset || a->size != b->size || a->duration != b->duration ||
                a->composition != b->composition || a->key != b->key)
                abort();
        }
    }
    check_bodies(&again);
    media_segment_fini(&segment);
    media_segment_fini(&second);
    buf_fini(&packed);
    return 0;
}
