// The client of the control protocol. See ctl.h.
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/core/alloc.h"
#include "lib/core/buf.h"
#include "lib/core/ctl.h"
#include "lib/core/ctl_socket.h"
#include "lib/core/timeutil.h"

// Waits for the socket. Returns 0, or -1 with errno set (ETIMEDOUT at the deadline).
static int ctl_call_wait(int fd, short events, int64_t deadline_us)
{
    for (;;) {
        int64_t left_us = deadline_us - time_monotonic_us();
        struct pollfd poll_fd = {.fd = fd, .events = events};
        int ready = left_us <= 0 ? 0 : poll(&poll_fd, 1, (int)(left_us / 1000) + 1);
        if (ready > 0)
            return 0;
        if (ready == 0)
            errno = ETIMEDOUT;
        if (ready == 0 || errno != EINTR)
            return -1;
    }
}

static int ctl_call_send(int fd, const char *text, size_t size, int64_t deadline_us)
{
    while (size > 0) {
        ssize_t sent = send(fd, text, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN && errno != EINTR)
            return -1;
        if (sent < 0 && ctl_call_wait(fd, POLLOUT, deadline_us) < 0)
            return -1;
        if (sent > 0) {
            text += sent;
            size -= (size_t)sent;
        }
    }
    return 0;
}

// Reads up to the end of the line. Returns 0, or -1 with errno set.
static int ctl_call_receive(int fd, struct buf *line, int64_t deadline_us)
{
    for (;;) {
        char bytes[16384];
        if (ctl_call_wait(fd, POLLIN, deadline_us) < 0)
            return -1;
        ssize_t got = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (got == 0)
            errno = ECONNRESET;
        if (got <= 0)
            return -1;
        const char *end = memchr(bytes, '\n', (size_t)got);
        buf_put(line, bytes, end ? (size_t)(end - bytes) : (size_t)got);
        if (end != NULL)
            return 0;
        if (line->size > CTL_REPLY_SIZE_MAX) {
            errno = EMSGSIZE;
            return -1;
        }
    }
}

// Takes the answer apart. Returns the result, or NULL with *cause set.
static json_t *ctl_call_result(const char *path, const struct buf *line, char **cause)
{
    json_t *answer = json_loadb((const char *)line->data, line->size, 0, NULL);
    json_t *result = NULL;
    const char *message =
        json_string_value(json_object_get(json_object_get(answer, "error"), "message"));
    if (json_is_true(json_object_get(answer, "ok")))
        result = json_incref(json_object_get(answer, "result"));
    if (result == NULL)
        *cause =
            message ? xstrdup(message) : xasprintf("%s: the answer is not what was expected", path);
    json_decref(answer);
    return result;
}

static const char *ctl_call_reason(int error)
{
    switch (error) {
    case ENOENT:
    case ECONNREFUSED:
        return "the program is not running";
    case EACCES:
        return "you may not talk to the program";
    case ETIMEDOUT:
    case EAGAIN:
        return "no answer in time";
    case ECONNRESET:
    case EPIPE:
        return "the connection was closed without an answer";
    default:
        return strerror(error);
    }
}

json_t *ctl_call(const char *path, const json_t *request, int timeout_ms, char **cause)
{
    int64_t deadline_us = time_monotonic_us() + timeout_ms * INT64_C(1000);
    json_t *result = NULL;
    struct buf line = BUF_INIT;
    char *text = json_dumps(request, JSON_COMPACT);
    int fd = -1;
    if (text == NULL) {
        *cause = xasprintf("%s: the request can not be written as JSON", path);
        goto out;
    }
    buf_put(&line, text, strlen(text));
    buf_put_u8(&line, '\n');
    fd = ctl_socket_connect(path, timeout_ms);
    bool sent = fd >= 0 && ctl_call_send(fd, (char *)line.data, line.size, deadline_us) == 0;
    buf_consume(&line, line.size);
    if (!sent || ctl_call_receive(fd, &line, deadline_us) < 0)
        *cause = xasprintf("%s: %s", path, ctl_call_reason(errno));
    else
        result = ctl_call_result(path, &line, cause);
out:
    if (fd >= 0)
        close(fd);
    buf_fini(&line);
    free(text);
    return result;
}
