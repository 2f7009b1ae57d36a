// What a handler answers: status, headers and a body, which is bytes or a stream. Knows nothing of
// the HTTP library.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <jansson.h>

#include "lib/core/buf.h"

struct worker;

enum reply_load {
    REPLY_LOADED,
    REPLY_LOAD_LATER, // not now: to be tried again
    REPLY_LOAD_FAILED,
};

// A body that is made while it is sent. try() runs in the HTTP thread and never blocks; load() runs
// in the I/O thread; never both at once.
struct reply_stream {
    uint64_t size;
    // The number of bytes copied, 0 when they must be loaded first, -1 with *cause set on failure.
    ssize_t (*try)(
        struct reply_stream *stream, uint64_t offset, void *data, size_t size, char **cause);
    // Sets *cause unless it is loaded.
    enum reply_load (*load)(
        struct reply_stream *stream, struct worker *worker, uint64_t offset, char **cause);
    void (*free)(struct reply_stream *stream);
};

enum {
    REPLY_HEADERS_MAX = 8,
    REPLY_ETAG_SIZE = 48,
};

struct reply {
    unsigned status;
    const char *content_type;
    struct {
        const char *name;
        char *value;
    } headers[REPLY_HEADERS_MAX];
    size_t header_count;
    struct buf body;
    const void *fixed; // a body that lives as long as the program
    size_t fixed_size;
    struct reply_stream *stream;
    // A representation that can be asked for conditionally and in part has an entity tag.
    char etag[REPLY_ETAG_SIZE];
    int64_t modified_s; // 0: not known
};

void reply_fini(struct reply *reply);

// Adds a header. The value comes from our own texts and numbers; control characters in it end the
// process, so no answer can be split.
void reply_header(struct reply *reply, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// Answers with JSON; takes the reference.
void reply_json(struct reply *reply, unsigned status, json_t *json);

// Answers with {"error":{"code","message","field"}}, dropping what the reply held before. `field`
// may be NULL.
void reply_error(struct reply *reply, unsigned status, const char *code, const char *field,
    const char *format, ...) __attribute__((format(printf, 5, 6)));

// The answer while the catalog can not be read because its writer is only starting: 503, try again.
#define REPLY_BUSY "the catalog is not there yet, or its writer is only starting: try again"
void reply_busy(struct reply *reply);

// A JSON string, also of bytes that are no UTF-8: those become '?'.
json_t *reply_text(const char *format, ...) __attribute__((format(printf, 1, 2)));

// RFC 3339 in UTC with six decimals; null for 0.
json_t *reply_time(int64_t time_us);
