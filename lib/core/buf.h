// A growable byte buffer, for building replies and boxes. Big-endian writers, as ISO BMFF wants.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct buf {
    uint8_t *data;
    size_t size;
    size_t capacity;
};

#define BUF_INIT ((struct buf){0})

void buf_fini(struct buf *buf);

// Makes sure that `size` more bytes fit without moving the data.
void buf_reserve(struct buf *buf, size_t size);

// Makes room for `size` more bytes and returns where they start; the caller fills them and the
// buffer already counts them.
static inline uint8_t *buf_extend(struct buf *buf, size_t size)
{
    if (buf->capacity - buf->size < size)
        buf_reserve(buf, size);
    uint8_t *place = buf->data + buf->size;
    buf->size += size;
    return place;
}

void buf_put(struct buf *buf, const void *data, size_t size);
void buf_put_zeros(struct buf *buf, size_t size);

static inline void buf_put_u8(struct buf *buf, uint8_t value)
{
    *buf_extend(buf, 1) = value;
}

static inline void buf_put_u16(struct buf *buf, uint16_t value)
{
    value = __builtin_bswap16(value);
    memcpy(buf_extend(buf, 2), &value, sizeof(value));
}

static inline void buf_put_u32(struct buf *buf, uint32_t value)
{
    value = __builtin_bswap32(value);
    memcpy(buf_extend(buf, 4), &value, sizeof(value));
}

static inline void buf_put_u64(struct buf *buf, uint64_t value)
{
    value = __builtin_bswap64(value);
    memcpy(buf_extend(buf, 8), &value, sizeof(value));
}

void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

// Overwrites four bytes at `offset`, which must lie inside the buffer.
void buf_set_u32(struct buf *buf, size_t offset, uint32_t value);

// Removes the first `size` bytes.
void buf_consume(struct buf *buf, size_t size);

// The bytes as a string: a NUL is put behind them, not counted in `size`.
char *buf_string(struct buf *buf);

// Hands the bytes to the caller, who frees them; the buffer is empty afterwards.
uint8_t *buf_take(struct buf *buf, size_t *size);
