// The walk over a segment file: where its parts lie, and what of them is whole. See mp4_read.h.
#include "lib/media/mp4_read.h"

#include <inttypes.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/media/mp4_nal.h"
#include "lib/media/mp4_parse.h"

enum {
    TYPE_FTYP = MP4_TYPE('f', 't', 'y', 'p'),
    TYPE_FREE = MP4_TYPE('f', 'r', 'e', 'e'),
    TYPE_MOOV = MP4_TYPE('m', 'o', 'o', 'v'),
    TYPE_MVHD = MP4_TYPE('m', 'v', 'h', 'd'),
    TYPE_MVEX = MP4_TYPE('m', 'v', 'e', 'x'),
    TYPE_MOOF = MP4_TYPE('m', 'o', 'o', 'f'),
    TYPE_MDAT = MP4_TYPE('m', 'd', 'a', 't'),
    TYPE_PRFT = MP4_TYPE('p', 'r', 'f', 't'),

    MP4_INIT_END_MAX = 512,     // sealing overwrites bytes of the first sector only
    MP4_PRFT_SIZE = 20,         // of a producer reference time, without header and media time
    MP4_INIT_MAX = 1024 * 1024, // bytes of a recorder's moov; real ones have about 1,200
    MP4_BEFORE_INIT_MAX = 1024, // boxes before it
    MP4_GROUP_MAX = 16,         // moofs, or mdats, one behind the other
};

// What the walk carries along.
struct mp4_walk {
    struct mp4_file file;
    uint64_t limit; // of the media: the file's end, or where a trailing moov begins
    struct media_segment *segment;
    struct mp4_layout *layout;
    struct mp4_state state;
    struct mp4_file_box init;
    // Fragments whose mdats were not passed yet, and those mdats.
    struct mp4_file_box moofs[MP4_GROUP_MAX], mdats[MP4_GROUP_MAX];
    size_t moof_count, mdat_count;
    struct mp4_extent data;        // from the first to the last of those mdats
    struct mp4_extent data_before; // the same of all mdats before; begin is UINT64_MAX for none
    uint64_t whole_end;            // of the last whole box
    bool complete;                 // all of the file was walked over
    bool has_media;                // there is a byte in an mdat
    bool strange;                  // the file goes on with what no writer of segments writes
    uint64_t reference_ntp;        // of the fragment that comes; 0: none was met
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
    return type == MP4_TYPE('t', 'r', 'a', 'k') || type == TYPE_MVEX ||
           type == MP4_TYPE('u', 'd', 't', 'a') || type == MP4_TYPE('m', 'e', 't', 'a') ||
           type == MP4_TYPE('i', 'o', 'd', 's') || type == MP4_TYPE('p', 's', 's', 'h');
}

// Whether a segment may have a box of this type around its media.
static bool mp4_type_beside(uint32_t type)
{
    return type == TYPE_FTYP || type == TYPE_FREE || type == TYPE_MOOV || type == TYPE_MOOF ||
           type == TYPE_MDAT || type == TYPE_PRFT || type == MP4_TYPE('s', 't', 'y', 'p') ||
           type == MP4_TYPE('s', 'i', 'd', 'x') || type == MP4_TYPE('e', 'm', 's', 'g') ||
           type == MP4_TYPE('s', 'k', 'i', 'p') || type == MP4_TYPE('u', 'u', 'i', 'd');
}

// Rebuilds size and first 16 bytes of a recorder's moov at init_offset without looking at them: the
// mvhd's size follows from its version (8.2.2), the moov's from walking its children. Returns the
// mvhd's size, or 0 when this is no such moov.
static uint32_t mp4_rebuild_init(struct mp4_file *file, struct mp4_layout *layout)
{
    const uint8_t *version = mp4_file_get(file, layout->init_offset + 16, 1);
    if (version == NULL || *version > 1)
        return 0;
    uint32_t mvhd_size = *version == 1 ? 120 : 108;
    uint64_t size = 8 + mvhd_size;
    bool fragmented = false;
    struct mp4_file_box child;
    while (mp4_file_box(file, layout->init_offset + size, &child) && mp4_type_in_init(child.type)) {
        if (child.size > MP4_INIT_MAX - size)
            return 0;
        fragmented |= child.type == TYPE_MVEX;
        size += child.size;
    }
    if (!fragmented)
        return 0;
    layout->init_size = size;
    mp4_store_u32(layout->init_header, (uint32_t)size);
    mp4_store_u32(layout->init_header + 4, TYPE_MOOV);
    mp4_store_u32(layout->init_header + 8, mvhd_size);
    mp4_store_u32(layout->init_header + 12, TYPE_MVHD);
    return mvhd_size;
}

// Whether a box begins as the moov of a plain file does: by that it is known again once the file is
// sealed and it is called free.
static bool mp4_is_plain_moov(struct mp4_file *file, const struct mp4_file_box *box)
{
    struct mp4_file_box child;
    return !box->open && box->size <= file->source->size - box->offset &&
           mp4_file_box(file, box->offset + box->header_size, &child) && child.type == TYPE_MVHD &&
           (child.size == 108 || child.size == 120) && child.size <= box->size - box->header_size;
}

// Notes an mdat that was met.
static void mp4_meet_mdat(struct mp4_walk *walk, const struct mp4_file_box *mdat)
{
    uint64_t payload = mdat->offset + mdat->header_size;
    walk->has_media |= payload < walk->limit;
    if (walk->mdat_count == 0)
        walk->data.begin = payload;
    walk->data.end = walk->limit;
    if (mdat->size <= walk->limit - mdat->offset)
        walk->data.end = mdat->offset + mdat->size;
    if (walk->mdat_count < MP4_GROUP_MAX)
        walk->mdats[walk->mdat_count++] = *mdat;
    else
        walk->layout->foreign = true; // which of them would have to be cut could not be told
}

// Whether the initial moov, overwritten or not, begins with this box.
static bool mp4_is_init(struct mp4_walk *walk, const struct mp4_file_box *box)
{
    struct mp4_layout *layout = walk->layout;
    layout->init_offset = box->offset;
    if (box->type == TYPE_MOOV)
        return true;
    layout->plain = box->type == TYPE_FREE && mp4_is_plain_moov(&walk->file, box);
    layout->init_overwritten = layout->plain || (box->type == TYPE_MDAT && box->header_size == 16 &&
                                                    box->offset <= MP4_INIT_END_MAX - 16 &&
                                                    mp4_rebuild_init(&walk->file, layout) > 0);
    return layout->init_overwritten;
}

// Finds the initial moov.
static int mp4_find_init(struct mp4_walk *walk, char **cause)
{
    uint64_t offset = 0, size = walk->limit;
    struct mp4_file_box box = {0};
    for (int count = 0; count < MP4_BEFORE_INIT_MAX; count++) {
        if (!mp4_file_box(&walk->file, offset, &box)) {
            walk->complete = size - offset < 8;
            break;
        }
        if (mp4_is_init(walk, &box)) {
            walk->init = box;
            walk->complete = box.size > size - offset;
            return 0;
        }
        walk->strange |= count == 0 ? box.type != TYPE_FTYP : !mp4_type_beside(box.type);
        if (box.type == TYPE_MDAT)
            mp4_meet_mdat(walk, &box);
        walk->complete = box.size > size - offset;
        if (box.type == TYPE_MOOF || walk->complete)
            break;
        offset += box.size;
    }
    *cause = xstrdup("it does not begin as an MP4 file, or its moov is missing");
    return -1;
}

// Reads the initial moov, whose first 16 bytes may be overwritten. Gives its mvhd's body and what
// stands behind its header (behind its mvhd where that is not the recorder's own). Returns false
// when it is torn.
static bool mp4_get_init(
    struct mp4_walk *walk, struct mp4_reader *mvhd, struct mp4_reader *children)
{
    struct mp4_layout *layout = walk->layout;
    bool spanned = layout->init_overwritten && !layout->plain;
    struct mp4_box box;
    if (!spanned)
        layout->init_size = walk->init.size;
    const uint8_t *moov = mp4_file_get(&walk->file, layout->init_offset, layout->init_size);
    if (moov == NULL || layout->init_size < 16)
        return false;
    size_t skip = walk->init.header_size;
    if (spanned) {
        skip = 8 + (moov[16] == 1 ? 120 : 108);
        *mvhd = mp4_reader_init(moov + 16, skip - 16);
    } else {
        memcpy(layout->init_header, moov, sizeof(layout->init_header));
        mp4_store_u32(layout->init_header + 4, TYPE_MOOV);
    }
    *children = mp4_reader_init(moov + skip, (size_t)layout->init_size - skip);
    if (!spanned && !mp4_box_find(children, TYPE_MVHD, &box))
        return false;
    if (!spanned)
        *mvhd = box.body;
    return true;
}

// Whether sealing of a recorder's file could be undone: what it overwrites must be rebuilt out of
// what it leaves, and lie in one sector.
static bool mp4_init_undoable(struct mp4_walk *walk)
{
    struct mp4_layout *layout = walk->layout;
    if (layout->init_overwritten)
        return true;
    if (layout->plain)
        return mp4_is_plain_moov(&walk->file, &walk->init);
    uint8_t header[16];
    uint64_t size = layout->init_size;
    memcpy(header, layout->init_header, sizeof(header));
    bool same = layout->init_offset <= MP4_INIT_END_MAX - 16 &&
                mp4_rebuild_init(&walk->file, layout) > 0 && layout->init_size == size &&
                memcmp(header, layout->init_header, sizeof(header)) == 0;
    layout->init_size = size;
    memcpy(layout->init_header, header, sizeof(header));
    return same;
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

// Takes in a fragment whose mdats were met.
static void mp4_read_fragment(struct mp4_walk *walk, const struct mp4_file_box *box)
{
    struct mp4_layout *layout = walk->layout;
    const uint8_t *moof = mp4_file_get(&walk->file, box->offset, box->size);
    if (moof == NULL)
        return;
    struct mp4_fragment fragment = {
        .children = mp4_reader_init(moof + box->header_size, (size_t)box->size - box->header_size),
        .moof_offset = box->offset,
        .data = {walk->data_before, walk->data},
    };
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
    if (box->offset + box->size > layout->media_end)
        layout->media_end = box->offset + box->size;
}

// Cuts an mdat whose end is not the media's. Its header stays whole.
static void mp4_cut_mdat(struct mp4_layout *layout, const struct mp4_file_box *mdat)
{
    if (mdat->offset >= layout->media_end)
        return;
    if (layout->media_end < mdat->offset + mdat->header_size)
        layout->media_end = mdat->offset + mdat->header_size;
    if (!mdat->open && mdat->size <= layout->media_end - mdat->offset)
        return;
    layout->cut_mdat_offset = mdat->offset;
    layout->cut_mdat_size = layout->media_end - mdat->offset;
    layout->cut_mdat_wide = mdat->header_size == 16;
    if (!layout->cut_mdat_wide && layout->cut_mdat_size > UINT32_MAX)
        layout->foreign = true;
}

// Takes in the fragments that wait, now that their mdats were passed.
static void mp4_end_group(struct mp4_walk *walk)
{
    struct mp4_layout *layout = walk->layout;
    const uint64_t before = layout->media_end;
    for (size_t i = 0; i < walk->moof_count; i++)
        mp4_read_fragment(walk, &walk->moofs[i]);
    if (walk->state.media_end > layout->media_end)
        layout->media_end = walk->state.media_end;
    if (layout->media_end > before)
        layout->cut_mdat_offset = 0;
    for (size_t i = 0; i < walk->mdat_count; i++)
        mp4_cut_mdat(layout, &walk->mdats[i]);
    if (walk->mdat_count > 0) {
        if (walk->data_before.begin == UINT64_MAX)
            walk->data_before.begin = walk->data.begin;
        walk->data_before.end = walk->data.end;
    }
    walk->data = (struct mp4_extent){UINT64_MAX, 0};
    walk->moof_count = walk->mdat_count = 0;
}

static void mp4_meet_moof(struct mp4_walk *walk, const struct mp4_file_box *moof)
{
    if (walk->moof_count == MP4_GROUP_MAX) {
        walk->doubtful++;
        walk->moof_count--;
        memmove(walk->moofs, walk->moofs + 1, walk->moof_count * sizeof(*walk->moofs));
    }
    walk->moofs[walk->moof_count++] = *moof;
}

// Walks over the fragments, up to a trailing moov, the end or what is no box.
static void mp4_read_fragments(struct mp4_walk *walk)
{
    struct mp4_layout *layout = walk->layout;
    uint64_t offset = layout->init_offset + layout->init_size;
    struct mp4_file_box box = {0};
    layout->media_end = offset;
    if (walk->mdat_count > 0)
        walk->data_before = walk->data; // of mdats before the moov
    walk->data = (struct mp4_extent){UINT64_MAX, 0};
    walk->mdat_count = 0;
    while (offset < walk->limit && mp4_file_box(&walk->file, offset, &box)) {
        bool whole = box.size <= walk->limit - offset;
        if (box.type != TYPE_MDAT && walk->mdat_count > 0)
            mp4_end_group(walk);
        if (box.type == TYPE_MOOV)
            break;
        walk->strange |= !mp4_type_beside(box.type);
        if (box.type == TYPE_MDAT && !whole && walk->file.source->growing) {
            walk->moof_count = 0;
            walk->has_media = true;
            break;
        }
        if (box.type == TYPE_MDAT)
            mp4_meet_mdat(walk, &box);
        if (!whole)
            break;
        if (box.type == TYPE_PRFT)
            mp4_read_reference(walk, &box);
        if (box.type == TYPE_MOOF)
            mp4_meet_moof(walk, &box);
        offset += box.size;
    }
    mp4_end_group(walk);
    walk->complete =
        offset >= walk->limit || walk->limit - offset < 8 || box.size > walk->limit - offset;
    if (layout->init_overwritten)
        offset = walk->limit;
    if (mp4_file_box(&walk->file, offset, &box) && box.type == TYPE_MOOV) {
        layout->tail_offset = offset;
        layout->tail_size = box.size;
    }
}

// Walks over the boxes of a plain file: where whole ones end, a trailing moov. Gives an mdat that
// is torn or has no size, if there is one.
static void mp4_walk_plain(struct mp4_walk *walk, struct mp4_file_box *last)
{
    struct mp4_layout *layout = walk->layout;
    struct mp4_file_box box;
    *last = (struct mp4_file_box){0};
    walk->whole_end = 0;
    while (mp4_file_box(&walk->file, walk->whole_end, &box)) {
        if (box.type == TYPE_MOOV && box.offset > layout->init_offset) {
            layout->tail_offset = walk->limit = box.offset;
            layout->tail_size = box.size;
            break;
        }
        bool whole = box.size <= walk->limit - box.offset;
        if (box.type == TYPE_MDAT)
            mp4_meet_mdat(walk, &box);
        if (!whole || box.open)
            *last = box;
        if (!whole)
            break;
        walk->whole_end += box.size;
    }
    walk->mdat_count = 0;
    // A box that goes up to the file's end would swallow a trailing moov; only an mdat can be cut.
    layout->foreign = last->open && last->type != TYPE_MDAT;
}

// Reads a file whose samples all stand in its moov.
static int mp4_read_plain(struct mp4_walk *walk, char **cause)
{
    struct mp4_layout *layout = walk->layout;
    struct mp4_reader mvhd, children;
    struct mp4_file_box last;
    mp4_walk_plain(walk, &last);
    if (!mp4_get_init(walk, &mvhd, &children)) {
        *cause = xstrdup("its moov can not be read");
        return -1;
    }
    if (mp4_parse_init(mvhd, children, walk->segment, &walk->state, cause) != 0 ||
        mp4_parse_tables(walk->segment, &walk->state, walk->limit, cause) != 0)
        return -1;
    layout->media_end = walk->whole_end;
    if (walk->state.media_end > layout->media_end)
        layout->media_end = walk->state.media_end;
    // Whatever the last box was called: where samples lie in it, it becomes an mdat. Where they lie
    // in no box at all, nothing can be put behind them.
    if (last.size > 0)
        mp4_cut_mdat(layout, &last);
    else if (layout->media_end > walk->whole_end)
        layout->foreign = true;
    layout->foreign |= !mp4_init_undoable(walk);
    walk->complete = walk->limit - walk->whole_end < 8 || last.size > 0;
    return 0;
}

// Reads a file whose moov says that fragments follow; the moov may have samples of its own.
static int mp4_read_fragmented(
    struct mp4_walk *walk, struct mp4_reader mvhd, struct mp4_reader children, char **cause)
{
    if (mp4_parse_init(mvhd, children, walk->segment, &walk->state, cause) != 0 ||
        mp4_parse_tables(walk->segment, &walk->state, walk->limit, cause) != 0)
        return -1;
    walk->layout->foreign |= !mp4_init_undoable(walk);
    mp4_read_fragments(walk);
    return 0;
}

static int mp4_read_file(struct mp4_walk *walk, char **cause)
{
    struct mp4_layout *layout = walk->layout;
    struct mp4_reader mvhd, children;
    struct mp4_box mvex;
    if (mp4_find_init(walk, cause) != 0)
        return -1;
    if (!mp4_get_init(walk, &mvhd, &children)) {
        *cause = xstrdup("its moov is torn");
        return -1;
    }
    if (!layout->plain && mp4_box_find(&children, TYPE_MVEX, &mvex)) {
        if (layout->init_overwritten && walk->init.size < walk->limit - layout->init_offset)
            walk->limit = layout->init_offset + walk->init.size;
        return mp4_read_fragmented(walk, mvhd, children, cause);
    }
    layout->plain = true;
    return mp4_read_plain(walk, cause);
}

// Whether all times can be told in microseconds.
static bool mp4_times_fit(const struct mp4_walk *walk)
{
    const int64_t seconds_max = INT64_C(1) << 40;
    for (size_t i = 0; i < walk->segment->track_count; i++) {
        const struct media_track *track = &walk->segment->tracks[i];
        if (walk->state.tracks[i].next_time / track->timescale >= seconds_max ||
            track->start / track->timescale <= -seconds_max)
            return false;
    }
    return true;
}

int mp4_read(const struct mp4_source *source, struct media_segment *segment,
    struct mp4_layout *layout, char **cause)
{
    struct mp4_walk walk = {.limit = source->size,
        .segment = segment,
        .layout = layout,
        .data = {UINT64_MAX, 0},
        .data_before = {UINT64_MAX, 0}};
    *segment = (struct media_segment){0};
    *layout = (struct mp4_layout){0};
    walk.state.samples_max =
        source->size < MEDIA_SAMPLES_MAX ? (size_t)source->size : MEDIA_SAMPLES_MAX;
    walk.state.media_begin = UINT64_MAX;
    mp4_file_init(&walk.file, source);
    int result = mp4_read_file(&walk, cause);
    if (result == 0 && mp4_sample_total(segment) == 0) {
        *cause = xasprintf("it holds no whole sample (%" PRIu64 " bytes)", source->size);
        result = -1;
    } else if (result == 0 && !mp4_times_fit(&walk)) {
        *cause = xstrdup("its decode times are absurd");
        result = -1;
    }
    if (result == 0) {
        mp4_settle_entries(segment, &walk.state);
        mp4_find_parameter_sets(&walk.file, segment);
        layout->media_offset = walk.state.media_begin;
        layout->skipped += walk.state.ended_early;
    } else {
        layout->empty =
            walk.complete && !walk.strange && !walk.has_media && !layout->init_overwritten;
        media_segment_fini(segment);
    }
    mp4_state_fini(&walk.state);
    mp4_file_fini(&walk.file);
    return result;
}

void mp4_sealed_header(const struct mp4_layout *layout, uint8_t header[16])
{
    if (layout->plain) {
        memcpy(header, layout->init_header, sizeof(layout->init_header));
        mp4_store_u32(header + 4, TYPE_FREE);
        return;
    }
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
