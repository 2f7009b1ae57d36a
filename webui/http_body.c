// A body that is made while it is sent, piece by piece. See http_server.h.
#include <stdlib.h>

#include "lib/core/alloc.h"
#include "lib/core/log.h"
#include "lib/core/timeutil.h"
#include "webui/http_server.h"

#define HTTP_LATER_US US_PER_SECOND            // until what can not be loaded now is tried again
#define HTTP_LATER_US_MAX (60 * US_PER_SECOND) // then it is given up

// It belongs to the library's response.
struct http_body {
    struct io_job job;
    struct http *http;
    struct MHD_Connection *connection;
    struct reply_stream *stream;
    struct http_waiter waiter;
    uint64_t base;        // of the part that is sent, in the whole
    uint64_t position;    // that is being loaded
    char *name;           // for the log
    enum reply_load load; // what came of the last try
    int64_t give_up_us;   // monotonic; 0: what is wanted is not waited for
    bool failed;          // to load what is wanted next
    char *cause;          // why
};

static void http_body_free(void *cls)
{
    struct http_body *body = cls;
    body->stream->free(body->stream);
    free(body->name);
    free(body->cause);
    free(body);
}

static void http_body_load(struct io_job *job, void *context)
{
    struct http_body *body = (struct http_body *)job;
    free(body->cause);
    body->cause = NULL;
    body->load = body->stream->load(body->stream, context, body->position, &body->cause);
}

// Has what could not be loaded now loaded later. Returns false when the time for that is over.
static bool http_body_wait(struct http_body *body)
{
    int64_t now_us = time_monotonic_us();
    if (body->give_up_us == 0) {
        log_info("%s: waits: %s", body->name, body->cause);
        body->give_up_us = now_us + HTTP_LATER_US_MAX;
    }
    if (now_us >= body->give_up_us || http_is_closing(body->http))
        return false;
    io_submit_later(body->http->io, &body->job, now_us + HTTP_LATER_US);
    return true;
}

static void http_body_loaded(struct io_job *job, bool expired)
{
    struct http_body *body = (struct http_body *)job;
    if (!expired && body->load == REPLY_LOAD_LATER && http_body_wait(body))
        return;
    body->failed = expired || body->load != REPLY_LOADED;
    if (!body->failed)
        body->give_up_us = 0;
    if (expired && body->cause == NULL)
        body->cause = xstrdup(io_stopping(body->http->io) ? "the program is being stopped"
                                                          : "the disk did not answer in time");
    http_resume(body->http, body->connection);
}

// The answer's header is out: all that can be said now is to end the connection too early.
static ssize_t http_body_fail(struct http_body *body, uint64_t position)
{
    log_warn("%s: the answer ends early at byte %llu: %s", body->name, (unsigned long long)position,
        body->cause);
    traffic_count_failure(body->http->traffic);
    return MHD_CONTENT_READER_END_WITH_ERROR;
}

// Has the bytes that come next loaded, or waits until there are some.
static ssize_t http_body_suspend(struct http_body *body, uint64_t at, ssize_t wanted)
{
    body->position = at;
    body->job.lane = body->stream->lane ? body->stream->lane(body->stream, at) : IO_LANE_REQUESTS;
    bool is_held = wanted == REPLY_TRY_WAIT
                       ? http_waiter_wait(&body->waiter, body->stream->wait_until_us)
                       : http_suspend(body->http, body->connection, &body->job);
    return is_held ? 0 : MHD_CONTENT_READER_END_WITH_ERROR;
}

// libmicrohttpd asks for more bytes. Never returns 0 without suspending: it would be asked again at
// once, for ever.
static ssize_t http_body_read(void *cls, uint64_t position, char *data, size_t size)
{
    struct http_body *body = cls;
    struct reply_stream *stream = body->stream;
    uint64_t at = body->base + position;
    size_t done = 0;
    ssize_t got = REPLY_TRY_END;
    if (body->failed)
        return http_body_fail(body, at);
    if (body->waiter.is_gone)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    http_waiter_begin(&body->waiter);
    while (done < size && at + done < stream->size) {
        got = stream->try(stream, at + done, data + done, size - done, &body->cause);
        body->failed = got == REPLY_TRY_FAILED;
        if (got <= 0)
            break;
        done += (size_t)got;
    }
    if (done > 0) {
        traffic_count_bytes(body->http->traffic, done);
        return (ssize_t)done;
    }
    if (body->failed)
        return http_body_fail(body, at);
    if (got == REPLY_TRY_END)
        return MHD_CONTENT_READER_END_OF_STREAM;
    return http_body_suspend(body, at, got);
}

struct MHD_Response *http_body_response(struct http *http, struct MHD_Connection *connection,
    struct reply_stream *stream, const struct http_outcome *outcome, const char *name)
{
    struct http_body *body = xcalloc(1, sizeof(*body));
    body->job.run = http_body_load;
    body->job.done = http_body_loaded;
    body->http = http;
    body->connection = connection;
    body->stream = stream;
    http_waiter_init(&body->waiter, http, connection);
    stream->waker = &body->waiter.waker;
    if (stream->is_urgent)
        http_hasten(connection);
    body->base = outcome->offset;
    body->name = xstrdup(name);
    struct MHD_Response *response = MHD_create_response_from_callback(
        outcome->length, HTTP_BLOCK_SIZE, http_body_read, body, http_body_free);
    if (response == NULL)
        http_body_free(body);
    return response;
}
