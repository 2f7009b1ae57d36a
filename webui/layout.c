// Finished layouts. See layout.h.
#include "webui/layout.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/timeutil.h"
#include "webui/io.h"

enum {
    LAYOUTS_COUNT = 32,
    LAYOUTS_BYTES_MAX = 32 * 1024 * 1024,
    LAYOUT_FRESH_MS = 1000,
};

struct layout_box {
    struct layout layout; // first, so that one pointer is both
    atomic_uint references;
};

struct layout *layout_new(const struct layout_key *key, struct footage *footage, struct vfile *file)
{
    struct layout_box *box = xcalloc(1, sizeof(*box));
    atomic_init(&box->references, 1);
    box->layout.key = *key;
    box->layout.footage = *footage;
    *footage = (struct footage){0};
    box->layout.file = file;
    box->layout.checked_us = time_monotonic_us();
    return &box->layout;
}

void layout_retain(struct layout *layout)
{
    atomic_fetch_add(&((struct layout_box *)layout)->references, 1);
}

void layout_release(struct layout *layout)
{
    struct layout_box *box = (struct layout_box *)layout;
    if (box == NULL || atomic_fetch_sub(&box->references, 1) != 1)
        return;
    vfile_free(layout->file);
    footage_fini(&layout->footage);
    free(box);
}

// --- Bytes ---

struct layout_stream {
    struct reply_stream stream;
    struct layout *layout;
    struct vfile_reader *reader;
    struct hold *hold;
    struct disks *disks;
};

static const struct sample_table *layout_table(void *arg, size_t segment, char **cause)
{
    struct layout_access *access = arg;
    return footage_table(
        access->worker, access->footage, &access->footage->segments[segment], cause);
}

static int layout_open(void *arg, size_t segment, char **cause)
{
    struct layout_access *access = arg;
    return footage_open(
        access->worker, access->footage, &access->footage->segments[segment], cause);
}

struct vfile_source layout_source(struct layout_access *access)
{
    return (struct vfile_source){.table = layout_table, .open = layout_open, .arg = access};
}

// Says which segment it is that can not be read.
static void layout_name_cause(const struct layout *layout, uint64_t offset, char **cause)
{
    size_t index;
    char id[SEGMENT_TEXT_SIZE];
    if (!vfile_media_segment(layout->file, offset, &index))
        return;
    footage_id(&layout->footage, &layout->footage.segments[index], id);
    char *named = xasprintf("%s: %s", id, *cause);
    free(*cause);
    *cause = named;
}

static ssize_t layout_stream_try(
    struct reply_stream *stream, uint64_t offset, void *data, size_t size, char **cause)
{
    struct layout_stream *from = (struct layout_stream *)stream;
    ssize_t got = vfile_reader_try(from->reader, offset, data, size, cause);
    if (got < 0)
        layout_name_cause(from->layout, offset, cause);
    return got;
}

static enum reply_load layout_stream_load(
    struct reply_stream *stream, struct worker *worker, uint64_t offset, char **cause)
{
    struct layout_stream *from = (struct layout_stream *)stream;
    struct layout_access access = {worker, &from->layout->footage};
    struct vfile_source source = layout_source(&access);
    worker->busy = false;
    if (vfile_reader_load(from->reader, &source, offset, cause) == 0)
        return REPLY_LOADED;
    layout_name_cause(from->layout, offset, cause);
    return worker->busy ? REPLY_LOAD_LATER : REPLY_LOAD_FAILED;
}

// Media is waited for in the lane of its disk, tables in that of requests.
static uint64_t layout_stream_lane(struct reply_stream *stream, uint64_t offset)
{
    const struct layout_stream *from = (const struct layout_stream *)stream;
    size_t index;
    if (!vfile_media_segment(from->layout->file, offset, &index))
        return IO_LANE_REQUESTS;
    return disks_lane(from->disks, from->layout->footage.segments[index].volume_id);
}

static void layout_stream_free(struct reply_stream *stream)
{
    struct layout_stream *from = (struct layout_stream *)stream;
    hold_end(from->hold);
    vfile_reader_free(from->reader);
    layout_release(from->layout);
    free(from);
}

// The segments that the file is made of, those with the lead-in too.
static struct hold *layout_hold(const struct layout *layout, struct holds *holds)
{
    const struct vfile_info *info = vfile_info(layout->file);
    const struct footage *footage = &layout->footage;
    int64_t start_us = INT64_MAX, end_us = INT64_MIN;
    for (size_t i = info->first; i <= info->last; i++) { // ascending only where nothing overlaps
        const struct footage_segment *segment = &footage->segments[i];
        start_us = segment->start_us < start_us ? segment->start_us : start_us;
        end_us = segment->end_us > end_us ? segment->end_us : end_us;
    }
    return holds_begin(holds, footage->camera, footage->stream, start_us, end_us);
}

struct reply_stream *layout_stream(struct layout *layout, struct holds *holds, struct disks *disks)
{
    struct layout_stream *stream = xcalloc(1, sizeof(*stream));
    stream->stream = (struct reply_stream){
        .size = vfile_info(layout->file)->size,
        .try = layout_stream_try,
        .load = layout_stream_load,
        .lane = layout_stream_lane,
        .free = layout_stream_free,
    };
    layout_retain(layout);
    stream->layout = layout;
    stream->reader = vfile_reader_new(layout->file);
    stream->hold = layout_hold(layout, holds);
    stream->disks = disks;
    return &stream->stream;
}

// --- The kept ones ---

struct layouts {
    pthread_mutex_t mutex;                 // of what follows
    struct layout *entries[LAYOUTS_COUNT]; // the last used one first
};

struct layouts *layouts_new(void)
{
    struct layouts *layouts = xcalloc(1, sizeof(*layouts));
    pthread_mutex_init(&layouts->mutex, NULL);
    return layouts;
}

void layouts_free(struct layouts *layouts)
{
    if (layouts == NULL)
        return;
    for (size_t i = 0; i < LAYOUTS_COUNT; i++)
        layout_release(layouts->entries[i]);
    pthread_mutex_destroy(&layouts->mutex);
    free(layouts);
}

static bool layout_key_equal(const struct layout_key *a, const struct layout_key *b)
{
    return a->start_us == b->start_us && a->end_us == b->end_us && a->audio == b->audio &&
           a->start_at_key == b->start_at_key && a->codec == b->codec &&
           a->gaps_fail == b->gaps_fail && a->speed == b->speed &&
           strcmp(a->camera, b->camera) == 0 && strcmp(a->stream, b->stream) == 0;
}

// Moves an entry to the front.
static struct layout *layouts_use(struct layouts *layouts, size_t index)
{
    struct layout *layout = layouts->entries[index];
    memmove(&layouts->entries[1], &layouts->entries[0], index * sizeof(layouts->entries[0]));
    layouts->entries[0] = layout;
    return layout;
}

static struct layout *layouts_search(
    struct layouts *layouts, const struct layout_key *key, const char *if_range)
{
    int64_t fresh_us = time_monotonic_us() - LAYOUT_FRESH_MS * 1000;
    size_t found = LAYOUTS_COUNT;
    for (size_t i = 0; i < LAYOUTS_COUNT && layouts->entries[i] != NULL; i++) {
        const struct layout *layout = layouts->entries[i];
        if (!layout_key_equal(&layout->key, key))
            continue;
        bool named = if_range != NULL && strcmp(if_range, layout->etag) == 0;
        // The one that the client has goes before a newer one.
        if (named || (found == LAYOUTS_COUNT && layout->checked_us >= fresh_us))
            found = i;
        if (named)
            break;
    }
    if (found == LAYOUTS_COUNT)
        return NULL;
    layout_retain(layouts->entries[found]);
    return layouts_use(layouts, found);
}

struct layout *layouts_find(
    struct layouts *layouts, const struct layout_key *key, const char *if_range)
{
    pthread_mutex_lock(&layouts->mutex);
    struct layout *layout = layouts_search(layouts, key, if_range);
    pthread_mutex_unlock(&layouts->mutex);
    return layout;
}

static void layouts_drop(struct layouts *layouts, size_t index)
{
    layout_release(layouts->entries[index]);
    memmove(&layouts->entries[index], &layouts->entries[index + 1],
        (LAYOUTS_COUNT - 1 - index) * sizeof(layouts->entries[0]));
    layouts->entries[LAYOUTS_COUNT - 1] = NULL;
}

// Of equal layouts the later one knows what the earlier one has seen of the files.
static void layout_inherit(struct layout *layout, const struct layout *former)
{
    for (size_t i = 0; i < layout->footage.count && i < former->footage.count; i++) {
        struct footage_segment *segment = &layout->footage.segments[i];
        const struct footage_segment *same = &former->footage.segments[i];
        if (segment->run == same->run && segment->number == same->number)
            segment->stamp = same->stamp;
    }
}

void layouts_keep(struct layouts *layouts, struct layout *layout)
{
    pthread_mutex_lock(&layouts->mutex);
    for (size_t i = 0; i < LAYOUTS_COUNT && layouts->entries[i] != NULL; i++)
        if (layout_key_equal(&layouts->entries[i]->key, &layout->key) &&
            strcmp(layouts->entries[i]->etag, layout->etag) == 0) {
            layout_inherit(layout, layouts->entries[i]);
            layouts_drop(layouts, i--);
        }
    if (layouts->entries[LAYOUTS_COUNT - 1] != NULL)
        layouts_drop(layouts, LAYOUTS_COUNT - 1);
    memmove(&layouts->entries[1], &layouts->entries[0],
        (LAYOUTS_COUNT - 1) * sizeof(layouts->entries[0]));
    layouts->entries[0] = layout;
    layout_retain(layout);
    size_t bytes = 0;
    for (size_t i = 0; i < LAYOUTS_COUNT && layouts->entries[i] != NULL; i++) {
        bytes +=
            vfile_memory(layouts->entries[i]->file) + footage_memory(&layouts->entries[i]->footage);
        if (bytes > LAYOUTS_BYTES_MAX && i > 0)
            layouts_drop(layouts, i--);
    }
    pthread_mutex_unlock(&layouts->mutex);
}
