// Fragments as a body. See live_bytes.h.
#include "webui/live_bytes.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/core/alloc.h"
#include "lib/core/timeutil.h"

struct live_bytes {
    struct reply_stream stream;
    bool sound;
    struct live_part *parts;
    size_t count;
    struct buf loaded;
    size_t loaded_index; // of the part that is loaded; `count`: none
};

// The part that has the byte at *offset, which becomes an offset in it.
static size_t live_bytes_find(const struct live_bytes *bytes, uint64_t *offset)
{
    size_t index = 0;
    while (index + 1 < bytes->count && *offset >= bytes->parts[index].size)
        *offset -= bytes->parts[index++].size;
    return index;
}

static ssize_t live_bytes_try(
    struct reply_stream *stream, uint64_t offset, void *data, size_t size, char **cause)
{
    struct live_bytes *bytes = (struct live_bytes *)stream;
    (void)cause;
    size_t index = live_bytes_find(bytes, &offset);
    if (index != bytes->loaded_index)
        return REPLY_TRY_LOAD;
    size_t rest = bytes->loaded.size - (size_t)offset;
    size_t got = rest < size ? rest : size;
    memcpy(data, bytes->loaded.data + offset, got);
    return (ssize_t)got;
}

// Reads a part's bytes as they are. Returns false with *cause set on failure.
static bool live_bytes_read(const struct live_part *part, struct buf *out, char **cause)
{
    uint8_t *data = buf_extend(out, part->size);
    for (size_t done = 0; done < part->size;) {
        ssize_t got =
            pread(part->file->fd, data + done, part->size - done, (off_t)(part->offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            *cause = xasprintf("%" PRId64 "-%06" PRIu32 " can not be read: %s", part->file->id.run,
                part->file->id.number, got < 0 ? strerror(errno) : "it is shorter than it was");
            return false;
        }
        done += (size_t)got;
    }
    return true;
}

// Makes what is sent of a fragment.
static bool live_bytes_put(
    struct live_bytes *bytes, const struct live_fragment *fragment, char **cause)
{
    const struct live_part *part = &fragment->part;
    for (size_t i = 0; i < fragment->time_count; i++) {
        if (!fragment->times[i].wide) {
            *cause = xstrdup("a fragment's decode time has no room for the time of the day");
            return false;
        }
    }
    int64_t shift_us = part->file->id.run / 1000 * US_PER_SECOND;
    live_fragment_put_moof(fragment, bytes->sound, 0, shift_us, &bytes->loaded);
    buf_put(&bytes->loaded, fragment->bytes.data + part->moof_size, part->size - part->moof_size);
    return true;
}

static enum reply_load live_bytes_load(
    struct reply_stream *stream, struct worker *worker, uint64_t offset, char **cause)
{
    struct live_bytes *bytes = (struct live_bytes *)stream;
    struct buf data = BUF_INIT;
    struct live_fragment *fragment = NULL;
    (void)worker;
    size_t index = live_bytes_find(bytes, &offset);
    const struct live_part *part = &bytes->parts[index];
    bytes->loaded.size = 0;
    bytes->loaded_index = bytes->count;
    if (live_bytes_read(part, &data, cause)) {
        live_part_ref(part);
        fragment = live_fragment_new(part, &data, cause);
        if (fragment == NULL)
            live_part_unref(part);
    }
    bool is_loaded = fragment != NULL && live_bytes_put(bytes, fragment, cause);
    if (is_loaded)
        bytes->loaded_index = index;
    live_fragment_unref(fragment);
    buf_fini(&data);
    return is_loaded ? REPLY_LOADED : REPLY_LOAD_FAILED;
}

static void live_bytes_free(struct reply_stream *stream)
{
    struct live_bytes *bytes = (struct live_bytes *)stream;
    for (size_t i = 0; i < bytes->count; i++)
        live_part_unref(&bytes->parts[i]);
    free(bytes->parts);
    buf_fini(&bytes->loaded);
    free(bytes);
}

struct reply_stream *live_bytes_new(struct live_part *parts, size_t count, bool sound)
{
    struct live_bytes *bytes = xcalloc(1, sizeof(*bytes));
    bytes->stream.try = live_bytes_try;
    bytes->stream.load = live_bytes_load;
    bytes->stream.free = live_bytes_free;
    bytes->sound = sound;
    bytes->parts = parts;
    bytes->count = bytes->loaded_index = count;
    for (size_t i = 0; i < count; i++)
        bytes->stream.size += parts[i].size;
    return &bytes->stream;
}
