// The control protocol that the programs speak over their Unix sockets: one JSON line
// {"command":…, arguments} is answered by {"ok":true,"result":{}} or
// {"ok":false,"error":{"code","message","field"}}. This file knows sockets, peers, limits and
// deadlines; what a command means is its owner's business.
//
// A server shows the event loop a single descriptor (an epoll set of its own), so it needs no loop
// here: watch ctl_server_fd() for reading and call ctl_server_dispatch() when it is readable.
#pragma once

#include <stdbool.h>

#include <jansson.h>

enum {
    CTL_REQUEST_SIZE_MAX = 64 * 1024,
    CTL_REPLY_SIZE_MAX = 16 * 1024 * 1024,
    CTL_REQUEST_TIMEOUT_MS = 5000,  // from connect to the end of the request line
    CTL_COMMAND_TIMEOUT_MS = 30000, // from the request to ctl_reply(); the peer is told so then
    CTL_REPLY_TIMEOUT_MS = 30000,   // for the peer to read it all
    CTL_PEERS_MAX = 32,
};

struct ctl_server;
struct ctl_request;

// Called for each well-formed request. Exactly one of ctl_reply() and ctl_fail() must follow for
// it, now or later; the request lives until then, though its peer may not.
typedef void (*ctl_request_fn)(struct ctl_request *request, void *arg);

// Listens on `path` (mode 0660), replacing a socket that a dead process left. Returns NULL with
// *cause set on failure, also when another process answers there.
struct ctl_server *ctl_server_open(const char *path, ctl_request_fn fn, void *arg, char **cause);

// The same with a listening socket that an earlier server had on that path, in this process before
// it was replaced by another program; takes it.
struct ctl_server *ctl_server_adopt(
    int listen_fd, const char *path, ctl_request_fn fn, void *arg, char **cause);

// The listening socket, for that; and whether nobody is connected.
int ctl_server_listener(const struct ctl_server *server);
bool ctl_server_is_idle(const struct ctl_server *server);

// Ends every peer, answered or not, and removes the socket.
void ctl_server_close(struct ctl_server *server);

// Replaces CTL_COMMAND_TIMEOUT_MS.
void ctl_server_set_command_timeout(struct ctl_server *server, int timeout_ms);

int ctl_server_fd(const struct ctl_server *server);
void ctl_server_dispatch(struct ctl_server *server);

const char *ctl_request_command(const struct ctl_request *request);

// The whole request object; it lives as long as the request.
const json_t *ctl_request_json(const struct ctl_request *request);

// Whether the peer is root or our own user (SO_PEERCRED).
bool ctl_request_privileged(const struct ctl_request *request);

// Ends the request with a result; takes the reference.
void ctl_reply(struct ctl_request *request, json_t *result);

// Ends the request with an error; `field` names the argument at fault, or is NULL.
void ctl_fail(struct ctl_request *request, const char *code, const char *field, const char *format,
    ...) __attribute__((format(printf, 4, 5)));

// Asks a server and waits for the answer. Returns the result (a new reference), or NULL with *cause
// set: no server, no answer within `timeout_ms`, or the server's own error message.
json_t *ctl_call(const char *path, const json_t *request, int timeout_ms, char **cause);

// Why an answer did not come, or is a refusal.
struct ctl_refusal {
    char *code;    // the server's own, or "not_running" (nobody listens), or "no_answer"
    char *message; // for people
    char *field;   // the argument at fault, or NULL
};

// As ctl_call(), but says more on failure, and gives up when `cancel_fd` (-1: none) becomes
// readable. Release with ctl_refusal_fini(), which is harmless after a success.
json_t *ctl_ask(const char *path, const json_t *request, int timeout_ms, int cancel_fd,
    struct ctl_refusal *refusal);
void ctl_refusal_fini(struct ctl_refusal *refusal);
