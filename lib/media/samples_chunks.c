// Where a segment's chunks lie, and what is written of that. See samples_chunks.h.
#include "lib/media/samples_chunks.h"

#include <assert.h>
#include <stdlib.h>

#include "lib/core/alloc.h"

enum {
    SAMPLES_ROWS_LOOK = 512, // chunks from which the size of rows is guessed
};

// One chunk of any track.
struct samples_chunk {
    uint64_t offset;
    uint64_t bytes;
    uint32_t track;
    uint32_t samples;
    uint64_t gap;    // behind the chunk before
    uint32_t behind; // samples of the chunk behind, where that is another track's
    bool key;        // its first sample is one, in a track where not all are
};

// All chunks in file order, and what is written of them.
struct samples_chunks {
    struct samples_chunk *all;
    size_t count;
    uint64_t *turns;
    uint64_t *counts[MEDIA_TRACKS_MAX];                            // of each track
    uint64_t *ranks[MEDIA_TRACKS_MAX], *changes[MEDIA_TRACKS_MAX]; // of its gaps
    size_t left[MEDIA_TRACKS_MAX];
};

// Appends a track's chunks.
static void samples_find_chunks(
    struct samples_chunks *chunks, const struct media_track *track, uint32_t index, bool keys)
{
    struct samples_chunk *chunk = NULL;
    for (size_t i = 0; i < track->sample_count; i++) {
        const struct media_sample *sample = &track->samples[i];
        if (chunk == NULL || sample->offset != chunk->offset + chunk->bytes) {
            chunk = &chunks->all[chunks->count++];
            *chunk = (struct samples_chunk){
                .offset = sample->offset, .track = index, .key = keys && sample->key};
        }
        chunk->samples++;
        chunk->bytes += sample->size;
    }
}

// Merges the chunks of two tracks, each in decode order, into file order.
static void samples_merge_chunks(struct samples_chunks *chunks, size_t first_count)
{
    struct samples_chunk *merged = xcalloc(chunks->count, sizeof(*merged));
    size_t i = 0, j = first_count;
    for (size_t k = 0; k < chunks->count; k++) {
        bool second = j < chunks->count &&
                      (i == first_count || chunks->all[j].offset < chunks->all[i].offset);
        merged[k] = chunks->all[second ? j++ : i++];
    }
    free(chunks->all);
    chunks->all = merged;
}

// The number of samples that most chunks of a track have, by a vote in which each chunk that
// differs takes one away (Boyer and Moore).
static uint32_t samples_usual_count(const struct samples_chunks *chunks, uint32_t track)
{
    uint32_t usual = 0;
    size_t votes = 0;
    for (size_t i = 0; i < chunks->count; i++) {
        if (chunks->all[i].track != track)
            continue;
        if (votes == 0)
            usual = chunks->all[i].samples;
        votes += chunks->all[i].samples == usual ? 1 : (size_t)-1;
    }
    return usual;
}

// The gap before a chunk, less what its samples explain.
static uint64_t samples_bare_gap(const struct samples_chunk *chunk, const struct sample_pack *pack)
{
    return chunk->gap - (uint64_t)pack->row_own * chunk->samples -
           (uint64_t)pack->row_other * chunk->behind - (chunk->key ? pack->row_key : 0);
}

// How often the bare gap before a track's chunks changes; counted up to `most`.
static size_t samples_gap_changes(const struct samples_chunks *chunks, uint32_t track,
    const struct sample_pack *pack, size_t most)
{
    size_t changes = 0;
    uint64_t last = 0;
    for (size_t i = 0; i < chunks->count && i < SAMPLES_ROWS_LOOK && changes < most; i++) {
        if (chunks->all[i].track != track)
            continue;
        uint64_t gap = samples_bare_gap(&chunks->all[i], pack);
        changes += gap != last;
        last = gap;
    }
    return changes;
}

// Guesses how large the rows of the tables before a track's chunks are.
static void samples_guess_rows(
    const struct samples_chunks *chunks, uint32_t track, struct sample_pack *pack)
{
    static const uint8_t own[] = {0, 8, 12, 4, 16}, other[] = {0, 4, 8, 12, 16}, key[] = {0, 4};
    const unsigned count = ARRAY_LENGTH(own) * ARRAY_LENGTH(other) * ARRAY_LENGTH(key);
    struct sample_pack guess = *pack;
    size_t least = SIZE_MAX;
    for (unsigned i = 0; i < count && least > 2; i++) {
        guess.row_key = key[i % ARRAY_LENGTH(key)];
        guess.row_other = other[i / ARRAY_LENGTH(key) % ARRAY_LENGTH(other)];
        guess.row_own = own[i / ARRAY_LENGTH(key) / ARRAY_LENGTH(other)];
        size_t changes = samples_gap_changes(chunks, track, &guess, least);
        if (changes >= least)
            continue;
        least = changes;
        *pack = guess;
    }
}

struct samples_chunks *samples_chunks_new(
    const struct media_segment *segment, struct sample_pack *packs)
{
    size_t total = 0;
    for (size_t i = 0; i < segment->track_count; i++)
        total += packs[i].chunk_count;
    struct samples_chunks *chunks = xcalloc(1, sizeof(*chunks));
    chunks->all = xcalloc(total, sizeof(*chunks->all));
    for (uint32_t i = 0; i < segment->track_count; i++)
        samples_find_chunks(chunks, &segment->tracks[i], i, !(packs[i].flags & SAMPLES_ALL_KEYS));
    assert(chunks->count == total);
    if (segment->track_count == 2)
        samples_merge_chunks(chunks, packs[0].chunk_count);
    uint64_t end = 0;
    for (size_t i = 0; i < total; i++) {
        struct samples_chunk *chunk = &chunks->all[i];
        chunk->gap = chunk->offset - end;
        end = chunk->offset + chunk->bytes;
        if (i + 1 < total && chunk[1].track != chunk->track)
            chunk->behind = chunk[1].samples;
    }
    for (uint32_t i = 0; i < segment->track_count; i++) {
        packs[i].chunk_samples = samples_usual_count(chunks, i);
        samples_guess_rows(chunks, i, &packs[i]);
    }
    return chunks;
}

// What is written of the chunks.
static void samples_number_chunks(
    struct samples_chunks *chunks, size_t tracks, const struct sample_pack *packs)
{
    int64_t recent[MEDIA_TRACKS_MAX][SAMPLE_GAPS] = {0};
    size_t expected = 0;
    chunks->turns = xcalloc(chunks->count, sizeof(*chunks->turns));
    for (size_t i = 0; i < tracks; i++) {
        chunks->counts[i] = xcalloc(packs[i].chunk_count, sizeof(*chunks->counts[i]));
        chunks->ranks[i] = xcalloc(packs[i].chunk_count, sizeof(*chunks->ranks[i]));
        chunks->changes[i] = xcalloc(packs[i].chunk_count, sizeof(*chunks->changes[i]));
    }
    for (size_t i = 0; i < chunks->count; i++) {
        const struct samples_chunk *chunk = &chunks->all[i];
        const struct sample_pack *pack = &packs[chunk->track];
        size_t at = chunks->left[chunk->track]++;
        uint64_t gap = samples_bare_gap(chunk, pack);
        chunks->turns[i] = chunk->track != expected;
        chunks->counts[chunk->track][at] = bits_fold((int64_t)chunk->samples - pack->chunk_samples);
        chunks->changes[chunk->track][at] =
            bits_fold((int64_t)(gap - (uint64_t)recent[chunk->track][0]));
        chunks->ranks[chunk->track][at] = samples_gap_rank(recent[chunk->track], (int64_t)gap);
        expected = tracks > 1 ? 1 - chunk->track : 0;
    }
}

void samples_put_chunks(struct bits_writer *writer, struct samples_chunks *chunks, size_t tracks,
    const struct sample_pack *packs)
{
    struct bits_model turns = {0};
    struct sample_gaps models[MEDIA_TRACKS_MAX] = {0};
    size_t heads[MEDIA_TRACKS_MAX] = {0}, done[MEDIA_TRACKS_MAX] = {0};
    samples_number_chunks(chunks, tracks, packs);
    // The head of a chunk stands before the gap of the one before it.
    for (size_t i = 0; i <= chunks->count; i++) {
        if (i < chunks->count) {
            uint32_t track = chunks->all[i].track;
            size_t at = heads[track]++;
            bits_put_run_number(writer, &turns, chunks->turns + i, chunks->count - i);
            bits_put_run_number(writer, &models[track].counts, chunks->counts[track] + at,
                packs[track].chunk_count - at);
        }
        if (i > 0) {
            uint32_t track = chunks->all[i - 1].track;
            size_t at = done[track]++;
            bits_put_run_number(writer, &models[track].ranks, chunks->ranks[track] + at,
                packs[track].chunk_count - at);
            if (chunks->ranks[track][at] == SAMPLE_GAPS)
                bits_put_number(writer, &models[track].changes, chunks->changes[track][at]);
        }
    }
}

void samples_chunks_free(struct samples_chunks *chunks)
{
    free(chunks->all);
    free(chunks->turns);
    for (size_t i = 0; i < MEDIA_TRACKS_MAX; i++) {
        free(chunks->counts[i]);
        free(chunks->ranks[i]);
        free(chunks->changes[i]);
    }
    free(chunks);
}
