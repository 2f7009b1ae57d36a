// Connections that wait for something that is not there yet, as the next fragment of a file that
// grows. Each is suspended, so it costs no thread; but a suspended connection notices neither close
// nor timeout, so once a second somebody looks whether its client is still there. See
// http_server.h.
#include <poll.h>

#include "webui/http_server.h"

static void http_waiter_wake(struct reply_waker *waker);

void http_waiter_init(
    struct http_waiter *waiter, struct http *http, struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    *waiter = (struct http_waiter){
        .waker = {http_waiter_wake},
        .http = http,
        .connection = connection,
        .fd = info->connect_fd,
    };
}

// Takes it off the list; its connection must be resumed then, without the mutex: nobody else does.
static void http_waiter_take(struct http_waiter *waiter)
{
    *waiter->previous = waiter->next;
    if (waiter->next != NULL)
        waiter->next->previous = waiter->previous;
    waiter->is_waiting = false;
}

static void http_waiter_wake(struct reply_waker *waker)
{
    struct http_waiter *waiter = (struct http_waiter *)waker;
    struct http *http = waiter->http;
    pthread_mutex_lock(&http->mutex);
    struct MHD_Connection *connection = waiter->is_waiting ? waiter->connection : NULL;
    waiter->is_woken = true;
    if (connection != NULL)
        http_waiter_take(waiter);
    pthread_mutex_unlock(&http->mutex);
    if (connection != NULL)
        http_resume(http, connection);
}

void http_waiter_begin(struct http_waiter *waiter)
{
    pthread_mutex_lock(&waiter->http->mutex);
    waiter->is_woken = false;
    pthread_mutex_unlock(&waiter->http->mutex);
}

bool http_waiter_wait(struct http_waiter *waiter, int64_t until_us)
{
    struct http *http = waiter->http;
    if (waiter->is_gone || !http_hold(http, waiter->connection))
        return false;
    // Listed only now: nobody may resume what is not suspended yet.
    pthread_mutex_lock(&http->mutex);
    bool waits = !waiter->is_woken && !http->closing;
    if (waits) {
        waiter->is_waiting = true;
        waiter->until_us = until_us;
        waiter->next = http->waiters;
        waiter->previous = &http->waiters;
        if (waiter->next != NULL)
            waiter->next->previous = &waiter->next;
        http->waiters = waiter;
    }
    pthread_mutex_unlock(&http->mutex);
    if (!waits)
        http_resume(http, waiter->connection);
    return true;
}

// A client that will not send anything more has gone: nobody waits with half a connection.
static bool http_waiter_is_gone(const struct http_waiter *waiter)
{
    struct pollfd item = {.fd = waiter->fd, .events = POLLRDHUP};
    return poll(&item, 1, 0) > 0 && (item.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

// Takes those that are to be resumed off the list, into one of their own.
static struct http_waiter *http_waiters_take_due(struct http *http, int64_t now_us)
{
    struct http_waiter *due = NULL, *next;
    for (struct http_waiter *waiter = http->waiters; waiter != NULL; waiter = next) {
        next = waiter->next;
        waiter->is_gone = http_waiter_is_gone(waiter);
        if (!waiter->is_gone && !http->closing &&
            (waiter->until_us == 0 || waiter->until_us > now_us))
            continue;
        http_waiter_take(waiter);
        waiter->next = due;
        due = waiter;
    }
    return due;
}

void http_waiters_tick(struct http *http, int64_t now_us)
{
    pthread_mutex_lock(&http->mutex);
    struct http_waiter *waiter = http_waiters_take_due(http, now_us), *next;
    pthread_mutex_unlock(&http->mutex);
    for (; waiter != NULL; waiter = next) {
        next = waiter->next; // once it is resumed it may be gone
        http_resume(http, waiter->connection);
    }
}
