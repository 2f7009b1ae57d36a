// The tables of a plain file's moov: which samples there are, where they lie and how long they last
// (ISO/IEC 14496-12, 8.5 to 8.7). Each table is checked against its box once and then read in
// place. Where tables contradict each other in how many samples there are, the shortest counts. See
// mp4_parse.h.
#include "lib/core/alloc.h"
#include "lib/media/mp4_parse.h"

// A table whose rows are there.
struct plain_rows {
    const uint8_t *at;
    uint32_t count;
    uint8_t version;
};

// Sample sizes (stsz or stz2, 8.7.3).
struct plain_sizes {
    const uint8_t *at;
    uint32_t count;
    uint32_t same; // where all have it, else 0
    unsigned bits; // of each size
};

struct plain_tables {
    struct plain_rows durations;    // stts: count, duration
    struct plain_rows compositions; // ctts: count, offset; may be missing
    struct plain_rows chunks;       // stsc: first chunk, samples, description
    struct plain_rows syncs;        // stss: number; missing: all are
    struct plain_rows places;       // stco or co64
    struct plain_sizes sizes;
    bool wide; // co64
    bool has_syncs;
};

// A run-length table while it is read.
struct plain_run {
    const struct plain_rows *rows;
    uint32_t next; // row
    uint32_t left; // samples that the last row is still good for
    uint32_t value;
};

// Steps to the next sample. Returns false behind the last.
static bool plain_run_next(struct plain_run *run)
{
    while (run->left == 0) {
        if (run->next >= run->rows->count)
            return false;
        const uint8_t *row = run->rows->at + (size_t)8 * run->next++;
        run->left = mp4_load_u32(row);
        run->value = mp4_load_u32(row + 4);
    }
    run->left--;
    return true;
}

// Finds a table of `row_size` bytes a row. Returns 1, 0 where there is none, -1 where its rows are
// not there.
static int plain_find(
    const struct mp4_reader *stbl, uint32_t type, uint32_t row_size, struct plain_rows *rows)
{
    struct mp4_box box;
    uint32_t flags;
    *rows = (struct plain_rows){0};
    if (!mp4_box_find(stbl, type, &box))
        return 0;
    rows->version = mp4_reader_full(&box.body, &flags);
    uint32_t count = mp4_reader_u32(&box.body);
    rows->at = mp4_reader_take(&box.body, (uint64_t)count * row_size);
    rows->count = count;
    return box.body.failed ? -1 : 1;
}

static bool plain_find_sizes(const struct mp4_reader *stbl, struct plain_sizes *sizes)
{
    struct mp4_box box;
    uint32_t flags;
    *sizes = (struct plain_sizes){.bits = 32};
    bool compact = !mp4_box_find(stbl, MP4_TYPE('s', 't', 's', 'z'), &box);
    if (compact && !mp4_box_find(stbl, MP4_TYPE('s', 't', 'z', '2'), &box))
        return false;
    mp4_reader_full(&box.body, &flags);
    uint32_t field = mp4_reader_u32(&box.body);
    sizes->count = mp4_reader_u32(&box.body);
    if (compact) {
        sizes->bits = field & 0xff;
        if (sizes->bits != 4 && sizes->bits != 8 && sizes->bits != 16)
            return false;
    } else {
        sizes->same = field;
    }
    if (sizes->same == 0)
        sizes->at = mp4_reader_take(&box.body, ((uint64_t)sizes->count * sizes->bits + 7) / 8);
    return !box.body.failed;
}

static uint32_t plain_size(const struct plain_sizes *sizes, uint32_t index)
{
    if (sizes->same > 0)
        return sizes->same;
    switch (sizes->bits) {
    case 4:
        return sizes->at[index / 2] >> (index % 2 ? 0 : 4) & 0xf;
    case 8:
        return sizes->at[index];
    case 16:
        return (uint32_t)sizes->at[2 * (size_t)index] << 8 | sizes->at[2 * (size_t)index + 1];
    default:
        return mp4_load_u32(sizes->at + 4 * (size_t)index);
    }
}

// Finds all tables. Returns false where one that must be there is not, or is not whole.
static bool plain_open(const struct mp4_reader *stbl, struct plain_tables *tables)
{
    int places = plain_find(stbl, MP4_TYPE('s', 't', 'c', 'o'), 4, &tables->places);
    tables->wide = places == 0;
    if (tables->wide)
        places = plain_find(stbl, MP4_TYPE('c', 'o', '6', '4'), 8, &tables->places);
    int syncs = plain_find(stbl, MP4_TYPE('s', 't', 's', 's'), 4, &tables->syncs);
    tables->has_syncs = syncs > 0;
    return places > 0 && syncs >= 0 &&
           plain_find(stbl, MP4_TYPE('s', 't', 't', 's'), 8, &tables->durations) > 0 &&
           plain_find(stbl, MP4_TYPE('c', 't', 't', 's'), 8, &tables->compositions) >= 0 &&
           plain_find(stbl, MP4_TYPE('s', 't', 's', 'c'), 12, &tables->chunks) > 0 &&
           plain_find_sizes(stbl, &tables->sizes);
}

// What adding a track's samples needs.
struct plain_walk {
    const struct plain_tables *tables;
    struct media_track *track;
    struct mp4_track_state *own;
    struct mp4_state *state;
    uint64_t limit;
    struct plain_run durations, compositions;
    uint32_t index; // of the next sample
};

// Adds the samples of one chunk. Returns false where the track ends: at a sample that is not whole
// or not described.
static bool plain_add_chunk(struct plain_walk *walk, uint64_t offset, uint32_t count)
{
    const struct plain_tables *tables = walk->tables;
    for (; count > 0; count--) {
        if (walk->index >= tables->sizes.count || !plain_run_next(&walk->durations))
            return false;
        // Version 0 is unsigned, but writers put negative ones there.
        bool composed = plain_run_next(&walk->compositions);
        struct media_sample sample = {
            .offset = offset,
            .size = plain_size(&tables->sizes, walk->index),
            .duration = walk->durations.value,
            .composition = composed ? (int32_t)walk->compositions.value : 0,
            .key = !tables->has_syncs,
        };
        if (offset > walk->limit || sample.size > walk->limit - offset ||
            !mp4_add_sample(walk->state, walk->track, &sample))
            return false;
        walk->own->next_time += sample.duration;
        walk->index++;
        offset += sample.size;
    }
    return true;
}

// Adds the samples of all chunks.
static void plain_add_chunks(struct plain_walk *walk)
{
    const struct plain_tables *tables = walk->tables;
    const struct plain_rows *chunks = &tables->chunks;
    uint32_t row = 0, count = 0, description = 0;
    for (uint32_t chunk = 0; chunk < tables->places.count; chunk++) {
        // The row that begins with this chunk, if any; a row that begins before it is nonsense.
        while (row < chunks->count && mp4_load_u32(chunks->at + (size_t)12 * row) <= chunk + 1) {
            count = mp4_load_u32(chunks->at + (size_t)12 * row + 4);
            description = mp4_load_u32(chunks->at + (size_t)12 * row + 8);
            row++;
        }
        const uint8_t *place = tables->places.at + (size_t)chunk * (tables->wide ? 8 : 4);
        uint64_t offset = tables->wide ? mp4_load_u64(place) : mp4_load_u32(place);
        if (count == 0 || walk->index >= tables->sizes.count)
            continue;
        if (!mp4_state_describe(walk->own, description)) {
            walk->state->ended_early++;
            return;
        }
        if (!plain_add_chunk(walk, offset, count))
            return;
    }
}

int mp4_parse_tables(
    struct media_segment *segment, struct mp4_state *state, uint64_t limit, char **cause)
{
    for (size_t i = 0; i < segment->track_count; i++) {
        struct media_track *track = &segment->tracks[i];
        struct plain_tables tables;
        if (!plain_open(&state->tables[i], &tables)) {
            if (state->fragmented)
                continue; // some writers leave empty tables out
            *cause = xasprintf("the %s track's tables are not there or torn",
                track->kind == MEDIA_VIDEO ? "video" : "audio");
            return -1;
        }
        struct plain_walk walk = {
            .tables = &tables,
            .track = track,
            .own = &state->tracks[i],
            .state = state,
            .limit = limit,
            .durations = {.rows = &tables.durations},
            .compositions = {.rows = &tables.compositions},
        };
        track->start = walk.own->next_time = walk.own->shift;
        plain_add_chunks(&walk);
        for (uint32_t j = 0; j < tables.syncs.count; j++) {
            uint32_t number = mp4_load_u32(tables.syncs.at + (size_t)4 * j);
            if (number > 0 && number <= track->sample_count)
                track->samples[number - 1].key = true;
        }
        if (track->sample_count == 0)
            track->start = walk.own->next_time = 0;
    }
    return 0;
}
