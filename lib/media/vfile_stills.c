// Key frames as a virtual file: one shown after the other, each decoded by itself. Its tables are
// small and made at once. See vfile.h.
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/timeutil.h"
#include "lib/media/nal.h"
#include "lib/media/still.h"
#include "lib/media/vfile_parts.h"
#include "lib/media/vfile_planner.h"

// A piece and a span for each, of the same index.
static void vfile_add_stills(
    struct planner *planner, const struct stills *stills, struct track_counts *counts)
{
    uint32_t entry = 0, duration = 0;
    for (size_t i = 0; i < stills->count; i++) {
        const struct still *still = &stills->items[i];
        uint32_t own = planner->request->segments[still->segment].entries[VFILE_VIDEO];
        planner_add_span(planner, VFILE_VIDEO,
            &(struct vfile_span){.piece = i,
                .first = still->index,
                .count = 1,
                .last_duration = still->duration,
                .entry = own});
        planner_add_piece(planner, &(struct vfile_piece){.kind = PIECE_STILL,
                                       .segment = still->segment,
                                       .file_offset = still->offset,
                                       .file_end = still->offset + still->size});
        counts->stsc_entries += own != entry;
        counts->stts_entries += still->duration != duration;
        counts->duration += still->duration;
        entry = own;
        duration = still->duration;
    }
    counts->samples = counts->syncs = counts->chunks = (uint32_t)stills->count;
}

// H.265: the end-of-sequence unit that makes a decoder begin anew with the key frame behind it
// (ISO/IEC 23008-2, 7.4.2.4.4), as a sample of that entry has it. Returns its size, 0 for any other
// codec.
static uint32_t vfile_end_of_sequence(const struct mp4_entry *entry, uint8_t unit[6])
{
    uint32_t length_size = nal_length_size(entry->data, entry->size);
    if (length_size == 0 ||
        (memcmp(entry->data + 4, "hvc1", 4) != 0 && memcmp(entry->data + 4, "hev1", 4) != 0))
        return 0;
    memset(unit, 0, 6);
    unit[length_size - 1] = 2;
    unit[length_size] = 36 << 1;
    unit[length_size + 1] = 1;
    return length_size + 2;
}

static struct vfile_made vfile_join_made(
    const uint8_t *unit, uint32_t size, const struct vfile_made *sets)
{
    uint32_t more = sets ? sets->size : 0;
    struct vfile_made made = {.data = xmalloc(size + more + 1), .size = size + more};
    memcpy(made.data, unit, size);
    if (more > 0)
        memcpy(made.data + size, sets->data, more);
    return made;
}

// The order numbers of key frames may go on from frames that are left out, and then they come
// twice, or go back: a decoder must begin anew with each. Where a piece has parameter sets, they
// stand behind that; each entry has made bytes with them, and others without.
static void vfile_end_sequences(struct vfile *file, const struct vfile_entries *entries)
{
    struct vfile_track_plan *track = &file->plan.tracks[VFILE_VIDEO];
    struct vfile_made *made = xcalloc(2 * entries->count + 1, sizeof(made[0]));
    for (size_t i = 0; i < entries->count; i++) {
        uint8_t unit[6];
        uint32_t size = vfile_end_of_sequence(&entries->items[i], unit);
        made[i] = vfile_join_made(unit, size, track->made ? &track->made[i] : NULL);
        made[entries->count + i] = vfile_join_made(unit, size, NULL);
    }
    for (size_t i = 0; i < track->span_count; i++) {
        struct vfile_piece *piece = &file->plan.pieces[i];
        uint32_t alone = (uint32_t)entries->count + track->spans[i].entry;
        piece->entry = piece->prefixed ? track->spans[i].entry : alone;
        piece->prefixed |= made[alone - 1].size > 0;
    }
    for (size_t i = 0; track->made != NULL && i < track->made_count; i++)
        free(track->made[i].data);
    free(track->made);
    track->made = made;
    track->made_count = 2 * entries->count;
}

static uint64_t vfile_place_stills(struct vfile_plan *plan)
{
    uint64_t base = 0;
    for (size_t i = 0; i < plan->piece_count; i++) {
        struct vfile_piece *piece = &plan->pieces[i];
        piece->base = base;
        piece->size = piece->file_end - piece->file_offset;
        if (piece->prefixed)
            piece->size += vfile_piece_made(plan, piece)->size;
        base += piece->size;
    }
    return base;
}

// How many spans from `first` on have the same duration.
static uint32_t vfile_same_durations(const struct vfile_track_plan *track, size_t first)
{
    uint32_t count = 1;
    while (first + count < track->span_count &&
           track->spans[first + count].last_duration == track->spans[first].last_duration)
        count++;
    return count;
}

// Each frame is a chunk of its own.
static void vfile_put_still_table(
    struct vfile *file, enum mp4_table table, uint64_t media_offset, struct buf *out)
{
    const struct vfile_track_plan *track = &file->plan.tracks[VFILE_VIDEO];
    for (size_t i = 0; i < track->span_count; i++) {
        const struct vfile_span *span = &track->spans[i];
        if (table == MP4_STTS) {
            uint32_t count = vfile_same_durations(track, i);
            buf_put_u32(out, count);
            buf_put_u32(out, span->last_duration);
            i += count - 1;
        } else if (table == MP4_STSZ) {
            buf_put_u32(out, (uint32_t)file->plan.pieces[i].size);
        } else if (table == MP4_STSC && (i == 0 || span[-1].entry != span->entry)) {
            buf_put_u32(out, (uint32_t)i + 1);
            buf_put_u32(out, 1);
            buf_put_u32(out, span->entry);
        } else if (table == MP4_CO64) {
            buf_put_u64(out, media_offset + file->plan.pieces[i].base);
        }
    }
}

// Everything before the media.
static void vfile_put_still_head(
    struct vfile *file, const struct mp4_track *track, uint64_t media_size)
{
    struct buf *out = &file->heads;
    mp4_put_ftyp(out);
    size_t moov = mp4_box_begin(out, "moov");
    mp4_put_mvhd(out, file->info.start_us, VFILE_STILL_SCALE, track->duration, 2);
    uint64_t media_offset = out->size + mp4_track_size(track) + 16;
    mp4_put_track_head(out, track, file->info.start_us);
    for (enum mp4_table table = 0; table < MP4_TABLE_COUNT; table++) {
        if (mp4_table_size(track, table) == 0)
            continue;
        mp4_put_table_head(out, track, table);
        vfile_put_still_table(file, table, media_offset, out);
    }
    mp4_box_end(out, moov);
    buf_put_u32(out, 1); // the size stands in 64 bits behind the type (4.2.2)
    buf_put(out, "mdat", 4);
    buf_put_u64(out, media_size + 16);
}

static void vfile_lay_stills(struct vfile *file, const struct vfile_request *request,
    const struct track_counts *counts, uint64_t media_size)
{
    const struct mp4_track track = {.id = 1,
        .kind = MEDIA_VIDEO,
        .timescale = VFILE_STILL_SCALE,
        .duration = counts->duration,
        .width = request->width,
        .height = request->height,
        .entries = request->entries[VFILE_VIDEO].items,
        .entry_count = request->entries[VFILE_VIDEO].count,
        .counts = *counts};
    vfile_put_still_head(file, &track, media_size);
    file->parts[0] = (struct vfile_part){.kind = VFILE_HEAD, .size = file->heads.size};
    file->parts[1] =
        (struct vfile_part){.kind = VFILE_MEDIA, .offset = file->heads.size, .size = media_size};
    file->part_count = 2;
    file->media_offset = file->heads.size;
    file->info.size = file->heads.size + media_size;
    file->info.duration_us =
        time_muldiv((int64_t)counts->duration, US_PER_SECOND, VFILE_STILL_SCALE);
}

struct vfile *vfile_new_stills(const struct vfile_request *request, const struct stills *stills,
    const struct vfile_source *source, char **cause)
{
    if (stills->count == 0 || stills->count > VFILE_STILLS_MAX) {
        *cause =
            xasprintf("a file holds 1 to %d key frames, not %zu", VFILE_STILLS_MAX, stills->count);
        return NULL;
    }
    struct vfile *file = xcalloc(1, sizeof(*file));
    struct vfile_track_plan *track = &file->plan.tracks[VFILE_VIDEO];
    struct planner planner = {
        .request = request, .source = source, .plan = &file->plan, .cause = cause};
    struct track_counts counts = {0};
    vfile_add_stills(&planner, stills, &counts);
    if (planner_make_sets(&planner) < 0) {
        vfile_free(file);
        return NULL;
    }
    if (stills->count > 1)
        vfile_end_sequences(file, &request->entries[VFILE_VIDEO]);
    file->info.start_us = stills->items[0].time_us;
    file->info.end_us = stills->items[stills->count - 1].time_us;
    file->info.first = SIZE_MAX;
    for (size_t i = 0; i < stills->count; i++) {
        size_t segment = stills->items[i].segment;
        file->info.first = segment < file->info.first ? segment : file->info.first;
        file->info.last = segment > file->info.last ? segment : file->info.last;
    }
    vfile_lay_stills(file, request, &counts, vfile_place_stills(&file->plan));
    // They stand in the head now.
    free(track->spans);
    track->spans = NULL;
    track->span_count = track->span_capacity = 0;
    return file;
}
