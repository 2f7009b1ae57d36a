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

// One call on its way.
struct ctl_call {
    int fd;
    int cancel_fd; // -1: none
    int64_t deadline_us;
};

// Waits for the socket. Returns 0, or -1 with errno set (ETIMEDOUT at the deadline, ECANCELED).
static int ctl_call_wait(const struct ctl_call *call, short events)
{
    for (;;) {
        int64_t left_us = call->deadline_us - time_monotonic_us();
        struct pollfd poll_fds[] = {
            {.fd = call->fd, .events = events}, {.fd = call->cancel_fd, .events = POLLIN}};
        int ready = left_us <= 0 ? 0 : poll(poll_fds, 2, (int)(left_us / 1000) + 1);
        if (ready > 0 && poll_fds[1].revents == 0)
            return 0;
        if (ready >= 0)
            errno = ready > 0 ? ECANCELED : ETIMEDOUT;
        if (ready >= 0 || errno != EINTR)
            return -1;
    }
}

static int ctl_call_send(const struct ctl_call *call, const char *text, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(call->fd, text, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN && errno != EINTR)
            return -1;
        if (sent < 0 && ctl_call_wait(call, POLLOUT) < 0)
            return -1;
        if (sent > 0) {
            text += sent;
            size -= (size_t)sent;
        }
    }
    return 0;
}

// Reads up to the end of the line. Returns 0, or -1 with errno set.
static int ctl_call_receive(const struct ctl_call *call, struct buf *line)
{
    for (;;) {
        char bytes[16384];
        if (ctl_call_wait(call, POLLIN) < 0)
            return -1;
        ssize_t got = recv(call->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
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

static char *ctl_call_copy(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? xstrdup(text) : NULL;
}

// Takes the answer apart. Returns the result, or NULL with *refusal set.
static json_t *ctl_call_result(
    const char *path, const struct buf *line, struct ctl_refusal *refusal)
{
    json_t *answer = json_loadb((const char *)line->data, line->size, 0, NULL);
    const json_t *error = json_object_get(answer, "error");
    json_t *result = NULL;
    if (json_is_true(json_object_get(answer, "ok")))
        result = json_incref(json_object_get(answer, "result"));
    if (result == NULL) {
        refusal->code = ctl_call_copy(error, "code");
        refusal->message = ctl_call_copy(error, "message");
        refusal->field = ctl_call_copy(error, "field");
        if (refusal->code == NULL)
            refusal->code = xstrdup("no_answer");
        if (refusal->message == NULL)
            refusal->message = xasprintf("%s: the answer is not what was expected", path);
    }
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
    case ECANCELED:
        return "given up";
    default:
        return strerror(error);
    }
}

static void ctl_call_fail(struct ctl_refusal *refusal, const char *path, int error)
{
    bool is_absent = error == ENOENT || error == ECONNREFUSED;
    refusal->code = xstrdup(is_absent ? "not_running" : "no_answer");
    refusal->message = xasprintf("%s: %s", path, ctl_call_reason(error));
}

json_t *ctl_ask(const char *path, const json_t *request, int timeout_ms, int cancel_fd,
    struct ctl_refusal *refusal)
{
    struct ctl_call call = {.fd = -1, .cancel_fd = cancel_fd};
    json_t *result = NULL;
    struct buf line = BUF_INIT;
    *refusal = (struct ctl_refusal){0};
    call.deadline_us = time_monotonic_us() + timeout_ms * INT64_C(1000);
    char *text = json_dumps(request, JSON_COMPACT);
    if (text == NULL) {
        refusal->code = xstrdup("bad_request");
        refusal->message = xasprintf("%s: the request can not be written as JSON", path);
        return NULL;
    }
    buf_put(&line, text, strlen(text));
    buf_put_u8(&line, '\n');
    free(text);
    call.fd = ctl_socket_connect(path, timeout_ms);
    bool sent = call.fd >= 0 && ctl_call_send(&call, (char *)line.data, line.size) == 0;
    buf_consume(&line, line.size);
    if (!sent || ctl_call_receive(&call, &line) < 0)
        ctl_call_fail(refusal, path, errno);
    else
        result = ctl_call_result(path, &line, refusal);
    if (call.fd >= 0)
        close(call.fd);
    buf_fini(&line);
    return result;
}

void ctl_refusal_fini(struct ctl_refusal *refusal)
{
    free(refusal->code);
    free(refusal->message);
    free(refusal->field);
    *refusal = (struct ctl_refusal){0};
}

json_t *ctl_call(const char *path, const json_t *request, int timeout_ms, char **cause)
{
    struct ctl_refusal refusal;
    json_t *result = ctl_ask(path, request, timeout_ms, -1, &refusal);
    if (result == NULL) {
        *cause = refusal.message;
        refusal.message = NULL;
    }
    ctl_refusal_fini(&refusal);
    return result;
}
