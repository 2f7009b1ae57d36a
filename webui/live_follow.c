// Follows the files of one stream in the cache as they grow. See live_follow.h.
#include "webui/live_follow.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/core/alloc.h"
#include "lib/core/log.h"
#include "lib/core/timeutil.h"
#include "lib/media/cache.h"

enum {
    LIVE_STALE_S = 5,          // a file that was not written for so long is no live picture
    LIVE_PAST_PARTS_MAX = 512, // of the file that is found at first
};

struct live_follower {
    char *cache;
    char *camera;
    char *stream;
    char *path;
    struct live_sink sink;
    struct live_file *file; // NULL: none was found yet
    struct live_reader reader;
    struct cache_reader window; // on that file
    bool is_ended;              // nothing more can come from it
    bool is_looking;            // for another file
    bool is_refused;            // the next file could not be opened; that was told
};

struct live_follower *live_follower_new(
    const char *cache, const char *camera, const char *stream, const struct live_sink *sink)
{
    struct live_follower *follower = xcalloc(1, sizeof(*follower));
    follower->cache = xstrdup(cache);
    follower->camera = xstrdup(camera);
    follower->stream = xstrdup(stream);
    follower->path = xasprintf("%s/%s/%s", cache, camera, stream);
    follower->sink = *sink;
    return follower;
}

static void live_follower_leave(struct live_follower *follower)
{
    live_reader_fini(&follower->reader);
    live_file_unref(follower->file);
    follower->file = NULL;
    follower->is_ended = false;
}

void live_follower_free(struct live_follower *follower)
{
    if (follower == NULL)
        return;
    live_follower_leave(follower);
    free(follower->cache);
    free(follower->camera);
    free(follower->stream);
    free(follower->path);
    free(follower);
}

const char *live_follower_path(const struct live_follower *follower)
{
    return follower->path;
}

// --- Fragments ---

// What can be read of the file by now.
static struct mp4_source live_follower_source(struct live_follower *follower, struct stat *info)
{
    if (fstat(follower->file->fd, info) < 0)
        *info = (struct stat){0};
    // What was not there before may be there now.
    cache_reader_init(&follower->window, follower->file->fd);
    struct mp4_source source = cache_reader_source(&follower->window, (uint64_t)info->st_size);
    source.growing = true;
    return source;
}

static void live_follower_complain(
    const struct live_follower *follower, const char *what, const char *cause)
{
    log_warn("%s/%s: live: %s of %" PRId64 "-%06" PRIu32 ": %s", follower->camera, follower->stream,
        what, follower->file->id.run, follower->file->id.number, cause);
}

// The next fragment of the file that is open. Tells what is lost on the way. Returns false when
// there is none yet, or none any more.
static bool live_follower_next(
    struct live_follower *follower, const struct mp4_source *source, struct live_part *part)
{
    for (;;) {
        char *cause = NULL;
        enum live_read result = live_reader_next(&follower->reader, source, part, &cause);
        if (result == LIVE_READ_LOST)
            live_follower_complain(follower, "a fragment", cause);
        else if (result == LIVE_READ_BROKEN)
            live_follower_complain(follower, "the rest", cause);
        free(cause);
        if (result == LIVE_READ_LOST || result == LIVE_READ_BROKEN)
            follower->sink.lost_fn(follower->sink.arg);
        part->file = follower->file;
        follower->is_ended = result == LIVE_READ_END || result == LIVE_READ_BROKEN;
        if (result != LIVE_READ_LOST)
            return result == LIVE_READ_PART;
    }
}

// Hands on a part with its bytes.
static void live_follower_give(
    struct live_follower *follower, const struct mp4_source *source, struct live_part *part)
{
    struct buf bytes = BUF_INIT;
    if (source->read(source->arg, part->offset, buf_extend(&bytes, part->size), part->size) == 0)
        follower->sink.part_fn(follower->sink.arg, part, &bytes);
    else
        follower->sink.lost_fn(follower->sink.arg);
    buf_fini(&bytes);
}

static void live_follower_read_file(struct live_follower *follower)
{
    struct stat info;
    struct live_part part;
    const struct mp4_source source = live_follower_source(follower, &info);
    while (!follower->is_ended && live_follower_next(follower, &source, &part)) {
        part.appeared_us = time_monotonic_us();
        live_follower_give(follower, &source, &part);
    }
}

// --- The first file ---

// Tells what a file holds that was already being written when it was found. Each fragment appeared
// when it had been recorded, so the last one at the last write.
static void live_follower_read_past(struct live_follower *follower)
{
    struct stat info;
    const struct mp4_source source = live_follower_source(follower, &info);
    struct live_part *parts = xcalloc(LIVE_PAST_PARTS_MAX, sizeof(*parts));
    size_t total = 0, key = 0;
    while (!follower->is_ended &&
           live_follower_next(follower, &source, &parts[total % LIVE_PAST_PARTS_MAX])) {
        if (parts[total % LIVE_PAST_PARTS_MAX].key)
            key = total;
        total++;
    }
    int64_t age_us =
        time_now_us() - (info.st_mtim.tv_sec * US_PER_SECOND + info.st_mtim.tv_nsec / 1000);
    bool is_live = total > 0 && age_us < LIVE_STALE_S * US_PER_SECOND;
    if (age_us < 0)
        age_us = 0;
    size_t first = total > LIVE_PAST_PARTS_MAX ? total - LIVE_PAST_PARTS_MAX : 0;
    for (size_t i = first; is_live && i < total; i++) {
        struct live_part *part = &parts[i % LIVE_PAST_PARTS_MAX];
        const struct live_part *last = &parts[(total - 1) % LIVE_PAST_PARTS_MAX];
        part->appeared_us = time_monotonic_us() - age_us - (last->start_us + last->duration_us) +
                            (part->start_us + part->duration_us);
        if (i >= key)
            live_follower_give(follower, &source, part);
        else
            follower->sink.part_fn(follower->sink.arg, part, NULL);
    }
    if (total > 0 && !is_live)
        follower->sink.lost_fn(follower->sink.arg);
    free(parts);
}

// --- Files ---

static bool live_id_is_later(const struct segment_id *id, const struct segment_id *than)
{
    return id->run != than->run ? id->run > than->run : id->number > than->number;
}

// The file that comes next: the newest one at first, then the oldest that is newer than the one
// that is open. Returns false when there is none.
static bool live_follower_choose(struct live_follower *follower, struct segment_id *id)
{
    struct cache_listing listing;
    char *cause = NULL;
    bool found = false;
    if (cache_list(follower->cache, follower->camera, follower->stream, &listing, &cause) < 0) {
        log_warn("live: %s", cause);
        free(cause);
        return false;
    }
    for (size_t i = 0; i < listing.count && !(found && follower->file != NULL); i++) {
        if (follower->file != NULL && !live_id_is_later(&listing.files[i].id, &follower->file->id))
            continue;
        *id = listing.files[i].id;
        found = true;
    }
    cache_listing_fini(&listing);
    return found;
}

// Opens it in place of the one that is open. Returns false when it has gone.
static bool live_follower_open(struct live_follower *follower, const struct segment_id *id)
{
    char *path = cache_segment_path(follower->cache, id);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    int error = fd < 0 ? errno : ENOENT;
    if (error != ENOENT && !follower->is_refused)
        log_warn("live: %s: %s", path, strerror(error));
    follower->is_refused = error != ENOENT;
    free(path);
    if (fd < 0)
        return false;
    live_follower_leave(follower);
    follower->file = live_file_new(id, fd);
    return true;
}

void live_follower_read(struct live_follower *follower, bool look)
{
    struct segment_id id;
    follower->is_looking |= look || follower->file == NULL;
    if (follower->file == NULL && live_follower_choose(follower, &id) &&
        live_follower_open(follower, &id))
        live_follower_read_past(follower);
    if (follower->file == NULL)
        return;
    live_follower_read_file(follower);
    while (follower->is_looking && live_follower_choose(follower, &id)) {
        // That the next one is there says that this one is complete: what came since the last look
        // is read before it is left.
        live_follower_read_file(follower);
        if (!live_follower_open(follower, &id))
            return; // another is there the next time
        live_follower_read_file(follower);
    }
    follower->is_looking = false;
}
