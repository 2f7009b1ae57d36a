// The HTTP server, on libmicrohttpd: connections, limits, deadlines, and the way from a request to
// its route's handler and back. Its one thread never blocks: whatever may is a job of the I/O
// thread, or put to the supervisor by the asker's, and the connection is suspended meanwhile.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct http;
struct asker;
struct io;
struct traffic;

enum {
    HTTP_CONNECTIONS_MAX = 1024,
    HTTP_CONNECTIONS_PER_CLIENT_MAX = 512,
    HTTP_HEADER_SIZE_MAX = 32 * 1024,
    HTTP_IDLE_TIMEOUT_S = 120,      // without a byte moved
    HTTP_HEADER_TIMEOUT_S = 15,     // from connecting to the end of the header
    HTTP_BODY_TIMEOUT_S = 15,       // from there to the end of a request's body
    HTTP_BODY_SIZE_MAX = 16 * 1024, // of a request
    HTTP_KEEP_ALIVE_TIMEOUT_S = 60, // from the end of one answer to the next request's header
    HTTP_PROBE_AFTER_S = 30,        // a silent client is asked whether it is still there
    HTTP_PROBE_INTERVAL_S = 10,
    HTTP_PROBE_COUNT = 3,
    HTTP_BLOCK_SIZE = 128 * 1024,
    HTTP_NOTSENT_LOWAT = 256 * 1024,
    HTTP_URGENT_BUFFER_SIZE = 32 * 1024, // of the kernel, for what must not grow old there
    HTTP_URGENT_NOTSENT_LOWAT = 8 * 1024,
};

// Who does the work. All must outlive the server.
struct http_helpers {
    struct io *io;
    struct asker *asker;
    struct traffic *traffic; // counts what is answered
};

// Listens on "ADDRESS:PORT" and answers from now on. Returns NULL with *cause set on failure.
struct http *http_open(const char *listen, const struct http_helpers *helpers, char **cause);

// Lets pages of these origins use what is served here, and no others any more; before that, none.
void http_set_origins(struct http *http, char *const *origins, size_t count);

// The address as bound, "ADDRESS:PORT".
const char *http_address(const struct http *http);

// Ends connections that have passed their deadline; to be called every second.
void http_tick(struct http *http);

// Asks the HTTP thread for a sign of life: hands it a connection that nobody is at. Returns a
// descriptor, the caller's, whose stream ends when the thread has seen that; -1 when it can not be
// asked now, with so many real connections, say.
int http_ping(struct http *http);

struct http_stats {
    uint64_t connections; // now
    uint64_t requests;
};

void http_get_stats(struct http *http, struct http_stats *stats);

// Ends all connections. The I/O thread must have been stopped, or have no job of theirs.
void http_close(struct http *http);
