// Bounded reading of ISO BMFF: integers and boxes out of bytes in memory, and bytes out of a file
// that is asked for "bytes at offset". Nothing read here can lie outside of what was given.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lib/core/buf.h"
#include "lib/media/mp4_read.h"

#define MP4_TYPE(a, b, c, d)                                                                       \
    ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))

// A cursor over bytes. A read past the end gives 0 and sets `failed`, which stays set.
struct mp4_reader {
    const uint8_t *at;
    size_t left;
    bool failed;
};

static inline struct mp4_reader mp4_reader_init(const void *data, size_t size)
{
    return (struct mp4_reader){.at = data, .left = size};
}

// The next `size` bytes, or NULL when there are fewer.
static inline const uint8_t *mp4_reader_take(struct mp4_reader *reader, uint64_t size)
{
    if (reader->left < size) {
        reader->left = 0;
        reader->failed = true;
        return NULL;
    }
    const uint8_t *at = reader->at;
    reader->at += size;
    reader->left -= (size_t)size;
    return at;
}

static inline uint64_t mp4_reader_uint(struct mp4_reader *reader, unsigned bytes)
{
    const uint8_t *at = mp4_reader_take(reader, bytes);
    uint64_t value = 0;
    for (unsigned i = 0; at != NULL && i < bytes; i++)
        value = value << 8 | at[i];
    return value;
}

static inline uint8_t mp4_reader_u8(struct mp4_reader *reader)
{
    return (uint8_t)mp4_reader_uint(reader, 1);
}

static inline uint16_t mp4_reader_u16(struct mp4_reader *reader)
{
    return (uint16_t)mp4_reader_uint(reader, 2);
}

static inline uint32_t mp4_reader_u32(struct mp4_reader *reader)
{
    const uint8_t *at = mp4_reader_take(reader, 4);
    uint32_t value = 0;
    if (at != NULL)
        memcpy(&value, at, sizeof(value));
    return __builtin_bswap32(value);
}

static inline uint64_t mp4_reader_u64(struct mp4_reader *reader)
{
    return mp4_reader_uint(reader, 8);
}

// One box inside bytes in memory. `body` is what follows its header.
struct mp4_box {
    uint32_t type;
    const uint8_t *start; // of its header
    size_t size;          // header included
    struct mp4_reader body;
};

// Steps to the next box of `parent`. Returns false at the end, and with parent->failed set where
// the bytes are not a box that lies inside of its parent.
bool mp4_box_next(struct mp4_reader *parent, struct mp4_box *box);

// Finds the first box of that type among the boxes in `parent`, which is left untouched.
bool mp4_box_find(const struct mp4_reader *parent, uint32_t type, struct mp4_box *box);

// Finds a box by its path below `parent`.
bool mp4_box_find_path(
    const struct mp4_reader *parent, const uint32_t *path, size_t depth, struct mp4_box *box);

// What stands behind the two times of a full box, whose size its version tells: tkhd's track_ID
// (8.3.2), the time scale of mdhd (8.4.2) and mvhd (8.2.2).
uint32_t mp4_number_behind_times(struct mp4_reader body);

// Reads a full box's version and flags (4.2.2).
static inline uint8_t mp4_reader_full(struct mp4_reader *reader, uint32_t *flags)
{
    uint32_t word = mp4_reader_u32(reader);
    *flags = word & 0xffffff;
    return (uint8_t)(word >> 24);
}

// A file that is read in pieces, a little ahead: the last two of them are there, for a fragment is
// read when the head of the next one was seen.
struct mp4_window {
    struct buf bytes;
    uint64_t offset;
};

struct mp4_file {
    const struct mp4_source *source;
    struct mp4_window windows[2];
    unsigned last; // the window that was used last
};

void mp4_file_init(struct mp4_file *file, const struct mp4_source *source);
void mp4_file_fini(struct mp4_file *file);

// The bytes at that place, valid until the next call; NULL when the file has them not, or when they
// are more than a box that is read as a whole may have.
const uint8_t *mp4_file_get(struct mp4_file *file, uint64_t offset, uint64_t size);

// The header of a box of the file.
struct mp4_file_box {
    uint32_t type;
    uint32_t header_size; // 8, or 16 with a 64-bit size
    uint64_t offset;
    uint64_t size; // header included; may reach beyond the file's end
    bool open;     // it has no size of its own and goes up to the file's end
};

// Returns false where there is no whole, sensible header.
bool mp4_file_box(struct mp4_file *file, uint64_t offset, struct mp4_file_box *box);
