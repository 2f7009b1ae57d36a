// What a handler answers: status, headers and a body, which is bytes or a stream. Knows nothing of
// the HTTP library.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <jansson.h>

#include "lib/core/buf.h"

struct reply;
struct worker;

enum reply_load {
    REPLY_LOADED,
    REPLY_LOAD_LATER, // not now: to be tried again
    REPLY_LOAD_FAILED,
};

// Of a stream: its size is not known before its end. Such an answer can not be asked for in part.
#define REPLY_SIZE_UNKNOWN UINT64_MAX

// What try() returns beside the number of bytes that it has copied.
enum {
    REPLY_TRY_LOAD = 0, // what comes next must be loaded first
    REPLY_TRY_FAILED = -1,
    REPLY_TRY_WAIT = -2, // there is nothing yet: when woken, or at wait_until_us, it is tried again
    REPLY_TRY_END = -3,  // of a stream whose size is not known
};

// Wakes whoever waits for something that is not there yet.
struct reply_waker {
    void (*wake)(struct reply_waker *waker);
};

// In any thread, as often as one likes, until free() of the one that waits has returned. Takes
// locks of the HTTP server only, for a moment, and calls nobody back. What is there before the wake
// is seen by the next try().
static inline void reply_wake(struct reply_waker *waker)
{
    waker->wake(waker);
}

// A body that is made while it is sent. try() and free() run in the HTTP thread and never block;
// load() runs in an I/O thread; never two at once.
//
// A waiting stream is a suspended connection: it costs no thread. That its client has gone is
// noticed within seconds, and its stream freed then without being tried again.
struct reply_stream {
    uint64_t size;
    struct reply_waker *waker; // set before the first try(), and good until free() returns
    int64_t wait_until_us;     // monotonic, to the second; 0: for ever. try() sets it when it waits
    bool is_urgent; // what has grown old on its way is worthless: little may wait in the kernel
    // The number of bytes copied (of at most `size`, which is never 0), or one of the above;
    // REPLY_TRY_FAILED with *cause set.
    ssize_t (*try)(
        struct reply_stream *stream, uint64_t offset, void *data, size_t size, char **cause);
    // Sets *cause unless it is loaded.
    enum reply_load (*load)(
        struct reply_stream *stream, struct worker *worker, uint64_t offset, char **cause);
    // Which of the I/O threads' lanes it is to be loaded in (see io.h), never waiting; NULL: that
    // of requests.
    uint64_t (*lane)(struct reply_stream *stream, uint64_t offset);
    void (*free)(struct reply_stream *stream);
};

// An answer that is not known yet. Its connection waits meanwhile as a waiting stream's does.
struct reply_later {
    struct reply_waker *waker; // set before the first try(), and good until free() returns
    int64_t wait_until_us;     // monotonic, to the second; 0: for ever
    // Fills the reply and returns true, or false when it is to be tried again: when woken, or when
    // that moment has come. Runs in the HTTP thread and never blocks.
    bool (*try)(struct reply_later *later, struct reply *reply);
    void (*free)(struct reply_later *later);
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
    struct reply_later *later; // and nothing else, when the answer is not known yet
    // A representation that can be asked for conditionally and in part has an entity tag.
    char etag[REPLY_ETAG_SIZE];
    int64_t modified_s; // 0: not known
    int lasts_s;        // for how long nobody needs to ask whether it has changed; 0: always ask
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
