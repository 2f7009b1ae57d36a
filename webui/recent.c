// Segments that are not committed yet. See recent.h.
#include "webui/recent.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/core/alloc.h"
#include "lib/media/mp4_read.h"
#include "lib/media/segtime.h"

enum {
    RECENTS_COUNT = 256,
};

struct recent_box {
    struct recent recent; // first, so that one pointer is both
    atomic_uint references;
};

struct recents {
    pthread_mutex_t mutex; // of what follows
    struct recent_box *entries[RECENTS_COUNT];
    size_t next; // the one that goes next
};

void recent_retain(const struct recent *recent)
{
    atomic_fetch_add(&((struct recent_box *)recent)->references, 1);
}

void recent_release(const struct recent *recent)
{
    struct recent_box *box = (struct recent_box *)recent;
    if (box == NULL || atomic_fetch_sub(&box->references, 1) != 1)
        return;
    for (int i = 0; i < MEDIA_TRACKS_MAX; i++)
        free(box->recent.tracks[i].entry);
    buf_fini(&box->recent.packed);
    free(box);
}

struct recents *recents_new(void)
{
    struct recents *recents = xcalloc(1, sizeof(*recents));
    pthread_mutex_init(&recents->mutex, NULL);
    return recents;
}

void recents_free(struct recents *recents)
{
    if (recents == NULL)
        return;
    for (size_t i = 0; i < RECENTS_COUNT; i++)
        recent_release(recents->entries[i] ? &recents->entries[i]->recent : NULL);
    pthread_mutex_destroy(&recents->mutex);
    free(recents);
}

static bool recent_same_id(const struct segment_id *a, const struct segment_id *b)
{
    return a->run == b->run && a->number == b->number && strcmp(a->stream, b->stream) == 0 &&
           strcmp(a->camera, b->camera) == 0;
}

static struct recent_box **recents_find(struct recents *recents, const struct segment_id *id)
{
    for (size_t i = 0; i < RECENTS_COUNT; i++)
        if (recents->entries[i] != NULL && recent_same_id(&recents->entries[i]->recent.id, id))
            return &recents->entries[i];
    return NULL;
}

static void recent_take_track(struct recent_track *to, struct media_track *from)
{
    track_summarize(from, &to->summary);
    to->entry = from->entry;
    to->entry_size = from->entry_size;
    from->entry = NULL;
    from->entry_size = 0;
}

// Gives a file the times that it has, or will have, when it is sealed: what its tags say, or what
// the first file of a run shows when it is long enough for that.
static void recent_mend(const struct recent *recent, const struct mp4_source *source,
    const struct mp4_layout *layout, struct media_segment *segment)
{
    struct mp4_tags tags = {0};
    char *ignored = NULL;
    if (layout->tail_offset != 0 && mp4_read_tags(source, layout, &tags, &ignored) < 0)
        tags = (struct mp4_tags){0};
    if (layout->tail_offset == 0 && recent->is_first && mend_ready(segment, 1))
        mend_find(segment, 1, &tags.mend);
    mend_apply(&tags.mend, segment);
    free(ignored);
}

// Parses an open file. Returns 0, or -1 with *cause set.
static int recent_parse(struct recent *recent, int fd, char **cause)
{
    struct cache_reader *reader = xmalloc(sizeof(*reader));
    cache_reader_init(reader, fd);
    struct mp4_source source = cache_reader_source(reader, recent->size);
    struct media_segment segment;
    struct mp4_layout layout;
    int result = mp4_read(&source, &segment, &layout, cause);
    if (result < 0) {
        free(reader);
        return -1;
    }
    recent_mend(recent, &source, &layout, &segment);
    recent->media_offset = layout.media_offset;
    recent->media_end = layout.media_end;
    free(reader);
    sample_table_encode(&segment, &recent->packed);
    if (!media_segment_span(&segment, &recent->media_start_us, &recent->media_duration_us)) {
        *cause = xasprintf("it holds no sample");
        result = -1;
    }
    recent->media_jump_us = segtime_jump_us(&segment);
    for (size_t i = 0; i < segment.track_count; i++)
        recent_take_track(
            &recent->tracks[segment.tracks[i].kind == MEDIA_AUDIO], &segment.tracks[i]);
    media_segment_fini(&segment);
    return result;
}

int recent_read_table(int fd, struct buf *packed, char **cause)
{
    struct stat info;
    if (fstat(fd, &info) < 0) {
        *cause = xasprintf("%s", strerror(errno));
        return -1;
    }
    struct recent recent = {.size = (uint64_t)info.st_size};
    int result = recent_parse(&recent, fd, cause);
    if (result == 0) {
        *packed = recent.packed;
        recent.packed = BUF_INIT;
    }
    for (int i = 0; i < MEDIA_TRACKS_MAX; i++)
        free(recent.tracks[i].entry);
    buf_fini(&recent.packed);
    return result;
}

static enum recent_status recents_load(
    const char *cache, const struct cache_file *file, struct recent_box **loaded, char **cause)
{
    char *path = cache_segment_path(cache, &file->id);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    int error = errno;
    free(path);
    if (fd < 0) {
        if (error == ENOENT)
            return RECENT_GONE;
        *cause = xasprintf("%s", strerror(error));
        return RECENT_BROKEN;
    }
    struct recent_box *box = xcalloc(1, sizeof(*box));
    atomic_init(&box->references, 1);
    box->recent.id = file->id;
    box->recent.is_first = file->id.number == 0;
    box->recent.size = file->size;
    box->recent.written_us = file->written_us;
    int result = recent_parse(&box->recent, fd, cause);
    close(fd);
    if (result < 0) {
        recent_release(&box->recent);
        return RECENT_BROKEN;
    }
    *loaded = box;
    return RECENT_OK;
}

// Takes a reference to what is kept of a file that has not changed since; NULL when nothing is.
static const struct recent *recents_find_same(
    struct recents *recents, const struct cache_file *file)
{
    const struct recent *recent = NULL;
    pthread_mutex_lock(&recents->mutex);
    struct recent_box **place = recents_find(recents, &file->id);
    if (place != NULL && (*place)->recent.size == file->size &&
        (*place)->recent.written_us == file->written_us) {
        recent = &(*place)->recent;
        recent_retain(recent);
    }
    pthread_mutex_unlock(&recents->mutex);
    return recent;
}

// Keeps what was read, in the place of what was known of that file.
static void recents_keep(struct recents *recents, struct recent_box *box)
{
    recent_retain(&box->recent);
    pthread_mutex_lock(&recents->mutex);
    struct recent_box **place = recents_find(recents, &box->recent.id);
    if (place == NULL)
        place = &recents->entries[recents->next++ % RECENTS_COUNT];
    struct recent_box *former = *place;
    *place = box;
    pthread_mutex_unlock(&recents->mutex);
    recent_release(former ? &former->recent : NULL);
}

enum recent_status recents_get(struct recents *recents, const char *cache,
    const struct cache_file *file, const struct recent **recent, char **cause)
{
    struct recent_box *box;
    *recent = recents_find_same(recents, file);
    if (*recent != NULL)
        return RECENT_OK;
    // Read without the mutex: two threads may read the same file, neither waits for the other.
    enum recent_status status = recents_load(cache, file, &box, cause);
    if (status != RECENT_OK)
        return status;
    recents_keep(recents, box);
    *recent = &box->recent;
    return RECENT_OK;
}
