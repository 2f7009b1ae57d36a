// Tells the supervisor of filed segments: one request after the other, each on a connection of its
// own, as the control protocol has it. See announce.h.
#include "indexer/announce.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "indexer/filing.h"
#include "indexer/indexer.h"
#include "lib/core/alloc.h"
#include "lib/core/buf.h"
#include "lib/core/config.h"
#include "lib/core/ctl_socket.h"
#include "lib/core/log.h"
#include "lib/core/timeutil.h"

enum {
    ANNOUNCE_WAITING_MAX = 512,
    ANNOUNCE_REPLY_MAX = 4096,
};

#define ANNOUNCE_PATIENCE_S 5.
#define ANNOUNCE_RETRY_S 0.5 // when the supervisor has more callers than it can queue

struct announce {
    struct ev_loop *loop;
    char *path;
    char *lines[ANNOUNCE_WAITING_MAX]; // a ring of requests
    size_t first, count;
    int fd; // of the request that stands first; -1 while none is under way
    size_t sent_bytes;
    struct buf reply;
    ev_io io;
    ev_timer timer; // the end of patience, or of the pause before the next attempt
    uint64_t sent, dropped;
    uint64_t dropped_before; // when the last one was sent
};

static void announce_go_on(struct announce *announce);

static void announce_hang_up(struct announce *announce)
{
    ev_timer_stop(announce->loop, &announce->timer);
    if (announce->fd < 0)
        return;
    ev_io_stop(announce->loop, &announce->io);
    close(announce->fd);
    announce->fd = -1;
    buf_consume(&announce->reply, announce->reply.size);
}

static void announce_shift(struct announce *announce)
{
    free(announce->lines[announce->first]);
    announce->first = (announce->first + 1) % ANNOUNCE_WAITING_MAX;
    announce->count--;
}

// Counts a drop; tells the first one after a success.
static void announce_count_drop(struct announce *announce, const char *reason)
{
    if (announce->dropped++ == announce->dropped_before)
        log_warn("the supervisor was not told of a filed segment, its on_segment is not run: %s",
            reason);
}

static void announce_drop(struct announce *announce, const char *reason)
{
    announce_hang_up(announce);
    announce_count_drop(announce, reason);
    announce_shift(announce);
}

static void announce_succeed(struct announce *announce)
{
    announce_hang_up(announce);
    announce_shift(announce);
    announce->sent++;
    if (announce->dropped != announce->dropped_before)
        log_info("the supervisor is told of filed segments again; it was not told of %" PRIu64,
            announce->dropped - announce->dropped_before);
    announce->dropped_before = announce->dropped;
}

static void announce_watch(struct announce *announce, int events)
{
    ev_io_stop(announce->loop, &announce->io);
    ev_io_set(&announce->io, announce->fd, events);
    ev_io_start(announce->loop, &announce->io);
}

static void announce_set_timer(struct announce *announce, double seconds)
{
    ev_timer_stop(announce->loop, &announce->timer);
    ev_timer_set(&announce->timer, seconds, 0.);
    ev_timer_start(announce->loop, &announce->timer);
}

// Sends what the socket takes. Returns false when the connection has failed.
static bool announce_send(struct announce *announce)
{
    const char *line = announce->lines[announce->first];
    size_t left = strlen(line) - announce->sent_bytes;
    ssize_t sent =
        send(announce->fd, line + announce->sent_bytes, left, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0)
        return errno == EAGAIN || errno == EINTR;
    announce->sent_bytes += (size_t)sent;
    if ((size_t)sent == left)
        announce_watch(announce, EV_READ);
    return true;
}

// Reads the answer. Returns 1 when it is there, 0 while it is not, -1 when the connection failed.
static int announce_receive(struct announce *announce)
{
    char bytes[1024];
    ssize_t got = recv(announce->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (got <= 0 || announce->reply.size + (size_t)got > ANNOUNCE_REPLY_MAX)
        return -1;
    buf_put(&announce->reply, bytes, (size_t)got);
    return memchr(bytes, '\n', (size_t)got) != NULL;
}

static bool announce_is_ok(const struct announce *announce)
{
    json_t *answer = json_loadb(
        (const char *)announce->reply.data, announce->reply.size, JSON_DISABLE_EOF_CHECK, NULL);
    bool is_ok = json_is_true(json_object_get(answer, "ok"));
    json_decref(answer);
    return is_ok;
}

static void announce_io_cb(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct announce *announce = watcher->data;
    (void)loop;
    int result =
        events & EV_WRITE ? (announce_send(announce) ? 0 : -1) : announce_receive(announce);
    if (result == 0)
        return;
    if (result < 0)
        announce_drop(announce, "the connection has failed");
    else if (announce_is_ok(announce))
        announce_succeed(announce);
    else
        announce_drop(announce, "it has refused that");
    announce_go_on(announce);
}

static void announce_timer_cb(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct announce *announce = timer->data;
    (void)loop;
    (void)events;
    if (announce->fd >= 0)
        announce_drop(announce, "it does not answer in time");
    announce_go_on(announce);
}

// Begins with what stands first, unless something is under way or a pause.
static void announce_go_on(struct announce *announce)
{
    while (announce->count > 0 && announce->fd < 0 && !ev_is_active(&announce->timer)) {
        announce->fd = ctl_socket_connect(announce->path, 0);
        if (announce->fd >= 0) {
            announce->sent_bytes = 0;
            announce_watch(announce, EV_WRITE);
            announce_set_timer(announce, ANNOUNCE_PATIENCE_S);
        } else if (errno == EAGAIN) {
            announce_set_timer(announce, ANNOUNCE_RETRY_S);
        } else {
            announce_drop(announce, strerror(errno));
        }
    }
}

struct announce *announce_new(struct ev_loop *loop, const char *path)
{
    struct announce *announce = xcalloc(1, sizeof(*announce));
    announce->loop = loop;
    announce->path = xstrdup(path);
    announce->fd = -1;
    announce->reply = BUF_INIT;
    ev_init(&announce->io, announce_io_cb);
    ev_init(&announce->timer, announce_timer_cb);
    announce->io.data = announce->timer.data = announce;
    return announce;
}

void announce_free(struct announce *announce)
{
    if (announce == NULL)
        return;
    announce_hang_up(announce);
    if (announce->count > 0)
        log_warn(
            "the supervisor was not told of %zu filed segments: the indexer ends", announce->count);
    while (announce->count > 0)
        announce_shift(announce);
    buf_fini(&announce->reply);
    free(announce->path);
    free(announce);
}

static char *announce_line(const struct announce_segment *segment)
{
    char start[TIME_TEXT_SIZE], end[TIME_TEXT_SIZE];
    time_format_utc(segment->start_us, start);
    time_format_utc(segment->end_us, end);
    json_t *request = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I}", "command", "segment",
        "camera", segment->camera, "stream", segment->stream, "id", segment->id, "path",
        segment->path, "start", start, "end", end, "bytes", (json_int_t)segment->bytes);
    char *text = request ? json_dumps(request, JSON_COMPACT) : NULL;
    char *line = text ? xasprintf("%s\n", text) : NULL;
    free(text);
    json_decref(request);
    return line;
}

void announce_put(struct announce *announce, const struct announce_segment *segment)
{
    if (announce->count == ANNOUNCE_WAITING_MAX) {
        announce_count_drop(announce, "too many wait already");
        return;
    }
    char *line = announce_line(segment);
    if (line == NULL) {
        announce_count_drop(announce, "its path is not UTF-8 text");
        return;
    }
    announce->lines[(announce->first + announce->count++) % ANNOUNCE_WAITING_MAX] = line;
    announce_go_on(announce);
}

void announce_filed(struct indexer *indexer, const struct filing *filing)
{
    const struct segment_id *id = &filing->file.id;
    const struct config_stream *stream =
        config_stream_find(indexer->config, id->camera, id->stream);
    if (stream == NULL || stream->recording.on_segment == NULL)
        return;
    char identity[SEGMENT_TEXT_SIZE];
    segment_id_format(id, identity);
    char *path = xasprintf("%s/%s", filing->volume->path, filing->row.key);
    announce_put(indexer->announce, &(struct announce_segment){
                                        .camera = id->camera,
                                        .stream = id->stream,
                                        .id = identity,
                                        .path = path,
                                        .start_us = filing->row.start_us,
                                        .end_us = filing->row.end_us,
                                        .bytes = filing->row.size_bytes,
                                    });
    free(path);
}

json_t *announce_status(const struct announce *announce)
{
    return json_pack("{s:I, s:I, s:I}", "sent", (json_int_t)announce->sent, "dropped",
        (json_int_t)announce->dropped, "waiting", (json_int_t)announce->count);
}
