// Bounded reading of ISO BMFF. See mp4_reader.h.
#include "lib/media/mp4_reader.h"

#include <string.h>

#include "lib/core/alloc.h"

enum {
    MP4_READ_AHEAD = 2048,            // a fragment's head and the header of the mdat behind it
    MP4_WHOLE_MAX = 64 * 1024 * 1024, // of a box that is read as a whole (moov, moof)
};

bool mp4_box_next(struct mp4_reader *parent, struct mp4_box *box)
{
    if (parent->left == 0)
        return false;
    size_t left = parent->left;
    box->start = parent->at;
    uint64_t size = mp4_reader_u32(parent);
    box->type = mp4_reader_u32(parent);
    if (size == 1)
        size = mp4_reader_u64(parent);
    else if (size == 0)
        size = left; // up to the end of what it lies in (4.2.2)
    size_t header = left - parent->left;
    if (parent->failed || size < header || size > left) {
        parent->failed = true;
        parent->left = 0;
        return false;
    }
    box->size = (size_t)size;
    box->body = mp4_reader_init(parent->at, box->size - header);
    mp4_reader_take(parent, box->body.left);
    return true;
}

bool mp4_box_find(const struct mp4_reader *parent, uint32_t type, struct mp4_box *box)
{
    struct mp4_reader walk = *parent;
    while (mp4_box_next(&walk, box)) {
        if (box->type == type)
            return true;
    }
    return false;
}

bool mp4_box_find_path(
    const struct mp4_reader *parent, const uint32_t *path, size_t depth, struct mp4_box *box)
{
    struct mp4_reader level = *parent;
    for (size_t i = 0; i < depth; i++) {
        if (!mp4_box_find(&level, path[i], box))
            return false;
        level = box->body;
    }
    return true;
}

uint32_t mp4_number_behind_times(struct mp4_reader body)
{
    uint32_t flags;
    uint8_t version = mp4_reader_full(&body, &flags);
    mp4_reader_take(&body, version == 1 ? 16 : 8);
    return mp4_reader_u32(&body);
}

void mp4_file_init(struct mp4_file *file, const struct mp4_source *source)
{
    *file = (struct mp4_file){.source = source};
}

void mp4_file_fini(struct mp4_file *file)
{
    for (size_t i = 0; i < ARRAY_LENGTH(file->windows); i++)
        buf_fini(&file->windows[i].bytes);
}

// The bytes in the window, or NULL.
static const uint8_t *mp4_window_get(
    const struct mp4_window *window, uint64_t offset, uint64_t size)
{
    if (offset < window->offset || size > window->bytes.size ||
        offset - window->offset > window->bytes.size - size)
        return NULL;
    return window->bytes.data + (offset - window->offset);
}

const uint8_t *mp4_file_get(struct mp4_file *file, uint64_t offset, uint64_t size)
{
    uint64_t file_size = file->source->size;
    if (offset > file_size || size > file_size - offset || size > MP4_WHOLE_MAX)
        return NULL;
    const uint8_t *data = mp4_window_get(&file->windows[file->last], offset, size);
    if (data != NULL)
        return data;
    file->last = 1 - file->last;
    struct mp4_window *window = &file->windows[file->last];
    data = mp4_window_get(window, offset, size);
    if (data != NULL)
        return data;

    size_t want = size < MP4_READ_AHEAD ? MP4_READ_AHEAD : (size_t)size;
    if (want > file_size - offset)
        want = (size_t)(file_size - offset);
    window->bytes.size = 0;
    window->offset = offset;
    buf_reserve(&window->bytes, want + 1);
    if (file->source->read(file->source->arg, offset, window->bytes.data, want) != 0)
        return NULL;
    window->bytes.size = want;
    return window->bytes.data;
}

bool mp4_file_box(struct mp4_file *file, uint64_t offset, struct mp4_file_box *box)
{
    const uint8_t *data = mp4_file_get(file, offset, 8);
    if (data == NULL)
        return false;
    struct mp4_reader reader = mp4_reader_init(data, 8);
    *box = (struct mp4_file_box){.offset = offset, .header_size = 8};
    box->size = mp4_reader_u32(&reader);
    box->type = mp4_reader_u32(&reader);
    if (box->size == 1) {
        data = mp4_file_get(file, offset, 16);
        if (data == NULL)
            return false;
        reader = mp4_reader_init(data + 8, 8);
        box->header_size = 16;
        box->size = mp4_reader_u64(&reader);
    } else if (box->size == 0) {
        box->open = true;
        box->size = file->source->size - offset;
    }
    return box->size >= box->header_size && box->size <= INT64_MAX;
}
