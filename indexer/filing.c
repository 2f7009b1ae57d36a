// The way of one segment from the cache into a volume. See filing.h.
#include "indexer/filing.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "indexer/hash.h"
#include "indexer/quarantine.h"
#include "indexer/seal.h"
#include "indexer/sealed.h"
#include "indexer/skew.h"
#include "lib/core/alloc.h"
#include "lib/core/fsutil.h"
#include "lib/core/log.h"
#include "lib/core/timeutil.h"
#include "lib/media/codec.h"

// Where the clock of a stream may stand, with room for sums. Anything else is damage or malice.
#define FILING_MEDIA_US_MAX (INT64_C(1000) * 366 * US_PER_DAY)

// What is known of the file while it is worked on.
struct filing_work {
    int fd; // for reading
    struct stat info;
    struct cache_reader reader;
    struct mp4_source source;
    struct mp4_layout layout;
    struct mp4_tags tags;
    enum seal_state state;
};

static enum filing_result filing_fail(struct filing *filing, const char *what)
{
    filing->cause = xasprintf("%s: %s: %s", filing->path, what, strerror(errno));
    return FILING_FAILED;
}

static enum filing_result filing_quarantine(
    struct filing *filing, struct filing_work *work, const char *reason, char *why)
{
    char *cause = NULL;
    filing->reason = reason;
    filing->cause = why;
    if (quarantine_put(filing->volume, filing->path, work->fd, (uint64_t)work->info.st_size,
            &filing->file.id, reason, why, &cause) == 0)
        return FILING_QUARANTINED;
    filing->error = errno;
    free(why);
    filing->cause = cause;
    return FILING_FAILED;
}

static enum filing_result filing_open(struct filing *filing, struct filing_work *work)
{
    work->fd = open(filing->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (work->fd < 0)
        return errno == ENOENT ? FILING_GONE : filing_fail(filing, "can not be opened");
    switch (fs_lease_probe(work->fd)) {
    case FS_LEASE_CLOSED:
        break;
    case FS_LEASE_OPEN:
        return FILING_OPEN;
    case FS_LEASE_ERROR:
        return filing_fail(filing, "whether it is closed can not be told (no lease)");
    }
    if (fstat(work->fd, &work->info) < 0)
        return filing_fail(filing, "can not be read");
    return FILING_DONE;
}

static enum filing_result filing_empty(struct filing *filing)
{
    if (!filing->alone && filing->next_birth_us == 0)
        return FILING_OPEN; // its writer is just making it
    if (unlink(filing->path) < 0 && errno != ENOENT)
        return filing_fail(filing, "is empty and can not be removed");
    return FILING_EMPTY;
}

// What a disk did not give back now is no torn end, which sealing would cut off.
static enum filing_result filing_unreadable(struct filing *filing, struct filing_work *work)
{
    errno = work->reader.error;
    if (filing->last_try)
        return filing_quarantine(filing, work, "unreadable", xstrdup(strerror(errno)));
    filing_fail(filing, "can not be read");
    return FILING_UNREADABLE;
}

static enum filing_result filing_parse(struct filing *filing, struct filing_work *work)
{
    char *cause = NULL;
    cache_reader_init(&work->reader, work->fd);
    work->source = cache_reader_source(&work->reader, (uint64_t)work->info.st_size);
    int result = mp4_read(&work->source, &filing->media, &work->layout, &cause);
    if (result == 0)
        work->state = seal_inspect(&work->source, &filing->media, &work->layout, &work->tags);
    if (work->reader.error != 0) {
        free(cause);
        return filing_unreadable(filing, work);
    }
    if (result < 0) {
        if (!work->layout.empty)
            return filing_quarantine(filing, work, "unreadable", cause);
        free(cause);
        return filing_empty(filing);
    }
    if (work->layout.foreign)
        return filing_quarantine(filing, work, "foreign",
            xstrdup("it is laid out such that sealing could not be undone"));
    filing->skipped = work->layout.skipped;
    for (size_t i = 0; i < filing->media.track_count; i++) {
        const struct media_track *track = &filing->media.tracks[i];
        struct codec_info info;
        if (codec_describe(track->entry, track->entry_size, &info, &cause) < 0)
            return filing_quarantine(filing, work, "codec", cause);
    }
    return FILING_DONE;
}

// Gives the segment its mended times. A run's first file decides for all, together with those that
// begin soon after it.
static enum filing_result filing_mend(struct filing *filing, struct filing_work *work)
{
    if (work->state >= SEAL_WRITTEN) {
        filing->mended = work->tags.mend.kind != 0;
        if (filing->file.id.number == 0)
            filing->mend = work->tags.mend;
        return FILING_DONE;
    }
    if (filing->file.id.number == 0 && !beginning_find(&filing->media, filing->following,
                                           filing->following_count, filing->alone, &filing->mend))
        return FILING_WAITS;
    filing->lost = mend_lost(&filing->mend, &filing->media);
    filing->mended = mend_apply(&filing->mend, &filing->media);
    if (!filing->mended)
        filing->lost = 0;
    return FILING_DONE;
}

// An earlier life has placed the segment, and its name may be in the volume already: that stands.
// Moves the run's clock on accordingly.
static void filing_adopt(
    struct filing *filing, const struct filing_work *work, struct segtime_segment *segment)
{
    int64_t start_us, end_us;
    if (segment->number == 0 && !filing->time.anchored) {
        filing->time.anchored = true;
        filing->time.anchor_us = work->tags.start_us - segment->media_start_us;
        filing->time.observations = 1;
    }
    segtime_place(&filing->time, segment, true, &start_us, &end_us);
    filing->time.start_us = work->tags.start_us;
    filing->time.next_start_us = work->tags.end_us;
    filing->row.start_us = work->tags.start_us;
    filing->row.end_us = work->tags.end_us;
    filing->row.utc_offset_s = work->tags.utc_offset_s;
}

static bool filing_is_ours(const struct filing *filing, const struct mp4_tags *tags)
{
    char identity[SEGMENT_TEXT_SIZE];
    segment_id_format(&filing->file.id, identity);
    return strcmp(identity, tags->identity) == 0;
}

static enum filing_result filing_implausible(
    struct filing *filing, struct filing_work *work, const char *what, int64_t time_us)
{
    return filing_quarantine(filing, work, "implausible",
        xasprintf("it claims to %s %" PRId64 " s", what, time_us / US_PER_SECOND));
}

// Reads what the last fragment says of the camera's clock, where the file ends with it.
static void filing_read_skew(
    struct filing *filing, const struct filing_work *work, int64_t media_start_us)
{
    const struct mp4_layout *layout = &work->layout;
    if (layout->reference.ntp == 0 || layout->media_end != (uint64_t)work->info.st_size)
        return;
    const struct media_track *track = &filing->media.tracks[layout->reference.track];
    int64_t ticks = track->start;
    for (uint32_t i = 0; i < layout->reference.sample; i++)
        ticks += track->samples[i].duration;
    ticks += track->samples[layout->reference.sample].composition;
    const struct skew_sight sight = {
        .ntp = layout->reference.ntp,
        .shown_us =
            filing->row.start_us + media_ticks_to_us(ticks, track->timescale) - media_start_us,
        .written_us = work->info.st_mtim.tv_sec * US_PER_SECOND + work->info.st_mtim.tv_nsec / 1000,
    };
    filing->has_skew = skew_read(&sight, &filing->skew_us);
}

static enum filing_result filing_place(struct filing *filing, struct filing_work *work)
{
    struct segtime_segment segment = {
        .number = filing->file.id.number,
        .birth_us = filing->file.birth_us,
        .next_birth_us = filing->next_birth_us,
        .written_us = filing->file.written_us,
        .latency_us = filing->latency_us,
        .media_jump_us = segtime_jump_us(&filing->media),
    };
    if (!media_segment_span(&filing->media, &segment.media_start_us, &segment.media_duration_us))
        return filing_quarantine(filing, work, "unreadable", xstrdup("it holds no sample"));
    if (segment.media_duration_us < 0 || segment.media_duration_us > CATALOG_DURATION_US_MAX)
        return filing_implausible(filing, work, "last", segment.media_duration_us);
    if (segment.media_start_us < -FILING_MEDIA_US_MAX ||
        segment.media_start_us > FILING_MEDIA_US_MAX)
        return filing_implausible(filing, work, "begin at a media time of", segment.media_start_us);
    if (work->state >= SEAL_WRITTEN && filing_is_ours(filing, &work->tags) &&
        sealed_span_plausible(work->tags.start_us, work->tags.end_us)) {
        filing_adopt(filing, work, &segment);
        return FILING_DONE;
    }
    if (!segtime_place(
            &filing->time, &segment, filing->alone, &filing->row.start_us, &filing->row.end_us))
        return FILING_WAITS;
    if (!sealed_span_plausible(filing->row.start_us, filing->row.end_us))
        return filing_implausible(
            filing, work, "have been recorded at the epoch's second", filing->row.start_us);
    filing->row.utc_offset_s = time_local_offset(filing->row.start_us);
    filing_read_skew(filing, work, segment.media_start_us);
    return FILING_DONE;
}

// Opens for writing and seals. An earlier life may have done that, but not come to the sync. A
// writer that came in between is refused.
static int filing_seal_in_place(
    struct filing *filing, struct filing_work *work, const struct seal_plan *plan, char **cause)
{
    if (work->state == SEAL_DONE)
        return seal_sync(work->fd, &filing->unsynced, cause);
    if (fs_lease_probe(work->fd) != FS_LEASE_CLOSED) {
        *cause = xasprintf("%s: was opened for writing again", filing->path);
        return -1;
    }
    int fd = open(filing->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    struct stat info;
    int result = -1;
    if (fd < 0 || fstat(fd, &info) < 0 || info.st_ino != work->info.st_ino ||
        info.st_size != work->info.st_size)
        *cause = xasprintf("%s: changed while it was read", filing->path);
    else
        result = seal_in_place(fd, plan, &filing->unsynced, cause);
    if (fd >= 0)
        close(fd);
    return result;
}

static int filing_store(struct filing *filing, struct filing_work *work,
    const struct seal_plan *plan, char key[SEGMENT_KEY_SIZE])
{
    char *cause = NULL;
    int result;
    if (filing->volume->links && !filing->lossy) {
        result = filing_seal_in_place(filing, work, plan, &cause);
        if (result == 0)
            result = volume_link(filing->volume, filing->path, key, &cause);
    } else {
        result = volume_copy(filing->volume, work->fd, plan, key, &cause);
    }
    if (result < 0) {
        filing->error = errno;
        filing->cause = cause;
    }
    return result;
}

// After a copy that failed: whether it was the cache's disk that did not give its bytes back.
static bool filing_cache_fails(const struct filing *filing, struct filing_work *work)
{
    uint8_t page[4096];
    ssize_t got = 1;
    if (filing->error != EIO)
        return false;
    for (uint64_t done = 0; got > 0; done += (uint64_t)got)
        got = pread(work->fd, page, sizeof(page), (off_t)done);
    work->reader.error = got < 0 ? errno : 0;
    return got < 0;
}

static void filing_summarize(struct filing *filing, const struct filing_work *work)
{
    struct catalog_segment *row = &filing->row;
    row->run = filing->file.id.run;
    row->number = filing->file.id.number;
    sealed_summarize(&filing->media, &work->layout, row, &filing->packed);
    // The row may have to wait for long, and the packed table is all that is still wanted.
    for (size_t i = 0; i < filing->media.track_count; i++) {
        struct media_track *track = &filing->media.tracks[i];
        free(track->samples);
        track->samples = NULL;
        track->sample_count = track->sample_capacity = 0;
    }
}

// Hashes the file as it stands in the volume. Footage is filed without, rather than not at all.
static void filing_hash(struct filing *filing, const char *key)
{
    char *cause = NULL;
    if (!filing->hash)
        return;
    int fd = openat(filing->volume->root, key, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        cause = xstrdup(strerror(errno));
    else
        filing->has_hash = hash_file(fd, filing->sha256, &cause) == 0;
    if (!filing->has_hash)
        log_err("%s/%s: is filed without its hash: %s", filing->volume->path, key, cause);
    if (fd >= 0)
        close(fd);
    free(cause);
}

static enum filing_result filing_file(struct filing *filing, struct filing_work *work)
{
    struct mp4_tags tags = {.start_us = filing->row.start_us,
        .end_us = filing->row.end_us,
        .utc_offset_s = filing->row.utc_offset_s};
    if (work->state >= SEAL_WRITTEN)
        tags.mend = work->tags.mend;
    else if (filing->mended)
        tags.mend = filing->mend;
    segment_id_format(&filing->file.id, tags.identity);
    snprintf(tags.node, sizeof(tags.node), "%s",
        work->state >= SEAL_WRITTEN ? work->tags.node : filing->node);
    char key[SEGMENT_KEY_SIZE];
    segment_key_format(&filing->file.id, filing->row.start_us, filing->row.utc_offset_s, key);
    struct seal_plan plan;
    seal_plan_init(&plan, &filing->media, &work->layout, &tags);
    int result = filing_store(filing, work, &plan, key);
    filing->row.size_bytes = plan.size;
    seal_plan_fini(&plan);
    if (result < 0 && filing_cache_fails(filing, work)) {
        free(filing->cause);
        filing->error = 0;
        return filing_unreadable(filing, work);
    }
    if (result < 0)
        return FILING_FAILED;
    filing->row.key = xstrdup(key);
    filing_hash(filing, key);
    filing_summarize(filing, work);
    return FILING_DONE;
}

// Whether the catalog has the segment and the volume its file. The copy of a segment may be of
// another size than what stands in the cache, so its row's size counts.
static bool filing_settled(const struct filing *filing, const struct filing_work *work)
{
    return filing->committed_key != NULL &&
           volume_has(filing->volume, filing->committed_key, work->info.st_dev, work->info.st_ino,
               filing->row.size_bytes);
}

static enum filing_result filing_work(struct filing *filing, struct filing_work *work)
{
    const struct segtime before = filing->time;
    const struct mend mend_before = filing->mend;
    enum filing_result result = filing_open(filing, work);
    if (result != FILING_DONE)
        return result;
    if (filing_settled(filing, work))
        return FILING_SETTLED;
    if (work->info.st_size == 0)
        return filing_empty(filing);
    result = filing_parse(filing, work);
    if (result == FILING_DONE)
        result = filing_mend(filing, work);
    if (result == FILING_DONE)
        result = filing_place(filing, work);
    if (result == FILING_DONE)
        result = filing_file(filing, work);
    if (result != FILING_DONE) {
        filing->time = before;
        filing->mend = mend_before;
    }
    return result;
}

void filing_run(struct worker_job *job)
{
    struct filing *filing = (struct filing *)job;
    struct filing_work *work = xcalloc(1, sizeof(*work));
    int64_t since_us = time_monotonic_us();
    work->fd = -1;
    filing->result = filing_work(filing, work);
    if (work->fd >= 0)
        close(work->fd);
    free(work);
    filing->busy_us = time_monotonic_us() - since_us;
}

void filing_free(struct filing *filing)
{
    if (filing == NULL)
        return;
    free(filing->path);
    free(filing->node);
    free(filing->committed_key);
    for (size_t i = 0; i < filing->following_count; i++)
        free(filing->following[i]);
    free(filing->cause);
    catalog_segment_fini(&filing->row);
    media_segment_fini(&filing->media);
    buf_fini(&filing->packed);
    free(filing);
}
