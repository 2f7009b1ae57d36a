// Table bodies of a virtual file, made span by span when they are wanted. See vfile_parts.h.
#include <stdlib.h>

#include "lib/core/alloc.h"
#include "lib/media/vfile_parts.h"

// The same for every frame but the last one's duration.
static void vfile_put_silence(const struct vfile *file, const struct vfile_part *part,
    const struct vfile_span *span, struct buf *out)
{
    const struct vfile_piece *piece = &file->plan.pieces[span->piece];
    const struct vfile_made *made = vfile_piece_made(&file->plan, piece);
    switch (part->table) {
    case MP4_STTS:
        if (span->count > 1) {
            buf_put_u32(out, span->count - 1);
            buf_put_u32(out, made->duration);
        }
        buf_put_u32(out, 1);
        buf_put_u32(out, span->last_duration);
        break;
    case MP4_STSZ:
        for (uint32_t i = 0; i < span->count; i++)
            buf_put_u32(out, made->size);
        break;
    case MP4_STSC:
        buf_put_u32(out, span->base.chunks + 1);
        buf_put_u32(out, span->count);
        buf_put_u32(out, span->entry);
        break;
    case MP4_CO64:
        buf_put_u64(out, file->media_offset + piece->base);
        break;
    case MP4_CTTS: // sound is shown in the order in which it is decoded
    case MP4_STSS: // and every frame is a sync sample
    case MP4_TABLE_COUNT:
        break;
    }
}

// --- Chunk offsets where a piece's bytes are not simply its file's ---

// The bytes of a piece that the samples of a span come behind: those of earlier spans.
static uint64_t vfile_span_place(const struct vfile *file, int kind, const struct vfile_span *span)
{
    const struct vfile_piece *piece = &file->plan.pieces[span->piece];
    const struct vfile_span *first = span;
    while (first > file->plan.tracks[kind].spans && first[-1].piece == span->piece)
        first--;
    uint64_t place = span->base.bytes - first->base.bytes;
    if (piece->prefixed)
        place += (uint64_t)(span->base.syncs - first->base.syncs) *
                 vfile_piece_made(&file->plan, piece)->size;
    return file->media_offset + piece->base + place;
}

// A sparse piece holds its video's samples one behind the other.
static void vfile_put_sparse_chunks(const struct vfile *file, const struct vfile_span *span,
    const struct sample_table_track *track, struct buf *out)
{
    const struct vfile_piece *piece = &file->plan.pieces[span->piece];
    uint32_t prefix = piece->prefixed ? vfile_piece_made(&file->plan, piece)->size : 0;
    uint64_t place = vfile_span_place(file, VFILE_VIDEO, span);
    struct sample_iter iter;
    sample_iter_init(&iter, track);
    for (const struct sample *sample; (sample = sample_iter_next(&iter)) != NULL;) {
        if (sample->index < span->first)
            continue;
        if (sample->index - span->first >= span->count)
            break;
        if (sample->chunk_start || sample->index == span->first)
            buf_put_u64(out, place);
        place += sample->size + (sample->key ? (uint64_t)prefix : 0);
    }
}

// In a prefixed piece, a chunk of either track stands behind as many prefixes as there are key
// samples before it in the file.
static void vfile_put_prefixed_chunks(const struct vfile *file, const struct vfile_span *span,
    const struct sample_table *table, enum media_kind kind, struct buf *out)
{
    const struct vfile_piece *piece = &file->plan.pieces[span->piece];
    uint32_t prefix = vfile_piece_made(&file->plan, piece)->size;
    uint64_t shift = file->media_offset + piece->base - piece->file_offset;
    struct sample_iter keys, iter;
    sample_iter_init_parts(
        &keys, sample_table_track(table, MEDIA_VIDEO), SAMPLE_KEYS | SAMPLE_OFFSETS);
    sample_iter_init(&iter, sample_table_track(table, kind));
    const struct sample *key = sample_iter_next(&keys);
    for (const struct sample *sample; (sample = sample_iter_next(&iter)) != NULL;) {
        if (sample->index < span->first)
            continue;
        if (sample->index - span->first >= span->count)
            break;
        if (!sample->chunk_start && sample->index != span->first)
            continue;
        for (; key != NULL && key->offset < sample->offset; key = sample_iter_next(&keys))
            if (key->key &&
                key->index - piece->kept[VFILE_VIDEO].first < piece->kept[VFILE_VIDEO].count)
                shift += prefix;
        buf_put_u64(out, sample->offset + shift);
    }
}

static void vfile_put_segment(const struct vfile *file, const struct vfile_part *part,
    const struct vfile_span *span, const struct sample_table *table, struct buf *out)
{
    const struct vfile_piece *piece = &file->plan.pieces[span->piece];
    enum media_kind kind = file->tracks[part->track].kind;
    const struct sample_table_track *samples = sample_table_track(table, kind);
    bool prefixed = piece->prefixed && sample_table_track(table, MEDIA_VIDEO) != NULL;
    if (samples == NULL || samples->sample_count < span->first ||
        samples->sample_count - span->first < span->count)
        return;
    if (part->table == MP4_CO64 && piece->sparse) {
        vfile_put_sparse_chunks(file, span, samples, out);
    } else if (part->table == MP4_CO64 && prefixed) {
        vfile_put_prefixed_chunks(file, span, table, kind, out);
    } else {
        const struct mp4_span rows = {.samples = samples,
            .first = span->first,
            .count = span->count,
            .last_duration = span->last_duration,
            .composition_shift = span->composition_shift,
            .entry = span->entry,
            .sample_base = span->base.samples,
            .chunk_base = span->base.chunks,
            .offset_shift =
                (int64_t)(file->media_offset + piece->base) - (int64_t)piece->file_offset,
            .key_prefix = prefixed && part->track == VFILE_VIDEO
                              ? vfile_piece_made(&file->plan, piece)->size
                              : 0};
        mp4_put_table_body(out, &rows, part->table);
    }
}

int vfile_put_table(const struct vfile *file, const struct vfile_source *source,
    const struct vfile_part *part, size_t index, struct buf *out, char **cause)
{
    const struct vfile_track_plan *plan = &file->plan.tracks[part->track];
    const struct vfile_span *span = &plan->spans[index];
    const struct vfile_piece *piece = &file->plan.pieces[span->piece];
    const struct track_counts *end = index + 1 < plan->span_count ? &span[1].base : &plan->counts;
    const struct mp4_track *track = &file->tracks[part->track];
    uint64_t expected = mp4_table_body_size(track, end, part->table) -
                        mp4_table_body_size(track, &span->base, part->table);
    size_t before = out->size;
    if (piece->kind == PIECE_SILENCE) {
        vfile_put_silence(file, part, span, out);
    } else {
        const struct sample_table *table = source->table(source->arg, piece->segment, cause);
        if (table == NULL)
            return -1;
        vfile_put_segment(file, part, span, table, out);
    }
    if (out->size - before == expected)
        return 0;
    *cause = xasprintf(
        "segment %zu of the range: its sample table does not agree with its row", piece->segment);
    return -1;
}
