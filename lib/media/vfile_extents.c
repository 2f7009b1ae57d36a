// What a piece is made of that is not simply a stretch of its file: without the sound between its
// pictures, or with made bytes before its key samples. See vfile_parts.h.
#include <stdlib.h>

#include "lib/core/alloc.h"
#include "lib/media/vfile_parts.h"

void vfile_extents_fini(struct vfile_extents *extents)
{
    free(extents->items);
    *extents = (struct vfile_extents){0};
}

// Adds to the last extent what follows it in the file.
static void vfile_extents_add(struct vfile_extents *extents, uint64_t offset, uint64_t size)
{
    uint64_t base = 0;
    if (size == 0)
        return;
    if (extents->count > 0) {
        struct vfile_extent *last = &extents->items[extents->count - 1];
        base = last->base + last->size;
        if (offset != VFILE_MADE && last->offset != VFILE_MADE &&
            last->offset + last->size == offset) {
            last->size += size;
            return;
        }
    }
    ARRAY_RESERVE(extents->items, extents->count, extents->capacity);
    extents->items[extents->count++] = (struct vfile_extent){base, offset, size};
}

// Goes through the video's samples. Returns false where they do not lie one behind the other in
// the piece's part of the file.
static bool vfile_extents_fill(struct vfile_extents *extents, const struct vfile *file,
    const struct vfile_piece *piece, const struct sample_table_track *track)
{
    uint32_t prefix = piece->prefixed ? vfile_piece_made(&file->plan, piece)->size : 0;
    uint32_t first = piece->kept[VFILE_VIDEO].first, count = piece->kept[VFILE_VIDEO].count;
    uint64_t done = piece->file_offset; // of the file, where it is taken whole
    struct sample_iter iter;
    sample_iter_init_parts(&iter, track, SAMPLE_KEYS | SAMPLE_SIZES | SAMPLE_OFFSETS);
    for (const struct sample *sample; (sample = sample_iter_next(&iter)) != NULL;) {
        if (sample->index < first)
            continue;
        if (sample->index - first >= count)
            break;
        bool prefixed = sample->key && prefix > 0;
        if (!piece->sparse && prefixed) {
            if (sample->offset < done || sample->offset >= piece->file_end)
                return false;
            vfile_extents_add(extents, done, sample->offset - done);
            done = sample->offset;
        }
        if (prefixed)
            vfile_extents_add(extents, VFILE_MADE, prefix);
        if (piece->sparse)
            vfile_extents_add(extents, sample->offset, sample->size);
    }
    if (!piece->sparse)
        vfile_extents_add(extents, done, piece->file_end - done);
    return true;
}

int vfile_extents_load(struct vfile_extents *extents, const struct vfile *file,
    const struct vfile_source *source, size_t index, char **cause)
{
    const struct vfile_piece *piece = &file->plan.pieces[index];
    vfile_extents_fini(extents);
    extents->piece = index;
    const struct sample_table *table = source->table(source->arg, piece->segment, cause);
    if (table == NULL)
        return -1;
    const struct sample_table_track *track = sample_table_track(table, MEDIA_VIDEO);
    if (track != NULL && vfile_extents_fill(extents, file, piece, track) && extents->count > 0) {
        const struct vfile_extent *last = &extents->items[extents->count - 1];
        if (last->base + last->size == piece->size)
            return 0;
    }
    vfile_extents_fini(extents);
    *cause = xasprintf(
        "segment %zu of the range: its sample table does not agree with its row", piece->segment);
    return -1;
}

const struct vfile_extent *vfile_extents_find(const struct vfile_extents *extents, uint64_t offset)
{
    size_t low = 0, high = extents->count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (extents->items[middle].base <= offset)
            low = middle;
        else
            high = middle;
    }
    return &extents->items[low];
}
