// A portion of a segment as a virtual file: a fragment's tables, then bytes of the segment's file.
// See vfile.h.
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/media/vfile_parts.h"

static void vfile_add_silence(struct vfile *file, const struct silence *silence)
{
    struct vfile_track_plan *track = &file->plan.tracks[VFILE_AUDIO];
    track->made = xcalloc(1, sizeof(track->made[0]));
    track->made_count = 1;
    track->made[0] = (struct vfile_made){
        .data = xmalloc(silence->size), .size = silence->size, .duration = silence->duration};
    memcpy(track->made[0].data, silence->data, silence->size);
}

static void vfile_add_extents(struct vfile *file, const struct portion_media *media)
{
    struct vfile_plan *plan = &file->plan;
    uint64_t base = 0;
    plan->pieces = xcalloc(media->extent_count + 1, sizeof(plan->pieces[0]));
    plan->piece_count = plan->piece_capacity = media->extent_count;
    for (size_t i = 0; i < media->extent_count; i++) {
        const struct portion_extent *extent = &media->extents[i];
        bool silence = extent->offset == PORTION_SILENCE;
        plan->pieces[i] = (struct vfile_piece){
            .kind = silence ? PIECE_SILENCE : PIECE_SEGMENT,
            .entry = 1,
            .file_offset = silence ? 0 : extent->offset,
            .file_end = silence ? 0 : extent->offset + extent->size,
            .size = extent->size,
            .base = base,
        };
        base += extent->size;
    }
}

struct vfile *vfile_new_portion(
    const struct portion_media *media, const struct silence *silence, char **cause)
{
    struct vfile *file = xcalloc(1, sizeof(*file));
    if (mp4_put_moof(&file->heads, 1, media->tracks, MEDIA_TRACKS_MAX, media->size) < 0) {
        *cause = xasprintf("more than 2 GiB between two key frames do not fit a fragment");
        vfile_free(file);
        return NULL;
    }
    vfile_add_silence(file, silence);
    vfile_add_extents(file, media);
    file->parts[0] = (struct vfile_part){.kind = VFILE_HEAD, .size = file->heads.size};
    file->parts[1] =
        (struct vfile_part){.kind = VFILE_MEDIA, .offset = file->heads.size, .size = media->size};
    file->part_count = 2;
    file->media_offset = file->heads.size;
    file->info.size = file->heads.size + media->size;
    return file;
}
