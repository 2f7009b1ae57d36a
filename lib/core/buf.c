// A growable byte buffer. See buf.h.
#include "lib/core/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"

void buf_fini(struct buf *buf)
{
    free(buf->data);
    *buf = BUF_INIT;
}

void buf_reserve(struct buf *buf, size_t size)
{
    if (buf->capacity - buf->size >= size)
        return;
    size_t capacity = buf->capacity ? buf->capacity : 256;
    while (capacity - buf->size < size)
        capacity *= 2;
    buf->data = xreallocarray(buf->data, capacity, 1);
    buf->capacity = capacity;
}

void buf_put(struct buf *buf, const void *data, size_t size)
{
    if (size > 0)
        memcpy(buf_extend(buf, size), data, size);
}

void buf_put_zeros(struct buf *buf, size_t size)
{
    if (size > 0)
        memset(buf_extend(buf, size), 0, size);
}

void buf_printf(struct buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *string = xvasprintf(format, args);
    va_end(args);
    buf_put(buf, string, strlen(string));
    free(string);
}

void buf_set_u32(struct buf *buf, size_t offset, uint32_t value)
{
    assert(offset <= buf->size && buf->size - offset >= 4);
    value = __builtin_bswap32(value);
    memcpy(buf->data + offset, &value, sizeof(value));
}

void buf_consume(struct buf *buf, size_t size)
{
    assert(size <= buf->size);
    buf->size -= size;
    if (buf->size > 0)
        memmove(buf->data, buf->data + size, buf->size);
}

char *buf_string(struct buf *buf)
{
    buf_reserve(buf, 1);
    buf->data[buf->size] = 0;
    return (char *)buf->data;
}

uint8_t *buf_take(struct buf *buf, size_t *size)
{
    uint8_t *data = buf->data ? buf->data : xmalloc(0);
    *size = buf->size;
    *buf = BUF_INIT;
    return data;
}
