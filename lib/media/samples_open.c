// Opens a packed sample table and checks all of it. The format is described in samples.c.
#include <inttypes.h>

#include "lib/core/alloc.h"
#include "lib/media/samples_model.h"

// The head while it is read.
struct samples_head {
    const uint8_t *at;
    const uint8_t *end;
    bool failed;
};

static uint8_t head_byte(struct samples_head *head)
{
    if (head->at == head->end) {
        head->failed = true;
        return 0;
    }
    return *head->at++;
}

// A variable-length integer that may not be above `max`.
static uint64_t head_varint(struct samples_head *head, uint64_t max)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 63; shift += 7) {
        uint8_t byte = head_byte(head);
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte & 0x80)
            continue;
        if (value > max)
            break;
        return value;
    }
    head->failed = true;
    return 0;
}

static void samples_open_code(struct samples_head *head, struct bits_code *code)
{
    code->low = head_byte(head);
    for (int i = 0; i < BITS_TOKENS; i += 2) {
        uint8_t byte = head_byte(head);
        code->lengths[i] = byte >> 4;
        code->lengths[i + 1] = byte & 0xf;
    }
    if (!bits_code_open(code))
        head->failed = true;
}

// What a track's values are predicted and written by.
static void samples_open_models(struct samples_head *head, struct sample_pack *pack)
{
    pack->size_shift = head_byte(head);
    if (pack->flags & SAMPLES_CLOCK) {
        pack->clock.shift = head_byte(head);
        pack->clock.error = bits_unfold(head_varint(head, (uint64_t)UINT32_MAX << 17));
        samples_open_code(head, &pack->clock.code);
    }
    if (pack->flags & SAMPLES_SIZE_CODE) {
        pack->size_class = head_byte(head);
        samples_open_code(head, &pack->size_code);
    }
    if (pack->clock.shift > SAMPLES_SHIFT_MAX || pack->size_shift > SAMPLES_SHIFT_MAX ||
        pack->size_class >= SAMPLE_CLASSES)
        head->failed = true;
}

static void samples_open_pack(
    struct samples_head *head, struct sample_pack *pack, size_t lengths[4], size_t size)
{
    pack->kind = head_byte(head);
    pack->flags = head_byte(head);
    pack->sample_count = (uint32_t)head_varint(head, MEDIA_SAMPLES_MAX);
    pack->chunk_count = (uint32_t)head_varint(head, pack->sample_count);
    pack->unit = (uint32_t)head_varint(head, UINT32_MAX);
    pack->period = head_varint(head, (uint64_t)UINT32_MAX << 16);
    pack->composition = (int32_t)bits_unfold(head_varint(head, UINT32_MAX));
    pack->chunk_samples = (uint32_t)head_varint(head, MEDIA_SAMPLES_MAX);
    pack->row_own = head_byte(head);
    pack->row_other = head_byte(head);
    pack->row_key = head_byte(head);
    samples_open_models(head, pack);
    for (int i = 0; i < 4; i++)
        lengths[i] = head_varint(head, size);
    if ((pack->kind != MEDIA_VIDEO && pack->kind != MEDIA_AUDIO) || pack->flags > SAMPLES_FLAGS ||
        pack->unit == 0)
        head->failed = true;
}

// Takes the next stream from what is left behind the head.
static struct sample_stream samples_open_stream(struct samples_head *head, size_t length)
{
    struct sample_stream stream = {.data = head->at, .size = length};
    if (length > (size_t)(head->end - head->at)) {
        head->failed = true;
        return (struct sample_stream){0};
    }
    head->at += length;
    return stream;
}

// Iterates over a whole track, so that every value of it has been seen to be right.
static bool samples_check(const struct sample_table_track *track)
{
    struct sample_iter iter;
    uint32_t chunks = 0;
    sample_iter_init(&iter, track);
    for (const struct sample *sample; (sample = sample_iter_next(&iter)) != NULL;) {
        chunks += sample->chunk_start;
        if (sample->offset > (uint64_t)INT64_MAX - sample->size)
            return false;
    }
    return !sample_iter_failed(&iter) && iter.chunk_left == 0 && chunks == track->chunk_count;
}

// Reads head and places of the streams. Returns false where they contradict themselves.
static bool samples_open_tracks(
    struct sample_table *table, const uint8_t *data, size_t size, char **cause)
{
    struct samples_head head = {.at = data, .end = data + size};
    struct sample_pack packs[MEDIA_TRACKS_MAX] = {0};
    size_t lengths[MEDIA_TRACKS_MAX][4] = {0};
    uint8_t version = head_byte(&head);
    if (version != SAMPLES_VERSION) {
        *cause = xasprintf("a sample table of version %u: this program knows version %d", version,
            SAMPLES_VERSION);
        return false;
    }
    uint32_t count = head_byte(&head);
    if (count > MEDIA_TRACKS_MAX)
        head.failed = true;
    for (uint32_t i = 0; i < count && !head.failed; i++)
        samples_open_pack(&head, &packs[i], lengths[i], size);
    size_t chunks_length = head_varint(&head, size);
    for (uint32_t i = 0; i < count && !head.failed; i++) {
        packs[i].keys = samples_open_stream(&head, lengths[i][0]);
        packs[i].durations = samples_open_stream(&head, lengths[i][1]);
        packs[i].compositions = samples_open_stream(&head, lengths[i][2]);
        packs[i].sizes = samples_open_stream(&head, lengths[i][3]);
    }
    struct sample_stream chunks = samples_open_stream(&head, chunks_length);
    if (head.failed || head.at != head.end || (count == 2 && packs[0].kind == packs[1].kind))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        struct sample_table_track *track = &table->tracks[i];
        *track = (struct sample_table_track){
            .kind = packs[i].kind,
            .sample_count = packs[i].sample_count,
            .chunk_count = packs[i].chunk_count,
            .parameter_sets = packs[i].flags & SAMPLES_PARAMETER_SETS,
            .own = i,
            .packs = count,
            .chunks = chunks,
        };
        for (uint32_t j = 0; j < count; j++)
            track->pack[j] = packs[j];
    }
    table->track_count = count;
    return true;
}

static int samples_open(
    struct sample_table *table, const uint8_t *data, size_t size, bool check, char **cause)
{
    *table = (struct sample_table){0};
    *cause = NULL;
    bool sound = samples_open_tracks(table, data, size, cause);
    for (uint32_t i = 0; i < table->track_count && sound && check; i++)
        sound = samples_check(&table->tracks[i]);
    if (sound)
        return 0;
    *table = (struct sample_table){0};
    if (*cause == NULL)
        *cause = xasprintf("a sample table of %zu bytes is truncated or contradicts itself", size);
    return -1;
}

int sample_table_open(struct sample_table *table, const uint8_t *data, size_t size, char **cause)
{
    return samples_open(table, data, size, true, cause);
}

int sample_table_peek(struct sample_table *table, const uint8_t *data, size_t size, char **cause)
{
    return samples_open(table, data, size, false, cause);
}
