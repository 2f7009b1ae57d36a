// Lays a virtual file out: from a plan to parts with exact sizes. See vfile.h and vfile_parts.h.
#include "lib/media/vfile.h"

#include <assert.h>
#include <stdlib.h>

#include "lib/core/alloc.h"
#include "lib/core/timeutil.h"
#include "lib/media/vfile_parts.h"

static void vfile_add_part(struct vfile *file, const struct vfile_part *part)
{
    assert(file->part_count < VFILE_PARTS_MAX);
    file->parts[file->part_count] = *part;
    file->parts[file->part_count].offset = file->info.size;
    file->part_count++;
    file->info.size += part->size;
}

// Everything appended to `heads` since `begin` becomes a part.
static void vfile_add_head(struct vfile *file, size_t begin)
{
    vfile_add_part(file,
        &(struct vfile_part){.kind = VFILE_HEAD, .head = begin, .size = file->heads.size - begin});
}

static void vfile_describe_track(
    struct vfile *file, const struct vfile_request *request, int kind, uint32_t id)
{
    const struct vfile_track_plan *plan = &file->plan.tracks[kind];
    file->tracks[kind] = (struct mp4_track){.id = id,
        .kind = kind == VFILE_VIDEO ? MEDIA_VIDEO : MEDIA_AUDIO,
        .timescale = plan->timescale,
        .duration = plan->duration,
        .width = kind == VFILE_VIDEO ? request->width : 0,
        .height = kind == VFILE_VIDEO ? request->height : 0,
        .edits = plan->edits,
        .edit_count = plan->edit_count,
        .entries = request->entries[kind].items,
        .entry_count = request->entries[kind].count,
        .composition = plan->composition,
        .counts = plan->counts};
}

static void vfile_add_track(struct vfile *file, int kind)
{
    const struct mp4_track *track = &file->tracks[kind];
    size_t begin = file->heads.size;
    mp4_put_track_head(&file->heads, track, file->info.start_us);
    for (enum mp4_table table = 0; table < MP4_TABLE_COUNT; table++) {
        if (mp4_table_size(track, table) == 0)
            continue;
        mp4_put_table_head(&file->heads, track, table);
        vfile_add_head(file, begin);
        vfile_add_part(file, &(struct vfile_part){.kind = VFILE_TABLE,
                                 .track = kind,
                                 .table = table,
                                 .size = mp4_table_body_size(track, &track->counts, table)});
        begin = file->heads.size;
    }
    if (file->heads.size > begin)
        vfile_add_head(file, begin);
}

// Lays the parts one behind the other. Returns 0, or -1 with *cause set.
static int vfile_add_parts(struct vfile *file, char **cause)
{
    const struct vfile_plan *plan = &file->plan;
    struct buf mvhd = BUF_INIT;
    uint32_t next_track_id = 1;
    uint64_t moov_size = 8;
    for (int kind = 0; kind < MEDIA_TRACKS_MAX; kind++) {
        if (plan->tracks[kind].timescale == 0)
            continue;
        moov_size += mp4_track_size(&file->tracks[kind]);
        next_track_id = file->tracks[kind].id + 1;
    }
    mp4_put_mvhd(&mvhd, file->info.start_us, plan->timescale, plan->duration, next_track_id);
    moov_size += mvhd.size;
    if (moov_size > UINT32_MAX) {
        buf_fini(&mvhd);
        *cause = xasprintf("the range holds too many frames for one file; ask for a part of it");
        return -1;
    }

    mp4_put_ftyp(&file->heads);
    buf_put_u32(&file->heads, (uint32_t)moov_size);
    buf_put(&file->heads, "moov", 4);
    buf_put(&file->heads, mvhd.data, mvhd.size);
    buf_fini(&mvhd);
    vfile_add_head(file, 0);
    for (int kind = 0; kind < MEDIA_TRACKS_MAX; kind++)
        if (plan->tracks[kind].timescale != 0)
            vfile_add_track(file, kind);

    const struct vfile_piece *last = &plan->pieces[plan->piece_count - 1];
    uint64_t media_size = last->base + last->size;
    size_t begin = file->heads.size;
    buf_put_u32(&file->heads, 1); // the size stands in 64 bits behind the type (4.2.2)
    buf_put(&file->heads, "mdat", 4);
    buf_put_u64(&file->heads, media_size + 16);
    vfile_add_head(file, begin);
    file->media_offset = file->info.size;
    vfile_add_part(file, &(struct vfile_part){.kind = VFILE_MEDIA, .size = media_size});
    return 0;
}

// How much of the sound is not as it was recorded.
static void vfile_describe_sound(struct vfile *file)
{
    const struct vfile_plan *plan = &file->plan;
    const struct vfile_track_plan *track = &plan->tracks[VFILE_AUDIO];
    uint64_t silence = 0;
    if (track->timescale == 0)
        return;
    for (size_t i = 0; i < track->span_count; i++) {
        uint64_t end =
            i + 1 < track->span_count ? track->spans[i + 1].base.duration : track->counts.duration;
        if (plan->pieces[track->spans[i].piece].kind == PIECE_SILENCE)
            silence += end - track->spans[i].base.duration;
    }
    file->info.silence_us = time_muldiv((int64_t)silence, US_PER_SECOND, track->timescale);
    file->info.dropped_us = time_muldiv((int64_t)track->dropped, US_PER_SECOND, track->timescale);
}

struct vfile *vfile_new(
    const struct vfile_request *request, const struct vfile_source *source, char **cause)
{
    struct vfile *file = xcalloc(1, sizeof(*file));
    if (vfile_plan_make(&file->plan, request, source, cause) < 0)
        goto fail;
    const struct vfile_plan *plan = &file->plan;
    file->info.start_us = plan->start_us;
    file->info.end_us = plan->end_us;
    file->info.lead_in_us = plan->lead_in_us;
    file->info.duration_us = time_muldiv((int64_t)plan->duration, US_PER_SECOND, plan->timescale);
    file->info.skipped_us = plan->skipped_us;
    vfile_describe_sound(file);
    file->info.first = plan->pieces[0].segment;
    file->info.last = plan->pieces[plan->piece_count - 1].segment;
    uint32_t id = 1;
    for (int kind = 0; kind < MEDIA_TRACKS_MAX; kind++)
        if (plan->tracks[kind].timescale != 0)
            vfile_describe_track(file, request, kind, id++);
    if (vfile_add_parts(file, cause) < 0)
        goto fail;
    // The sample entries were the caller's; they stand in the heads now.
    for (int kind = 0; kind < MEDIA_TRACKS_MAX; kind++)
        file->tracks[kind].entries = NULL;
    return file;
fail:
    vfile_free(file);
    return NULL;
}

void vfile_free(struct vfile *file)
{
    if (file == NULL)
        return;
    vfile_plan_fini(&file->plan);
    buf_fini(&file->heads);
    free(file);
}

const struct vfile_info *vfile_info(const struct vfile *file)
{
    return &file->info;
}

size_t vfile_stretch_count(const struct vfile *file)
{
    return file->plan.piece_count;
}

void vfile_stretch_get(const struct vfile *file, size_t index, struct vfile_stretch *stretch)
{
    const struct vfile_piece *piece = &file->plan.pieces[index];
    bool silence = piece->kind == PIECE_SILENCE;
    uint32_t timescale = file->plan.tracks[silence ? VFILE_AUDIO : VFILE_VIDEO].timescale;
    *stretch = (struct vfile_stretch){.silence = silence,
        .segment = piece->segment,
        .media_us = time_muldiv(piece->time, US_PER_SECOND, timescale)};
    if (!silence)
        return;
    const struct vfile_made *made = vfile_piece_made(&file->plan, piece);
    int64_t ticks = (int64_t)(piece->size / made->size * made->duration);
    stretch->duration_us = time_muldiv(ticks, US_PER_SECOND, timescale);
}

size_t vfile_memory(const struct vfile *file)
{
    size_t bytes = sizeof(*file) + file->heads.capacity +
                   file->plan.piece_capacity * sizeof(file->plan.pieces[0]);
    for (int kind = 0; kind < MEDIA_TRACKS_MAX; kind++)
        bytes += file->plan.tracks[kind].span_capacity * sizeof(struct vfile_span);
    return bytes;
}

const struct vfile_part *vfile_find_part(const struct vfile *file, uint64_t offset)
{
    size_t i = file->part_count - 1;
    while (file->parts[i].offset > offset)
        i--;
    return &file->parts[i];
}

bool vfile_media_segment(const struct vfile *file, uint64_t offset, size_t *segment)
{
    const struct vfile_part *part = vfile_find_part(file, offset);
    if (part->kind != VFILE_MEDIA)
        return false;
    size_t piece = vfile_find_piece(file, offset - part->offset);
    *segment = file->plan.pieces[piece].segment;
    return true;
}

size_t vfile_find_piece(const struct vfile *file, uint64_t offset)
{
    size_t low = 0, high = file->plan.piece_count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (file->plan.pieces[middle].base <= offset)
            low = middle;
        else
            high = middle;
    }
    return low;
}

size_t vfile_find_span(const struct vfile *file, const struct vfile_part *part, uint64_t offset)
{
    const struct vfile_track_plan *plan = &file->plan.tracks[part->track];
    size_t low = 0, high = plan->span_count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (mp4_table_body_size(
                &file->tracks[part->track], &plan->spans[middle].base, part->table) <= offset)
            low = middle;
        else
            high = middle;
    }
    return low;
}
