// Any bytes as what a peer sends to a control socket: the server answers with one JSON line of the
// protocol or closes, and is there for the next peer.
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/core/alloc.h"
#include "lib/core/ctl.h"
#include "lib/core/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct ctl_server *server;
static struct sockaddr_un address = {.sun_family = AF_UNIX};

static void check(bool right)
{
    if (!right)
        abort();
}

// Answers in each way, now or never, as the command's first letter says.
static void answer_cb(struct ctl_request *request, void *arg)
{
    (void)arg;
    const char *command = ctl_request_command(request);
    check(command != NULL && json_is_object(ctl_request_json(request)));
    if (command[0] == 'f')
        ctl_fail(request, "failed", command[1] == 'f' ? command : NULL, "%s", command);
    else
        ctl_reply(request, json_deep_copy(ctl_request_json(request)));
}

static void close_server(void)
{
    ctl_server_close(server);
}

static void open_server(void)
{
    char *cause = NULL;
    snprintf(
        address.sun_path, sizeof(address.sun_path), "/tmp/keepframe-fuzz-%d.sock", (int)getpid());
    server = ctl_server_open(address.sun_path, answer_cb, NULL, &cause);
    check(server != NULL);
    atexit(close_server);
}

// An answer is one line: an object with "ok" and a result or an error.
static void check_answer(const char *text, size_t size)
{
    if (size == 0)
        return;
    check(memchr(text, '\n', size) == text + size - 1);
    json_t *answer = json_loadb(text, size, 0, NULL);
    check(json_is_object(answer));
    check(json_is_true(json_object_get(answer, "ok"))
              ? json_is_object(json_object_get(answer, "result"))
              : json_is_string(json_object_get(json_object_get(answer, "error"), "code")));
    json_decref(answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char reply[1 << 20];
    if (server == NULL)
        open_server();
    int peer = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    check(peer >= 0 && connect(peer, (struct sockaddr *)&address, sizeof(address)) == 0);
    // In two pieces, as a socket may deliver it.
    size_t half = size / 2;
    check(send(peer, data, half, MSG_NOSIGNAL) == (ssize_t)half);
    ctl_server_dispatch(server);
    ssize_t sent = send(peer, data + half, size - half, MSG_NOSIGNAL);
    check(sent >= 0 || errno == EPIPE || errno == EAGAIN || errno == ECONNRESET);
    shutdown(peer, SHUT_WR);
    size_t got = 0;
    for (int turn = 0; turn < 8; turn++) {
        ctl_server_dispatch(server);
        ssize_t count = recv(peer, reply + got, sizeof(reply) - got, 0);
        if (count == 0 || (count < 0 && errno != EAGAIN))
            break;
        got += count > 0 ? (size_t)count : 0;
    }
    check_answer(reply, got);
    close(peer);
    ctl_server_dispatch(server);
    return 0;
}
