// Samples as the input describes them, packed: the table says the same, and opened once more with a
// byte changed, which gives what fuzz_samples hardly comes upon, it is refused or can be iterated.
#include <stdlib.h>

#include "lib/core/alloc.h"
#include "lib/media/samples.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    FUZZ_TRACK_MAX = 300, // samples
    FUZZ_DAMAGED_MAX = 20000,
};

static bool same_sample(const struct media_sample *a, const struct sample *b)
{
    return a->offset == b->offset && a->size == b->size && a->duration == b->duration &&
           a->composition == b->composition && a->key == b->key;
}

static void check_same(const struct media_segment *segment, const struct buf *packed)
{
    struct sample_table table;
    char *cause = NULL;
    if (sample_table_open(&table, packed->data, packed->size, &cause) != 0 ||
        table.track_count != segment->track_count)
        abort();
    for (size_t i = 0; i < segment->track_count; i++) {
        const struct media_track *track = &segment->tracks[i];
        struct sample_iter iter;
        sample_iter_init(&iter, &table.tracks[i]);
        if (table.tracks[i].sample_count != track->sample_count)
            abort();
        for (size_t j = 0; j < track->sample_count; j++) {
            const struct sample *sample = sample_iter_next(&iter);
            if (sample == NULL || !same_sample(&track->samples[j], sample))
                abort();
        }
    }
}

static void check_damaged(const struct buf *packed)
{
    struct sample_table table;
    char *cause = NULL;
    if (sample_table_open(&table, packed->data, packed->size, &cause) != 0) {
        free(cause);
        return;
    }
    for (uint32_t i = 0; i < table.track_count; i++) {
        struct sample_iter iter;
        uint32_t count = 0;
        sample_iter_init(&iter, &table.tracks[i]);
        while (count <= FUZZ_DAMAGED_MAX && sample_iter_next(&iter) != NULL)
            count++;
        if (count <= FUZZ_DAMAGED_MAX && count != table.tracks[i].sample_count)
            abort();
    }
}

struct input {
    const uint8_t *data;
    size_t size;
};

static uint64_t take(struct input *input, size_t bytes)
{
    uint64_t value = 0;
    for (; bytes > 0 && input->size > 0; bytes--, input->size--)
        value = value << 8 | *input->data++;
    return value;
}

// Around what the track usually has; anything, sometimes.
static uint64_t take_near(struct input *input, uint64_t usual, unsigned shift)
{
    uint64_t form = take(input, 1);
    return form >= 254   ? take(input, 4)
           : form >= 250 ? take(input, 2)
                         : usual + ((form & 127) << shift);
}

// What the samples of a track are like.
struct likeness {
    bool repeats, gap, steady, keys, compositions, jitter;
    uint64_t size, duration;
    unsigned shift;
};

static struct likeness take_likeness(struct input *input, struct media_track *track)
{
    uint64_t form = take(input, 1);
    track->parameter_sets = form & 1;
    track->samples = xcalloc(FUZZ_TRACK_MAX, sizeof(*track->samples));
    struct likeness like = {.repeats = form & 2,
        .gap = form & 4,
        .steady = form & 8,
        .keys = form & 16,
        .compositions = form & 32,
        .jitter = form & 64};
    like.size = take(input, 2);
    like.duration = take(input, 2);
    like.shift = (unsigned)take(input, 1) % 12;
    return like;
}

// Up to fifteen samples that the input says, each of them up to 121 times, a little changed.
static void take_chunk(
    struct input *input, const struct likeness *like, struct media_track *track, uint64_t *offset)
{
    uint64_t chunk = take(input, 1);
    *offset += like->gap ? take(input, 1) : chunk;
    for (uint64_t left = chunk & 15; left > 0; left--) {
        struct media_sample sample = {
            .size = (uint32_t)take_near(input, like->size, like->shift),
            .duration =
                (uint32_t)(like->steady ? like->duration : take_near(input, like->duration, 2)),
            .key = like->keys || take(input, 1) < 16,
            .composition = like->compositions ? (int32_t)take_near(input, 0, 9) : 0,
        };
        uint64_t times = like->repeats ? 1 + (chunk >> 4) * 8 : 1;
        for (uint64_t i = 0; i < times && track->sample_count < FUZZ_TRACK_MAX; i++) {
            sample.offset = *offset;
            *offset += sample.size;
            track->samples[track->sample_count++] = sample;
            sample.size += i & 3;
            sample.duration += like->jitter ? i * 7 % 5 : 0;
        }
    }
}

// Samples in chunks of one track or of two in turn.
static void take_segment(struct input *input, struct media_segment *segment)
{
    struct likeness likes[MEDIA_TRACKS_MAX];
    uint64_t offset = take(input, 2);
    segment->track_count = 1 + take(input, 1) % MEDIA_TRACKS_MAX;
    for (size_t i = 0; i < segment->track_count; i++) {
        segment->tracks[i].kind = i == 0 ? MEDIA_VIDEO : MEDIA_AUDIO;
        likes[i] = take_likeness(input, &segment->tracks[i]);
    }
    for (size_t i = 0; input->size > 0; i = (i + 1) % segment->track_count)
        take_chunk(input, &likes[i], &segment->tracks[i], &offset);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    struct media_segment segment = {0};
    struct buf packed = BUF_INIT;
    uint64_t place = take(&input, 2), change = take(&input, 1);
    take_segment(&input, &segment);
    sample_table_encode(&segment, &packed);
    check_same(&segment, &packed);
    packed.data[place % packed.size] ^= (uint8_t)change;
    if (change != 0)
        check_damaged(&packed);
    buf_fini(&packed);
    media_segment_fini(&segment);
    return 0;
}
