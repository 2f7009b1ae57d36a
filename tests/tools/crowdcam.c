// crowdcam: an RTSP camera that hundreds of recorders may watch at once on a small machine. It
// plays one H.264 clip for ever, packed into RTP once, over TCP on the loopback alone; every path
// is the same picture, and every client's loop begins with its PLAY.
//
//   crowdcam [--port N] [--port-file FILE] --fps N CLIP
//
// It prints "crowdcam: listening on rtsp://127.0.0.1:PORT/" when clients may come, and ends at
// once, with 0, on SIGTERM or SIGINT. Stopped (SIGSTOP), it is a camera that has frozen; continued,
// it goes on with the picture that is due then.
#include "tests/tools/crowdcam.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ev.h>

#include "lib/core/alloc.h"
#include "lib/core/timeutil.h"

enum {
    BACKLOG = 4096,
    REQUEST_MAX = 16384,
    UNSENT_MAX = 1 << 20, // a client that is further behind misses pictures
    RTCP_SR = 200,
    SR_WORDS = 7, // of 32 bits
    SESSION_TIMEOUT_S = 60,
};

#define REPORT_US (5 * US_PER_SECOND)
#define LATE_US US_PER_SECOND // what is due for longer is left out
#define NTP_EPOCH_S 2208988800u

struct server {
    struct ev_loop *loop;
    const struct clip *clip;
    unsigned fps;
    int fd;
    int port;
    ev_io accept;
    uint32_t next_session;
};

struct client {
    struct server *server;
    int fd;
    ev_io readable, writable;
    ev_timer due;
    struct buf in, out;
    uint32_t session;
    bool is_set_up, is_playing;
    int64_t start_us; // monotonic; when picture 0 was due
    uint64_t picture; // the next one
    int64_t next_report_us;
    struct rtp_place place;
    uint32_t timestamp_base;
    uint32_t packets, octets; // sent
    bool waits_for_key;
};

static void client_free(struct client *client)
{
    ev_io_stop(client->server->loop, &client->readable);
    ev_io_stop(client->server->loop, &client->writable);
    ev_timer_stop(client->server->loop, &client->due);
    close(client->fd);
    buf_fini(&client->in);
    buf_fini(&client->out);
    free(client);
}

// Sends what can be sent at once. Returns -1 when the client has gone.
static int client_flush(struct client *client)
{
    while (client->out.size > 0) {
        ssize_t sent = send(client->fd, client->out.data, client->out.size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno != EAGAIN)
            return -1;
        if (sent < 0)
            break;
        buf_consume(&client->out, (size_t)sent);
    }
    if (client->out.size > 0)
        ev_io_start(client->server->loop, &client->writable);
    else
        ev_io_stop(client->server->loop, &client->writable);
    return 0;
}

// --- Pictures

static int64_t client_due_us(const struct client *client, uint64_t picture)
{
    return client->start_us + (int64_t)(picture * US_PER_SECOND / client->server->fps);
}

static uint32_t client_timestamp(const struct client *client, uint64_t picture)
{
    return client->timestamp_base + (uint32_t)(picture * CROWDCAM_CLOCK / client->server->fps);
}

static const struct clip_unit *client_unit(const struct client *client)
{
    return &client->server->clip->units[client->picture % client->server->clip->count];
}

// A sender report (RFC 3550, 6.4.1) without reception reports.
static void client_put_report(struct client *client, int64_t now_us)
{
    int64_t utc_us = time_now_us();
    // The timestamp that belongs to this moment, whether or not a picture does.
    int64_t media_us = now_us - client->start_us;
    uint32_t timestamp =
        client->timestamp_base + (uint32_t)(media_us * CROWDCAM_CLOCK / US_PER_SECOND);
    struct buf *out = &client->out;
    buf_put_u8(out, '$');
    buf_put_u8(out, CROWDCAM_RTCP_CHANNEL);
    buf_put_u16(out, SR_WORDS * 4);
    buf_put_u8(out, 0x80);
    buf_put_u8(out, RTCP_SR);
    buf_put_u16(out, SR_WORDS - 1);
    buf_put_u32(out, client->place.ssrc);
    buf_put_u32(out, (uint32_t)(utc_us / US_PER_SECOND) + NTP_EPOCH_S);
    buf_put_u32(out, (uint32_t)(((uint64_t)(utc_us % US_PER_SECOND) << 32) / US_PER_SECOND));
    buf_put_u32(out, timestamp);
    buf_put_u32(out, client->packets);
    buf_put_u32(out, client->octets);
}

// After a pause the next picture is the first key frame that is not due for long.
static void client_skip_late(struct client *client, int64_t now_us)
{
    if (now_us - client_due_us(client, client->picture) > LATE_US) {
        client->waits_for_key = true;
        client->picture =
            (uint64_t)(now_us - client->start_us) * client->server->fps / US_PER_SECOND;
    }
}

static void client_put_picture(struct client *client)
{
    const struct clip_unit *unit = client_unit(client);
    if (client->out.size > UNSENT_MAX)
        client->waits_for_key = true;
    else if (unit->is_key)
        client->waits_for_key = false;
    if (!client->waits_for_key) {
        client->place.timestamp = client_timestamp(client, client->picture);
        client->packets += clip_put_unit(unit, &client->place, &client->out, &client->octets);
    }
    client->picture++;
}

static void client_wait(struct client *client)
{
    int64_t delay_us = client_due_us(client, client->picture) - time_monotonic_us();
    ev_timer_stop(client->server->loop, &client->due);
    ev_timer_set(&client->due, delay_us > 0 ? (double)delay_us / US_PER_SECOND : 0., 0.);
    ev_timer_start(client->server->loop, &client->due);
}

static void client_due_cb(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct client *client = timer->data;
    int64_t now_us = time_monotonic_us();
    (void)loop;
    (void)events;
    client_skip_late(client, now_us);
    if (now_us >= client->next_report_us) {
        client_put_report(client, now_us);
        client->next_report_us = now_us + REPORT_US;
    }
    client_put_picture(client);
    if (client_flush(client) < 0)
        client_free(client);
    else
        client_wait(client);
}

static void client_play(struct client *client)
{
    if (client->is_playing)
        return;
    client->is_playing = true;
    client->start_us = client->next_report_us = time_monotonic_us();
    client->timestamp_base = (uint32_t)random();
    client->place = (struct rtp_place){.ssrc = (uint32_t)random(), .sequence = (uint16_t)random()};
    client_wait(client);
}

// --- Requests

struct request {
    char method[32];
    char url[1024];
    const char *headers; // the whole head
    int sequence;
};

static const char *request_header(const struct request *request, const char *name)
{
    const char *at = strcasestr(request->headers, name);
    return at ? at + strlen(name) : NULL;
}

__attribute__((format(printf, 4, 5))) static void client_reply(struct client *client,
    const struct request *request, const char *status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *more = xvasprintf(format, args);
    va_end(args);
    buf_printf(&client->out, "RTSP/1.0 %s\r\nCSeq: %d\r\n%s\r\n", status, request->sequence, more);
    free(more);
}

static void client_describe(struct client *client, const struct request *request)
{
    const struct server *server = client->server;
    char *sdp = xasprintf("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=crowdcam\r\nc=IN IP4 0.0.0.0\r\n"
                          "t=0 0\r\na=control:*\r\nm=video 0 RTP/AVP 96\r\n"
                          "a=rtpmap:96 H264/%d\r\na=fmtp:96 packetization-mode=1;%s\r\n"
                          "a=framerate:%u\r\na=control:track0\r\n",
        CROWDCAM_CLOCK, server->clip->format, server->fps);
    client_reply(client, request, "200 OK",
        "Content-Base: %s/\r\nContent-Type: application/sdp\r\nContent-Length: %zu\r\n",
        request->url, strlen(sdp));
    buf_put(&client->out, sdp, strlen(sdp));
    free(sdp);
}

static void client_setup(struct client *client, const struct request *request)
{
    const char *transport = request_header(request, "\nTransport:");
    if (transport == NULL || strncmp(transport + strspn(transport, " "), "RTP/AVP/TCP", 11) != 0) {
        client_reply(client, request, "461 Unsupported Transport", "%s", "");
        return;
    }
    client->is_set_up = true;
    client_reply(client, request, "200 OK",
        "Transport: RTP/AVP/TCP;unicast;interleaved=%d-%d\r\nSession: %08" PRIX32 ";timeout=%d\r\n",
        CROWDCAM_RTP_CHANNEL, CROWDCAM_RTCP_CHANNEL, client->session, SESSION_TIMEOUT_S);
}

static void client_begin(struct client *client, const struct request *request)
{
    if (!client->is_set_up) {
        client_reply(client, request, "455 Method Not Valid in This State", "%s", "");
        return;
    }
    client_play(client);
    client_reply(client, request, "200 OK",
        "Session: %08" PRIX32 "\r\nRange: npt=0-\r\nRTP-Info: url=%s/track0;seq=%u;rtptime=%" PRIu32
        "\r\n",
        client->session, request->url, client->place.sequence, client->timestamp_base);
}

// Returns -1 when the connection ends with this request.
static int client_answer(struct client *client, const struct request *request)
{
    const char *method = request->method;
    if (strcmp(method, "OPTIONS") == 0)
        client_reply(client, request, "200 OK",
            "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER, SET_PARAMETER\r\n");
    else if (strcmp(method, "DESCRIBE") == 0)
        client_describe(client, request);
    else if (strcmp(method, "SETUP") == 0)
        client_setup(client, request);
    else if (strcmp(method, "PLAY") == 0)
        client_begin(client, request);
    else if (strcmp(method, "GET_PARAMETER") == 0 || strcmp(method, "SET_PARAMETER") == 0)
        client_reply(client, request, "200 OK", "Session: %08" PRIX32 "\r\n", client->session);
    else if (strcmp(method, "TEARDOWN") == 0)
        client_reply(client, request, "200 OK", "%s", "");
    else
        client_reply(client, request, "501 Not Implemented", "%s", "");
    return strcmp(method, "TEARDOWN") == 0 ? -1 : 0;
}

// Takes one request, or one packet of the client's (a receiver report), off its input. Returns
// how many bytes it had, 0 when it is not whole, -1 when the connection ends.
static ssize_t client_take(struct client *client)
{
    const uint8_t *data = client->in.data;
    if (client->in.size >= 4 && data[0] == '$') {
        size_t size = 4 + ((size_t)data[2] << 8 | data[3]);
        return client->in.size >= size ? (ssize_t)size : 0;
    }
    const char *text = buf_string(&client->in);
    const char *end = strstr(text, "\r\n\r\n");
    if (end == NULL)
        return client->in.size > REQUEST_MAX ? -1 : 0;
    char *head = xstrndup(text, (size_t)(end - text));
    struct request request = {.headers = head};
    const char *sequence = request_header(&request, "\nCSeq:");
    const char *length = request_header(&request, "\nContent-Length:");
    size_t size = (size_t)(end + 4 - text) + (length ? strtoul(length, NULL, 10) % REQUEST_MAX : 0);
    ssize_t taken = 0;
    if (client->in.size >= size) {
        request.sequence = sequence ? (int)strtol(sequence, NULL, 10) : 0;
        bool is_good = sscanf(head, "%31s %1023s", request.method, request.url) == 2;
        taken = is_good && client_answer(client, &request) == 0 ? (ssize_t)size : -1;
    }
    free(head);
    return taken;
}

static void client_readable_cb(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct client *client = watcher->data;
    uint8_t piece[4096];
    ssize_t got = recv(client->fd, piece, sizeof(piece), 0), taken = 1;
    (void)loop;
    (void)events;
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        client_free(client);
        return;
    }
    buf_put(&client->in, piece, (size_t)got);
    while (client->in.size > 0 && (taken = client_take(client)) > 0)
        buf_consume(&client->in, (size_t)taken);
    if (client_flush(client) < 0 || taken < 0)
        client_free(client);
}

static void client_writable_cb(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)loop;
    (void)events;
    if (client_flush(watcher->data) < 0)
        client_free(watcher->data);
}

static void client_new(struct server *server, int fd)
{
    struct client *client = xcalloc(1, sizeof(*client));
    client->server = server;
    client->fd = fd;
    client->session = ++server->next_session;
    ev_io_init(&client->readable, client_readable_cb, fd, EV_READ);
    ev_io_init(&client->writable, client_writable_cb, fd, EV_WRITE);
    ev_timer_init(&client->due, client_due_cb, 0., 0.);
    client->readable.data = client->writable.data = client->due.data = client;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    ev_io_start(server->loop, &client->readable);
}

// --- The server

static void server_accept_cb(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct server *server = watcher->data;
    int fd;
    (void)loop;
    (void)events;
    while ((fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0)
        client_new(server, fd);
}

static int server_listen(struct server *server, int port, char **cause)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    setsockopt(server->fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(server->fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(server->fd, BACKLOG) < 0 ||
        getsockname(server->fd, (struct sockaddr *)&address, &size) < 0) {
        *cause = xasprintf("can not listen on 127.0.0.1:%d: %s", port, strerror(errno));
        return -1;
    }
    server->port = ntohs(address.sin_port);
    ev_io_init(&server->accept, server_accept_cb, server->fd, EV_READ);
    server->accept.data = server;
    ev_io_start(server->loop, &server->accept);
    return 0;
}

static int port_write(const char *path, int port, char **cause)
{
    char *part = xasprintf("%s.part", path);
    FILE *file = fopen(part, "we");
    int result = file != NULL && fprintf(file, "%d\n", port) > 0 ? 0 : -1;
    if (file != NULL && fclose(file) != 0)
        result = -1;
    if (result < 0 || rename(part, path) < 0) {
        *cause = xasprintf("%s: %s", path, strerror(errno));
        result = -1;
    }
    free(part);
    return result;
}

static void end_cb(int number)
{
    (void)number;
    _exit(0);
}

static int usage(void)
{
    fprintf(stderr, "usage: crowdcam [--port N] [--port-file FILE] --fps N CLIP\n");
    return 64;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"port", required_argument, NULL, 'p'},
        {"port-file", required_argument, NULL, 'f'}, {"fps", required_argument, NULL, 'r'}, {0}};
    struct server server = {.loop = ev_default_loop(0)};
    const char *port_file = NULL;
    char *cause = NULL;
    int port = 0, option;
    struct rlimit files;

    signal(SIGTERM, end_cb);
    signal(SIGINT, end_cb);
    while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
        if (option == 'p')
            port = (int)strtol(optarg, NULL, 10);
        else if (option == 'f')
            port_file = optarg;
        else if (option == 'r')
            server.fps = (unsigned)strtoul(optarg, NULL, 10);
        else
            return usage();
    }
    if (optind + 1 != argc || server.fps == 0)
        return usage();
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    srandom((unsigned)time_monotonic_us());
    server.clip = clip_read(argv[optind], &cause);
    if (server.clip == NULL || server_listen(&server, port, &cause) < 0 ||
        (port_file != NULL && port_write(port_file, server.port, &cause) < 0)) {
        fprintf(stderr, "crowdcam: %s\n", cause);
        return 1;
    }
    printf("crowdcam: listening on rtsp://127.0.0.1:%d/\n", server.port);
    fflush(stdout);
    ev_run(server.loop, 0);
    return 0;
}
