// The walk over a segment file: where its parts lie, and what of them is whole. See mp4_read.h.
#include "lib/media/mp4_read.h"

#include <inttypes.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/media/mp4_parse.h"

enum {
    TYPE_MOOV = MP4_TYPE('m', 'o', 'o', 'v'),
    TYPE_MVHD = MP4_TYPE('m', 'v', 'h', 'd'),
    TYPE_MOOF = MP4_TYPE('m', 'o', 'o', 'f'),
    TYPE_MDAT = MP4_TYPE('m', 'd', 'a', 't'),
    TYPE_PRFT = MP4_TYPE('p', 'r', 'f', 't'),

    MP4_INIT_END_MAX = 512,     // sealing overwrites bytes of the first sector only
    MP4_PRFT_SIZE = 20,         // of a producer reference time, without header and media time
    MP4_INIT_MAX = 1024 * 1024, // bytes of the initial moov; real ones have about 1,200
    MP4_BEFORE_INIT_MAX = 16,   // boxes before it
};

// What the walk carries along.
struct mp4_walk {
    struct mp4_file file;
    uint64_t limit; // of the media: the file's end, or where a sealed file's mdat ends
    struct media_segment *segment;
    struct mp4_layout *layout;
    struct mp4_state state;
    bool has_fragment; // a moof was met and not yet its mdat
    struct mp4_file_box fragment;
    uint64_t reference_ntp; // of the fragment that comes; 0: none was met
    uint32_t reference_track;
    uint32_t doubtful; // fragments not believed since the last one that was
};

static void mp4_store_u32(uint8_t *at, uint32_t value)
{
    value = __builtin_bswap32(value);
    memcpy(at, &value, sizeof(value));
}

static void mp4_store_u64(uint8_t *at, uint64_t value)
{
    mp4_store_u32(at, (uint32_t)(value >> 32));
    mp4_store_u32(at + 4, (uint32_t)value);
}

// Whether a box of this type belongs to the initial moov, behind its mvhd.
static bool mp4_type_in_init(uint32_t type)
{
    return type == MP4_TYPE('t', 'r', 'a', 'k') || type == MP4_TYPE('m', 'v', 'e', 'x') ||
           type == MP4_TYPE('u', 'd', 't', 'a') || type == MP4_TYPE('m', 'e', 't', 'a') ||
           type == MP4_TYPE('i', 'o', 'd', 's');
}

// Rebuilds size and first 16 bytes of the moov at init_offset without looking at them: the mvhd's
// size follows from its version (8.2.2), the moov's from walking its children. Returns the mvhd's
// size, or 0 when this is no such moov.
static uint32_t mp4_rebuild_init(struct mp4_file *file, struct mp4_layout *layout)
{
    const uint8_t *version = mp4_file_get(file, layout->init_offset + 16, 1);
    if (version == NULL || *version > 1)
        return 0;
    uint32_t mvhd_size = *version == 1 ? 120 : 108;
    uint64_t size = 8 + mvhd_size;
    struct mp4_file_box child;
    while (mp4_file_box(file, layout->init_offset + size, &child) && mp4_type_in_init(child.type)) {
        if (child.size > MP4_INIT_MAX - size)
            return 0;
        size += child.size;
    }
    layout->init_size = size;
    mp4_store_u32(layout->init_header, (uint32_t)size);
    mp4_store_u32(layout->init_header + 4, TYPE_MOOV);
    mp4_store_u32(layout->init_header + 8, mvhd_size);
    mp4_store_u32(layout->init_header + 12, TYPE_MVHD);
    return mvhd_size;
}

// Finds the initial moov, overwritten or not: the first moov, or the first mdat with a 64-bit size.
static int mp4_find_init(struct mp4_walk *walk, char **cause)
{
    struct mp4_layout *layout = walk->layout;
    struct mp4_file_box box = {0};
    uint64_t offset = 0;
    int count = 0;
    bool found = false;
    for (; count < MP4_BEFORE_INIT_MAX && !found; count++) {
        if (!mp4_file_box(&walk->file, offset, &box))
            break;
        layout->init_overwritten = box.type == TYPE_MDAT && box.header_size == 16;
        found = box.type == TYPE_MOOV || layout->init_overwritten;
        if (!found && (box.type == TYPE_MDAT || box.type == TYPE_MOOF))
            break;
        offset += found ? 0 : box.size;
        if (offset > walk->file.source->size)
            break;
    }
    if (!found || offset > MP4_INIT_END_MAX - 16) {
        *cause = xstrdup("it does not begin as an MP4 file with its moov in front");
        return -1;
    }
    layout->init_offset = offset;
    walk->limit = walk->file.source->size;
    if (layout->init_overwritten && box.size < walk->limit - offset)
        walk->limit = offset + box.size;
    return 0;
}

// Reads the initial moov into tracks.
static int mp4_read_init(struct mp4_walk *walk, char **cause)
{
    struct mp4_layout *layout = walk->layout;
    if (mp4_find_init(walk, cause) != 0)
        return -1;
    uint32_t mvhd_size = mp4_rebuild_init(&walk->file, layout);
    const uint8_t *moov = NULL;
    if (mvhd_size > 0)
        moov = mp4_file_get(&walk->file, layout->init_offset, layout->init_size);
    if (moov == NULL) {
        *cause = xstrdup("its moov is torn or not one that the recorder writes");
        return -1;
    }
    if (!layout->init_overwritten &&
        memcmp(moov, layout->init_header, sizeof(layout->init_header)) != 0) {
        *cause =
            xstrdup("its moov is not one that the recorder writes: sealing could not be undone");
        return -1;
    }
    size_t skip = 8 + mvhd_size;
    return mp4_parse_init(mp4_reader_init(moov + skip, (size_t)layout->init_size - skip),
        walk->segment, &walk->state, cause);
}

static size_t mp4_sample_total(const struct media_segment *segment)
{
    size_t total = 0;
    for (size_t i = 0; i < segment->track_count; i++)
        total += segment->tracks[i].sample_count;
    return total;
}

// Reads a producer reference time (8.16.5), which stands before its fragment.
static void mp4_read_reference(struct mp4_walk *walk, const struct mp4_file_box *prft)
{
    uint32_t flags;
    if (prft->size < prft->header_size + MP4_PRFT_SIZE)
        return;
    const uint8_t *body =
        mp4_file_get(&walk->file, prft->offset + prft->header_size, MP4_PRFT_SIZE);
    if (body == NULL)
        return;
    struct mp4_reader reader = mp4_reader_init(body, MP4_PRFT_SIZE);
    mp4_reader_full(&reader, &flags);
    walk->reference_track = mp4_reader_u32(&reader);
    walk->reference_ntp = mp4_reader_u64(&reader);
}

// Notes to which sample the reference time that was met belongs: the first one that its track has
// got beyond `before`.
static void mp4_take_reference(struct mp4_walk *walk, const size_t before[MEDIA_TRACKS_MAX])
{
    walk->layout->reference.ntp = 0;
    for (size_t i = 0; i < walk->segment->track_count; i++) {
        const struct media_track *track = &walk->segment->tracks[i];
        if (track->id != walk->reference_track || track->sample_count == before[i])
            continue;
        walk->layout->reference.ntp = walk->reference_ntp;
        walk->layout->reference.track = (uint32_t)i;
        walk->layout->reference.sample = (uint32_t)before[i];
    }
    walk->reference_ntp = 0;
}

// Takes in the fragment whose mdat was met.
static void mp4_read_fragment(struct mp4_walk *walk, const struct mp4_file_box *mdat)
{
    struct mp4_layout *layout = walk->layout;
    struct mp4_fragment fragment = {
        .moof_offset = walk->fragment.offset,
        .data_offset = mdat->offset + mdat->header_size,
        .data_end = walk->limit,
    };
    walk->has_fragment = false;
    bool whole = mdat->size <= walk->limit - mdat->offset;
    if (whole)
        fragment.data_end = mdat->offset + mdat->size;
    else if (walk->file.source->growing)
        return;
    const uint8_t *moof = mp4_file_get(&walk->file, walk->fragment.offset, walk->fragment.size);
    if (moof == NULL)
        return;
    fragment.children = mp4_reader_init(moof + walk->fragment.header_size,
        (size_t)walk->fragment.size - walk->fragment.header_size);

    size_t total = mp4_sample_total(walk->segment);
    size_t before[MEDIA_TRACKS_MAX] = {0};
    for (size_t i = 0; i < walk->segment->track_count; i++)
        before[i] = walk->segment->tracks[i].sample_count;
    if (!mp4_parse_fragment(&fragment, walk->segment, &walk->state) ||
        mp4_sample_total(walk->segment) == total) {
        walk->doubtful++;
        return;
    }
    mp4_take_reference(walk, before);
    layout->skipped += walk->doubtful;
    walk->doubtful = 0;
    if (layout->media_offset == 0)
        layout->media_offset = UINT64_MAX;
    for (size_t i = 0; i < walk->segment->track_count; i++) {
        const struct media_track *track = &walk->segment->tracks[i];
        if (track->sample_count == 0)
            continue;
        if (track->samples[0].offset < layout->media_offset)
            layout->media_offset = track->samples[0].offset;
        if (walk->state.tracks[i].next_offset > layout->media_end)
            layout->media_end = walk->state.tracks[i].next_offset;
    }
    layout->cut_mdat_offset = 0;
    if (mdat->offset + mdat->size > layout->media_end) {
        layout->cut_mdat_offset = mdat->offset;
        layout->cut_mdat_size = layout->media_end - mdat->offset;
        layout->cut_mdat_wide = mdat->header_size == 16;
    }
}

// Walks over the fragments, up to a trailing moov, the end or what is no box.
static void mp4_read_fragments(struct mp4_walk *walk)
{
    uint64_t offset = walk->layout->init_offset + walk->layout->init_size;
    struct mp4_file_box box;
    while (offset < walk->limit && mp4_file_box(&walk->file, offset, &box)) {
        if (box.type == TYPE_MOOV)
            break;
        if (box.type == TYPE_MDAT && walk->has_fragment)
            mp4_read_fragment(walk, &box);
        if (box.size > walk->limit - offset)
            break;
        if (box.type == TYPE_PRFT)
            mp4_read_reference(walk, &box);
        if (box.type == TYPE_MOOF) {
            walk->doubtful += walk->has_fragment;
            walk->has_fragment = true;
            walk->fragment = box;
        }
        offset += box.size;
    }
    if (walk->layout->init_overwritten)
        offset = walk->limit;
    if (mp4_file_box(&walk->file, offset, &box) && box.type == TYPE_MOOV) {
        walk->layout->tail_offset = offset;
        walk->layout->tail_size = box.size;
    }
}

// Whether all times can be told in microseconds, and the size of a cut mdat in its header.
static bool mp4_values_fit(const struct mp4_walk *walk)
{
    const int64_t seconds_max = INT64_C(1) << 40;
    if (!walk->layout->cut_mdat_wide && walk->layout->cut_mdat_size > UINT32_MAX)
        return false;
    for (size_t i = 0; i < walk->segment->track_count; i++) {
        const struct media_track *track = &walk->segment->tracks[i];
        if (walk->state.tracks[i].next_time / track->timescale >= seconds_max)
            return false;
    }
    return true;
}

int mp4_read(const struct mp4_source *source, struct media_segment *segment,
    struct mp4_layout *layout, char **cause)
{
    struct mp4_walk walk = {.segment = segment, .layout = layout};
    *segment = (struct media_segment){0};
    *layout = (struct mp4_layout){0};
    walk.state.samples_max =
        source->size < MEDIA_SAMPLES_MAX ? (size_t)source->size : MEDIA_SAMPLES_MAX;
    mp4_file_init(&walk.file, source);
    int result = mp4_read_init(&walk, cause);
    if (result == 0) {
        mp4_read_fragments(&walk);
        if (mp4_sample_total(segment) == 0) {
            *cause = xasprintf("it holds no whole sample (%" PRIu64 " bytes)", source->size);
            result = -1;
        } else if (!mp4_values_fit(&walk)) {
            *cause = xstrdup("its decode times or sizes are absurd");
            result = -1;
        }
    }
    mp4_file_fini(&walk.file);
    if (result != 0)
        media_segment_fini(segment);
    return result;
}

void mp4_sealed_header(const struct mp4_layout *layout, uint8_t header[16])
{
    mp4_store_u32(header, 1);
    mp4_store_u32(header + 4, TYPE_MDAT);
    mp4_store_u64(header + 8, layout->media_end - layout->init_offset);
}

size_t mp4_cut_header(const struct mp4_layout *layout, uint8_t header[16])
{
    mp4_store_u32(header, layout->cut_mdat_wide ? 1 : (uint32_t)layout->cut_mdat_size);
    mp4_store_u32(header + 4, TYPE_MDAT);
    if (!layout->cut_mdat_wide)
        return 8;
    mp4_store_u64(header + 8, layout->cut_mdat_size);
    return 16;
}
