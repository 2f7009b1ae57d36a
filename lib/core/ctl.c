// The server of the control protocol. See ctl.h. A peer lives through three states: its request is
// read, its answer is awaited from the owner, its answer is written; then it is closed. All peers
// are closed in one place, at the end of a dispatch, so that no callback pulls the ground from
// under another.
#include "lib/core/ctl.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "lib/core/alloc.h"
#include "lib/core/buf.h"
#include "lib/core/ctl_socket.h"
#include "lib/core/log.h"
#include "lib/core/text.h"
#include "lib/core/timeutil.h"

enum {
    CTL_ACCEPT_PAUSE_MS = 200, // after a failed accept(2)
    CTL_EVENTS_MAX = 16,
};

enum ctl_peer_state {
    CTL_PEER_READING,
    CTL_PEER_WAITING,
    CTL_PEER_WRITING,
    CTL_PEER_DONE,
};

struct ctl_peer {
    struct ctl_server *server;
    enum ctl_peer_state state;
    int fd;
    uid_t uid;
    int64_t deadline_us; // monotonic, of the state
    struct buf input;
    struct buf output;
    size_t sent;                 // bytes of the output
    struct ctl_request *request; // while waiting
};

struct ctl_request {
    struct ctl_peer *peer; // NULL when it has gone
    json_t *json;
    char *command;
    bool privileged;
};

struct ctl_server {
    char *path;
    ctl_request_fn fn;
    void *arg;
    int listen_fd;
    int epoll_fd;
    int timer_fd;
    int command_timeout_ms;
    int64_t accept_again_us; // 0 while the listener is watched
    struct ctl_peer *peers[CTL_PEERS_MAX];
    size_t peer_count;
};

static void ctl_watch(struct ctl_server *server, int operation, int fd, uint32_t events, void *data)
{
    struct epoll_event event = {.events = events, .data.ptr = data};
    if (epoll_ctl(server->epoll_fd, operation, fd, &event) < 0)
        log_warn("%s: epoll: %s", server->path, strerror(errno));
}

static void ctl_peer_free(struct ctl_peer *peer)
{
    if (peer->request != NULL)
        peer->request->peer = NULL;
    close(peer->fd);
    buf_fini(&peer->input);
    buf_fini(&peer->output);
    free(peer);
}

static int64_t ctl_deadline(int64_t timeout_ms)
{
    return time_monotonic_us() + timeout_ms * 1000;
}

// Sets out to write the answer; takes the reference.
static void ctl_peer_answer(struct ctl_peer *peer, json_t *answer)
{
    char *text = json_dumps(answer, JSON_COMPACT);
    size_t size = text ? strlen(text) : 0;
    json_decref(answer);
    if (text == NULL || size >= CTL_REPLY_SIZE_MAX) {
        free(text);
        text = xstrdup("{\"ok\":false,\"error\":{\"code\":\"too_large\",\"message\":"
                       "\"the answer is too large\",\"field\":null}}");
        size = strlen(text);
    }
    buf_put(&peer->output, text, size);
    buf_put_u8(&peer->output, '\n');
    free(text);
    peer->state = CTL_PEER_WRITING;
    // As a whole: one that takes a byte now and then would hold its place for ever.
    peer->deadline_us = ctl_deadline(CTL_REPLY_TIMEOUT_MS);
    ctl_watch(peer->server, EPOLL_CTL_MOD, peer->fd, EPOLLOUT, peer);
}

static json_t *ctl_error(const char *code, const char *field, const char *message)
{
    return json_pack("{s:b, s:{s:s, s:s, s:s?}}", "ok", 0, "error", "code", code, "message",
        message, "field", field);
}

static void ctl_request_free(struct ctl_request *request)
{
    if (request->peer != NULL)
        request->peer->request = NULL;
    json_decref(request->json);
    free(request->command);
    free(request);
}

static void ctl_request_end(struct ctl_request *request, json_t *answer)
{
    if (request->peer != NULL)
        ctl_peer_answer(request->peer, answer);
    else
        json_decref(answer);
    ctl_request_free(request);
}

void ctl_reply(struct ctl_request *request, json_t *result)
{
    ctl_request_end(request, json_pack("{s:b, s:o}", "ok", 1, "result", result));
}

void ctl_fail(
    struct ctl_request *request, const char *code, const char *field, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *message = xvasprintf(format, args);
    va_end(args);
    text_make_plain(message); // names of files in it may be anything but UTF-8
    ctl_request_end(request, ctl_error(code, field, message));
    free(message);
}

const char *ctl_request_command(const struct ctl_request *request)
{
    return request->command;
}

const json_t *ctl_request_json(const struct ctl_request *request)
{
    return request->json;
}

bool ctl_request_privileged(const struct ctl_request *request)
{
    return request->privileged;
}

// Hands the line of `size` bytes at the head of the input to the owner.
static void ctl_peer_request(struct ctl_peer *peer, size_t size)
{
    json_error_t error;
    json_t *json = json_loadb((const char *)peer->input.data, size, JSON_REJECT_DUPLICATES, &error);
    const char *command = json_string_value(json_object_get(json, "command"));
    peer->state = CTL_PEER_WAITING;
    peer->deadline_us = ctl_deadline(peer->server->command_timeout_ms);
    if (command == NULL) {
        ctl_peer_answer(
            peer, json_is_object(json)
                      ? ctl_error("bad_request", "command", "the command is missing")
                      : ctl_error("bad_request", NULL, "one line with a JSON object is expected"));
        json_decref(json);
        return;
    }
    ctl_watch(peer->server, EPOLL_CTL_MOD, peer->fd, 0, peer);
    struct ctl_request *request = xcalloc(1, sizeof(*request));
    *request = (struct ctl_request){
        .peer = peer,
        .json = json,
        .command = xstrdup(command),
        .privileged = peer->uid == 0 || peer->uid == geteuid(),
    };
    peer->request = request;
    peer->server->fn(request, peer->server->arg);
}

static void ctl_peer_read(struct ctl_peer *peer)
{
    char bytes[4096];
    ssize_t got = recv(peer->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        peer->state = CTL_PEER_DONE;
        return;
    }
    const char *end = memchr(bytes, '\n', (size_t)got);
    size_t size = peer->input.size + (end ? (size_t)(end - bytes) : (size_t)got);
    if (size > CTL_REQUEST_SIZE_MAX) {
        ctl_peer_answer(peer, ctl_error("too_large", NULL, "the request is larger than 64 KiB"));
        return;
    }
    buf_put(&peer->input, bytes, (size_t)got);
    if (end != NULL)
        ctl_peer_request(peer, size);
}

static void ctl_peer_write(struct ctl_peer *peer)
{
    ssize_t sent = send(peer->fd, peer->output.data + peer->sent, peer->output.size - peer->sent,
        MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (sent < 0) {
        peer->state = CTL_PEER_DONE;
        return;
    }
    peer->sent += (size_t)sent;
    if (peer->sent == peer->output.size)
        peer->state = CTL_PEER_DONE;
}

static void ctl_peer_event(struct ctl_peer *peer, uint32_t events)
{
    if (events & (EPOLLHUP | EPOLLERR) && !(events & EPOLLIN))
        peer->state = CTL_PEER_DONE;
    else if (peer->state == CTL_PEER_READING)
        ctl_peer_read(peer);
    else if (peer->state == CTL_PEER_WRITING)
        ctl_peer_write(peer);
}

// Tells one peer too many so, as far as its socket's buffer takes it.
static void ctl_turn_away(int fd)
{
    static const char busy[] = "{\"ok\":false,\"error\":{\"code\":\"busy\",\"message\":"
                               "\"too many connections\",\"field\":null}}\n";
    ssize_t ignored = send(fd, busy, sizeof(busy) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    (void)ignored;
    close(fd);
}

static void ctl_accept_pause(struct ctl_server *server)
{
    log_warn("%s: no connection can be accepted: %s", server->path, strerror(errno));
    ctl_watch(server, EPOLL_CTL_MOD, server->listen_fd, 0, &server->listen_fd);
    server->accept_again_us = ctl_deadline(CTL_ACCEPT_PAUSE_MS);
}

static void ctl_server_accept(struct ctl_server *server)
{
    int fd = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
            ctl_accept_pause(server);
        return;
    }
    struct ucred who;
    socklen_t size = sizeof(who);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) < 0) {
        close(fd);
        return;
    }
    if (server->peer_count == CTL_PEERS_MAX) {
        ctl_turn_away(fd);
        return;
    }
    struct ctl_peer *peer = xcalloc(1, sizeof(*peer));
    *peer = (struct ctl_peer){
        .server = server,
        .fd = fd,
        .uid = who.uid,
        .deadline_us = ctl_deadline(CTL_REQUEST_TIMEOUT_MS),
    };
    server->peers[server->peer_count++] = peer;
    ctl_watch(server, EPOLL_CTL_ADD, fd, EPOLLIN, peer);
}

// The time for its state is over.
static void ctl_peer_expire(struct ctl_peer *peer)
{
    if (peer->state == CTL_PEER_READING) {
        ctl_peer_answer(peer, ctl_error("timeout", NULL, "no request within 5 seconds"));
    } else if (peer->state == CTL_PEER_WAITING) {
        // The owner's answer will have nobody to go to.
        peer->request->peer = NULL;
        peer->request = NULL;
        ctl_peer_answer(peer, ctl_error("timeout", NULL, "the command has not ended in time"));
    } else {
        peer->state = CTL_PEER_DONE;
    }
}

// Ends what has run out of time, frees what is done and sets the timer to what comes next.
static void ctl_server_sweep(struct ctl_server *server)
{
    int64_t now_us = time_monotonic_us(), next_us = INT64_MAX;
    for (size_t i = server->peer_count; i-- > 0;) {
        struct ctl_peer *peer = server->peers[i];
        if (peer->deadline_us <= now_us)
            ctl_peer_expire(peer);
        if (peer->state == CTL_PEER_DONE) {
            ctl_peer_free(peer);
            server->peers[i] = server->peers[--server->peer_count];
        } else if (peer->deadline_us < next_us) {
            next_us = peer->deadline_us;
        }
    }
    if (server->accept_again_us != 0 && server->accept_again_us <= now_us) {
        server->accept_again_us = 0;
        ctl_watch(server, EPOLL_CTL_MOD, server->listen_fd, EPOLLIN, &server->listen_fd);
    }
    if (server->accept_again_us != 0 && server->accept_again_us < next_us)
        next_us = server->accept_again_us;
    struct itimerspec timer = {0}; // all zero: no alarm
    if (next_us != INT64_MAX)
        timer.it_value = (struct timespec){
            .tv_sec = next_us / US_PER_SECOND,
            .tv_nsec = next_us % US_PER_SECOND * 1000 + 1,
        };
    timerfd_settime(server->timer_fd, TFD_TIMER_ABSTIME, &timer, NULL);
}

void ctl_server_dispatch(struct ctl_server *server)
{
    struct epoll_event events[CTL_EVENTS_MAX];
    int count = epoll_wait(server->epoll_fd, events, CTL_EVENTS_MAX, 0);
    for (int i = 0; i < count; i++) {
        void *who = events[i].data.ptr;
        if (who == &server->listen_fd)
            ctl_server_accept(server);
        else if (who != &server->timer_fd)
            ctl_peer_event(who, events[i].events);
    }
    ctl_server_sweep(server);
}

void ctl_server_set_command_timeout(struct ctl_server *server, int timeout_ms)
{
    server->command_timeout_ms = timeout_ms;
}

int ctl_server_fd(const struct ctl_server *server)
{
    return server->epoll_fd;
}

static int ctl_listen(const char *path, char **cause)
{
    int probe = ctl_socket_connect(path, 1000);
    if (probe >= 0 || errno == EAGAIN) {
        if (probe >= 0)
            close(probe);
        *cause = xasprintf("%s: another process answers there already", path);
        return -1;
    }
    struct stat info;
    if (errno == ECONNREFUSED && lstat(path, &info) == 0 && S_ISSOCK(info.st_mode))
        unlink(path);
    int fd = ctl_socket_listen(path, CTL_PEERS_MAX);
    if (fd < 0)
        *cause = xasprintf("%s: can not listen: %s", path, strerror(errno));
    return fd;
}

struct ctl_server *ctl_server_open(const char *path, ctl_request_fn fn, void *arg, char **cause)
{
    int listen_fd = ctl_listen(path, cause);
    return listen_fd < 0 ? NULL : ctl_server_adopt(listen_fd, path, fn, arg, cause);
}

struct ctl_server *ctl_server_adopt(
    int listen_fd, const char *path, ctl_request_fn fn, void *arg, char **cause)
{
    struct ctl_server *server = xcalloc(1, sizeof(*server));
    *server = (struct ctl_server){
        .path = xstrdup(path),
        .fn = fn,
        .arg = arg,
        .listen_fd = listen_fd,
        .command_timeout_ms = CTL_COMMAND_TIMEOUT_MS,
        .epoll_fd = epoll_create1(EPOLL_CLOEXEC),
        .timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK),
    };
    if (server->epoll_fd < 0 || server->timer_fd < 0) {
        *cause = xasprintf("%s: can not listen: %s", path, strerror(errno));
        ctl_server_close(server);
        return NULL;
    }
    ctl_watch(server, EPOLL_CTL_ADD, listen_fd, EPOLLIN, &server->listen_fd);
    ctl_watch(server, EPOLL_CTL_ADD, server->timer_fd, EPOLLIN, &server->timer_fd);
    return server;
}

int ctl_server_listener(const struct ctl_server *server)
{
    return server->listen_fd;
}

bool ctl_server_is_idle(const struct ctl_server *server)
{
    return server->peer_count == 0;
}

void ctl_server_close(struct ctl_server *server)
{
    if (server == NULL)
        return;
    for (size_t i = 0; i < server->peer_count; i++)
        ctl_peer_free(server->peers[i]);
    unlink(server->path);
    close(server->listen_fd);
    if (server->epoll_fd >= 0)
        close(server->epoll_fd);
    if (server->timer_fd >= 0)
        close(server->timer_fd);
    free(server->path);
    free(server);
}
