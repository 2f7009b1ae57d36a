// The HTTP server and its connections. See http.h.
//
// Rules of libmicrohttpd 0.9.75 that this rests on, each tried: only the internal epoll thread
// wakes up for MHD_resume_connection(); a suspended connection notices neither close nor timeout,
// and the idle timeout is reset by every byte, so slow headers have a deadline of our own here.
#include "webui/http.h"

#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/core/alloc.h"
#include "lib/core/log.h"
#include "lib/core/timeutil.h"
#include "webui/http_server.h"

// --- The listening socket ---

// Splits "ADDRESS:PORT" or "[ADDRESS]:PORT". Returns 0, or -1.
static int http_resolve(const char *listen, struct addrinfo **info)
{
    const char *colon = strrchr(listen, ':');
    if (colon == NULL)
        return -1;
    size_t length = (size_t)(colon - listen);
    bool brackets = length >= 2 && listen[0] == '[' && listen[length - 1] == ']';
    char *host = brackets ? xstrndup(listen + 1, length - 2) : xstrndup(listen, length);
    const struct addrinfo hints = {
        .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE, .ai_socktype = SOCK_STREAM};
    int result = getaddrinfo(host, colon + 1, &hints, info) == 0 ? 0 : -1;
    free(host);
    return result;
}

static char *http_socket_address(int fd)
{
    struct sockaddr_storage storage = {0};
    socklen_t size = sizeof(storage);
    char host[INET6_ADDRSTRLEN], port[8];
    if (getsockname(fd, (struct sockaddr *)&storage, &size) < 0 ||
        getnameinfo((struct sockaddr *)&storage, size, host, sizeof(host), port, sizeof(port),
            NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return NULL;
    return xasprintf(storage.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

static char *http_listen_cause(const char *listen, int error)
{
    if (error == EADDRINUSE)
        return xasprintf("http.listen: %s is in use by another program: stop that one, or choose "
                         "another port",
            listen);
    if (error == EADDRNOTAVAIL)
        return xasprintf("http.listen: %s is not an address of this machine", listen);
    if (error == EACCES)
        return xasprintf("http.listen: %s: ports below 1024 need a privilege that this program "
                         "does not have: choose a higher one",
            listen);
    return xasprintf("http.listen: %s: %s", listen, strerror(error));
}

// Returns the listening socket, or -1 with *cause set.
static int http_listen(const char *address, char **cause)
{
    struct addrinfo *info;
    if (http_resolve(address, &info) < 0) {
        *cause = xasprintf("http.listen: %s is not an address and port, as 127.0.0.1:8080 or "
                           "[::1]:8080",
            address);
        return -1;
    }
    int one = 1;
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
        bind(fd, info->ai_addr, info->ai_addrlen) < 0 || listen(fd, SOMAXCONN) < 0) {
        *cause = http_listen_cause(address, errno);
        if (fd >= 0)
            close(fd);
        fd = -1;
    }
    freeaddrinfo(info);
    return fd;
}

// --- Connections ---

static struct http_connection *http_connection_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info != NULL ? info->socket_context : NULL;
}

// A client that vanished without a word is found out while nothing is sent to it.
static void http_keep_alive(int fd)
{
    static const int options[][3] = {
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, HTTP_PROBE_AFTER_S},
        {IPPROTO_TCP, TCP_KEEPINTVL, HTTP_PROBE_INTERVAL_S},
        {IPPROTO_TCP, TCP_KEEPCNT, HTTP_PROBE_COUNT},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(options); i++)
        setsockopt(fd, options[i][0], options[i][1], &options[i][2], sizeof(options[i][2]));
}

static struct http_connection *http_connection_new(
    struct http *http, struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct http_connection *entry = xcalloc(1, sizeof(*entry));
    entry->fd = info->connect_fd;
    entry->deadline_us = time_monotonic_us() + HTTP_HEADER_TIMEOUT_S * US_PER_SECOND;
    // What the kernel holds unsent is memory that a slow reader costs.
    int lowat = HTTP_NOTSENT_LOWAT;
    setsockopt(entry->fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowat, sizeof(lowat));
    http_keep_alive(entry->fd);
    pthread_mutex_lock(&http->mutex);
    entry->next = http->connections;
    entry->previous = &http->connections;
    if (entry->next != NULL)
        entry->next->previous = &entry->next;
    http->connections = entry;
    http->stats.connections++;
    pthread_mutex_unlock(&http->mutex);
    return entry;
}

static void http_connection_free(struct http *http, struct http_connection *entry)
{
    pthread_mutex_lock(&http->mutex);
    *entry->previous = entry->next;
    if (entry->next != NULL)
        entry->next->previous = entry->previous;
    http->stats.connections--;
    pthread_mutex_unlock(&http->mutex);
    free(entry);
}

static void http_notify_connection(void *cls, struct MHD_Connection *connection,
    void **socket_context, enum MHD_ConnectionNotificationCode code)
{
    struct http *http = cls;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        *socket_context = http_connection_new(http, connection);
    } else if (*socket_context != NULL) {
        http_connection_free(http, *socket_context);
        *socket_context = NULL;
    }
}

void http_arm(struct http *http, struct MHD_Connection *connection, int timeout_s)
{
    struct http_connection *entry = http_connection_of(connection);
    if (entry == NULL)
        return;
    pthread_mutex_lock(&http->mutex);
    entry->deadline_us = timeout_s == 0 ? 0 : time_monotonic_us() + timeout_s * US_PER_SECOND;
    pthread_mutex_unlock(&http->mutex);
}

void http_hasten(struct MHD_Connection *connection)
{
    const struct http_connection *entry = http_connection_of(connection);
    const int size = HTTP_URGENT_BUFFER_SIZE, lowat = HTTP_URGENT_NOTSENT_LOWAT;
    if (entry == NULL)
        return;
    setsockopt(entry->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    setsockopt(entry->fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowat, sizeof(lowat));
}

void http_tick(struct http *http)
{
    int64_t now_us = time_monotonic_us();
    http_waiters_tick(http, now_us);
    pthread_mutex_lock(&http->mutex);
    for (struct http_connection *entry = http->connections; entry != NULL; entry = entry->next) {
        if (entry->deadline_us == 0 || entry->deadline_us > now_us)
            continue;
        // The HTTP thread sees the end of the stream and does the rest.
        shutdown(entry->fd, SHUT_RDWR);
        entry->deadline_us = 0;
    }
    pthread_mutex_unlock(&http->mutex);
}

int http_ping(struct http *http)
{
    const struct sockaddr_un nobody = {.sun_family = AF_UNIX};
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
        return -1;
    shutdown(ends[0], SHUT_WR);
    // The library owns the other end from now on, whatever comes of it.
    if (MHD_add_connection(
            http->daemon, ends[1], (const struct sockaddr *)&nobody, sizeof(nobody)) == MHD_YES)
        return ends[0];
    close(ends[0]);
    return -1;
}

bool http_hold(struct http *http, struct MHD_Connection *connection)
{
    pthread_mutex_lock(&http->mutex);
    bool closing = http->closing;
    if (!closing)
        http->suspended++;
    pthread_mutex_unlock(&http->mutex);
    if (closing)
        return false;
    MHD_suspend_connection(connection);
    return true;
}

bool http_is_closing(struct http *http)
{
    pthread_mutex_lock(&http->mutex);
    bool closing = http->closing;
    pthread_mutex_unlock(&http->mutex);
    return closing;
}

bool http_suspend(struct http *http, struct MHD_Connection *connection, struct io_job *job)
{
    // Before the job can be done and resume it.
    if (!http_hold(http, connection))
        return false;
    io_submit(http->io, job);
    return true;
}

void http_resume(struct http *http, struct MHD_Connection *connection)
{
    MHD_resume_connection(connection);
    pthread_mutex_lock(&http->mutex);
    if (--http->suspended == 0)
        pthread_cond_broadcast(&http->idle);
    pthread_mutex_unlock(&http->mutex);
}

// --- The server ---

static void __attribute__((format(printf, 2, 0)))
http_log(void *cls, const char *format, va_list args)
{
    (void)cls;
    char *text = xvasprintf(format, args);
    size_t length = strlen(text);
    if (length > 0 && text[length - 1] == '\n')
        text[length - 1] = '\0';
    log_debug("http: %s", text);
    free(text);
}

static struct MHD_Daemon *http_start(struct http *http, int fd)
{
    const unsigned flags =
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    return MHD_start_daemon(flags, 0, NULL, NULL, http_exchange_handle, http,
        MHD_OPTION_EXTERNAL_LOGGER, http_log, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)HTTP_CONNECTIONS_MAX,
        MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned)HTTP_CONNECTIONS_PER_CLIENT_MAX,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_HEADER_SIZE_MAX,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)HTTP_IDLE_TIMEOUT_S, MHD_OPTION_STRICT_FOR_CLIENT,
        1, MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_URI_LOG_CALLBACK, http_exchange_begin,
        http, MHD_OPTION_NOTIFY_COMPLETED, http_exchange_end, http, MHD_OPTION_NOTIFY_CONNECTION,
        http_notify_connection, http, MHD_OPTION_END);
}

struct http *http_open(const char *listen, const struct http_helpers *helpers, char **cause)
{
    int fd = http_listen(listen, cause);
    if (fd < 0)
        return NULL;
    struct http *http = xcalloc(1, sizeof(*http));
    http->io = helpers->io;
    http->asker = helpers->asker;
    http->traffic = helpers->traffic;
    pthread_mutex_init(&http->mutex, NULL);
    pthread_cond_init(&http->idle, NULL);
    http->address = http_socket_address(fd);
    http->daemon = http->address ? http_start(http, fd) : NULL;
    if (http->daemon == NULL) {
        *cause = xasprintf(
            "http.listen: %s: the server can not be started: %s", listen, strerror(errno));
        close(fd);
        http_close(http);
        return NULL;
    }
    return http;
}

const char *http_address(const struct http *http)
{
    return http->address;
}

void http_get_stats(struct http *http, struct http_stats *stats)
{
    pthread_mutex_lock(&http->mutex);
    *stats = http->stats;
    pthread_mutex_unlock(&http->mutex);
}

void http_close(struct http *http)
{
    if (http == NULL)
        return;
    // The library can not be stopped while a connection is suspended.
    pthread_mutex_lock(&http->mutex);
    http->closing = true;
    pthread_mutex_unlock(&http->mutex);
    http_waiters_tick(http, time_monotonic_us());
    pthread_mutex_lock(&http->mutex);
    while (http->suspended > 0)
        pthread_cond_wait(&http->idle, &http->mutex);
    pthread_mutex_unlock(&http->mutex);
    if (http->daemon != NULL)
        MHD_stop_daemon(http->daemon);
    http_cors_fini(http);
    pthread_cond_destroy(&http->idle);
    pthread_mutex_destroy(&http->mutex);
    free(http->address);
    free(http);
}
