// Sealing a segment, and recognising how far an earlier life came with it. See seal.h.
#include "indexer/seal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/core/alloc.h"
#include "lib/core/fsutil.h"
#include "lib/media/mp4_write.h"

// Whether the source has exactly these bytes at `offset`.
static bool seal_equal(
    const struct mp4_source *source, uint64_t offset, const uint8_t *data, size_t size)
{
    uint8_t piece[4096];
    for (size_t done = 0; done < size;) {
        size_t count = size - done < sizeof(piece) ? size - done : sizeof(piece);
        if (source->read(source->arg, offset + done, piece, count) < 0 ||
            memcmp(piece, data + done, count) != 0)
            return false;
        done += count;
    }
    return true;
}

// A track's times, kept to be put back.
struct seal_times {
    struct media_track *track;
    int64_t start;
    struct media_sample *samples;
};

static void seal_times_keep(struct seal_times *times, struct media_track *track)
{
    size_t size = track->sample_count * sizeof(*track->samples);
    *times = (struct seal_times){track, track->start, xmalloc(size + 1)};
    if (size > 0)
        memcpy(times->samples, track->samples, size);
}

static void seal_times_end(struct seal_times *times, bool put_back)
{
    struct media_track *track = times->track;
    if (put_back && track->sample_count > 0)
        memcpy(track->samples, times->samples, track->sample_count * sizeof(*track->samples));
    if (put_back)
        track->start = times->start;
    free(times->samples);
}

// Whether the trailing moov is the one that its tags and the fragments give. The segment then has
// the mended times.
static bool seal_tail_whole(const struct mp4_source *source, struct media_segment *segment,
    const struct mp4_layout *layout, struct mp4_tags *tags)
{
    char *cause = NULL;
    if (layout->tail_offset != layout->media_end || layout->tail_size > source->size ||
        layout->tail_offset != source->size - layout->tail_size)
        return false;
    if (mp4_read_tags(source, layout, tags, &cause) < 0) {
        free(cause);
        return false;
    }
    struct seal_times times[MEDIA_TRACKS_MAX];
    const size_t count = segment->track_count;
    for (size_t i = 0; i < count; i++)
        seal_times_keep(&times[i], &segment->tracks[i]);
    mend_apply(&tags->mend, segment);
    struct buf moov = BUF_INIT;
    mp4_put_sealed_moov(&moov, segment, tags);
    bool whole = moov.size == layout->tail_size &&
                 seal_equal(source, layout->tail_offset, moov.data, moov.size);
    buf_fini(&moov);
    for (size_t i = 0; i < count; i++)
        seal_times_end(&times[i], !whole);
    return whole;
}

enum seal_state seal_inspect(const struct mp4_source *source, struct media_segment *segment,
    const struct mp4_layout *layout, struct mp4_tags *tags)
{
    if (layout->tail_offset == 0)
        return layout->init_overwritten ? SEAL_INTERRUPTED : SEAL_OPEN;
    if (!seal_tail_whole(source, segment, layout, tags))
        return SEAL_INTERRUPTED;
    uint8_t header[SEAL_HEADER_SIZE];
    mp4_sealed_header(layout, header);
    bool flipped = seal_equal(source, layout->init_offset, header, sizeof(header));
    return flipped ? SEAL_DONE : SEAL_WRITTEN;
}

void seal_plan_init(struct seal_plan *plan, const struct media_segment *segment,
    const struct mp4_layout *layout, const struct mp4_tags *tags)
{
    *plan = (struct seal_plan){.layout = *layout};
    mp4_put_sealed_moov(&plan->moov, segment, tags);
    plan->size = layout->media_end + plan->moov.size;
}

void seal_plan_fini(struct seal_plan *plan)
{
    buf_fini(&plan->moov);
}

static int seal_fail(const char *what, char **cause)
{
    int saved_errno = errno;
    *cause = xasprintf("%s: %s", what, strerror(saved_errno));
    errno = saved_errno;
    return -1;
}

int seal_sync(int fd, bool *unsynced, char **cause)
{
    if (fdatasync(fd) == 0)
        return 0;
    *unsynced = true;
    return seal_fail("it can not be synced", cause);
}

// Gives a last mdat that reached beyond the last whole sample its right size.
static int seal_write_cut(int fd, const struct mp4_layout *layout)
{
    uint8_t header[16];
    return fs_write_at(fd, header, mp4_cut_header(layout, header), layout->cut_mdat_offset);
}

// Makes the file end behind its last whole sample, with the recorder's own header in front. That is
// durable before anything is appended: after a power cut, a torn fragment whose remains are still
// there would claim the bytes of the new moov as its samples.
static int seal_clean(int fd, const struct mp4_layout *layout, bool *unsynced, char **cause)
{
    struct stat info;
    if (fstat(fd, &info) < 0)
        return seal_fail("its size can not be read", cause);
    bool cut = layout->cut_mdat_offset != 0;
    if (!cut && !layout->init_overwritten && (uint64_t)info.st_size == layout->media_end)
        return 0;
    if (layout->init_overwritten &&
        fs_write_at(fd, layout->init_header, sizeof(layout->init_header), layout->init_offset) < 0)
        return seal_fail("the recorder's header can not be put back", cause);
    if ((cut && seal_write_cut(fd, layout) < 0) || ftruncate(fd, (off_t)layout->media_end) < 0)
        return seal_fail("the torn end can not be cut off", cause);
    return seal_sync(fd, unsynced, cause);
}

int seal_in_place(int fd, const struct seal_plan *plan, bool *unsynced, char **cause)
{
    const struct mp4_layout *layout = &plan->layout;
    uint8_t header[SEAL_HEADER_SIZE];
    mp4_sealed_header(layout, header);
    if (seal_clean(fd, layout, unsynced, cause) < 0)
        return -1;
    if (fs_write_at(fd, plan->moov.data, plan->moov.size, layout->media_end) < 0)
        return seal_fail("the sample table can not be written", cause);
    if (fs_write_at(fd, header, sizeof(header), layout->init_offset) < 0)
        return seal_fail("the header can not be written", cause);
    return seal_sync(fd, unsynced, cause);
}

int seal_copy(int from, int to, const struct seal_plan *plan, char **cause)
{
    const struct mp4_layout *layout = &plan->layout;
    uint8_t header[SEAL_HEADER_SIZE];
    mp4_sealed_header(layout, header);
    if (fs_copy(from, to, layout->media_end) < 0 ||
        (layout->cut_mdat_offset != 0 && seal_write_cut(to, layout) < 0) ||
        fs_write_at(to, plan->moov.data, plan->moov.size, layout->media_end) < 0 ||
        fs_write_at(to, header, sizeof(header), layout->init_offset) < 0 || fdatasync(to) < 0)
        return seal_fail("the copy can not be written", cause);
    return 0;
}
