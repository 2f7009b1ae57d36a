// What the parts of the HTTP server share: http.c has the server and its connections,
// http_exchange.c has requests and answers, http_body.c has long bodies. Only http*.c include this.
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <microhttpd.h>

#include "webui/asker.h"
#include "webui/http.h"
#include "webui/http_range.h"
#include "webui/io.h"
#include "webui/reply.h"
#include "webui/traffic.h"

// One client's connection, in the server's list.
struct http_connection {
    struct http_connection *next;
    struct http_connection **previous;
    int fd;
    int64_t deadline_us; // monotonic; 0: libmicrohttpd's own idle timeout rules
};

// A connection that may be suspended until something happens: see http_wait.c.
struct http_waiter {
    struct reply_waker waker;
    struct http *http;
    struct MHD_Connection *connection;
    // Under the server's mutex.
    struct http_waiter *next; // among those that wait
    struct http_waiter **previous;
    int fd;
    int64_t until_us; // monotonic; 0: for ever
    bool is_waiting;  // suspended, and listed
    bool is_woken;    // since http_waiter_begin()
    bool is_gone;     // its client
};

struct http {
    struct MHD_Daemon *daemon;
    struct io *io;
    struct asker *asker;
    struct traffic *traffic;
    char *address;
    pthread_mutex_t mutex; // of what follows
    pthread_cond_t idle;
    struct http_connection *connections;
    struct http_stats stats;
    struct http_waiter *waiters;
    char **origins; // whose pages may use what is served here
    size_t origin_count;
    unsigned suspended; // connections that wait for the I/O thread, or to be woken
    bool closing;
};

// Suspends a connection until http_resume(), which must follow. Returns false when the server is
// closing: nothing has happened then.
bool http_hold(struct http *http, struct MHD_Connection *connection);

// Suspends a connection and submits its job; the job's done() must call http_resume(). Returns
// false when the server is closing: nothing has happened then.
bool http_suspend(struct http *http, struct MHD_Connection *connection, struct io_job *job);
void http_resume(struct http *http, struct MHD_Connection *connection);

bool http_is_closing(struct http *http);

// Ends the connection when the next header is not there in time; 0: no such deadline.
void http_arm(struct http *http, struct MHD_Connection *connection, int timeout_s);

// Has the kernel keep little that is not sent yet: for what must not grow old there.
void http_hasten(struct MHD_Connection *connection);

// http_wait.c: connections that wait for something that is not there yet. In the HTTP thread:
void http_waiter_init(
    struct http_waiter *waiter, struct http *http, struct MHD_Connection *connection);
// Before one looks whether it is there: a wake from here on is not lost.
void http_waiter_begin(struct http_waiter *waiter);
// Suspends the connection until it is woken, that moment has come, its client has gone or the
// server is closing; not at all when it has been woken meanwhile. Returns false when it is not
// worth waiting: the client has gone, or the server is closing.
bool http_waiter_wait(struct http_waiter *waiter, int64_t until_us);
// Resumes those whose time has come and those whose client has gone; all, when the server is
// closing.
void http_waiters_tick(struct http *http, int64_t now_us);

// http_cors.c: what pages of other origins may do (the Fetch standard, 3.2).
struct http_cors {
    const char *origin; // of the request; NULL: it does not say, or pages of none may
    bool is_allowed;    // and may use the answer
    bool varies;        // another origin would be answered otherwise
};

struct http_cors http_cors_of(struct http *http, struct MHD_Connection *connection);
void http_cors_add_headers(
    struct MHD_Response *response, const struct http_cors *cors, const struct reply *reply);
// Whether the request only asks, before the one that is meant, whether that may be sent.
bool http_cors_is_preflight(struct MHD_Connection *connection, const char *method);
// Answers it; `methods` is what the address knows.
void http_cors_answer_preflight(
    const struct http_cors *cors, const char *methods, struct reply *reply);
void http_cors_fini(struct http *http);

// libmicrohttpd's callbacks, implemented by http_exchange.c.
void *http_exchange_begin(void *cls, const char *uri, struct MHD_Connection *connection);
enum MHD_Result http_exchange_handle(void *cls, struct MHD_Connection *connection, const char *url,
    const char *method, const char *version, const char *upload_data, size_t *upload_data_size,
    void **con_cls);
void http_exchange_end(void *cls, struct MHD_Connection *connection, void **con_cls,
    enum MHD_RequestTerminationCode reason);

// http_body.c: a response that sends a part of the stream, which it takes. NULL when out of means.
// `name` is for the log.
struct MHD_Response *http_body_response(struct http *http, struct MHD_Connection *connection,
    struct reply_stream *stream, const struct http_outcome *outcome, const char *name);
