// What a child says. See childpipe.h.
#include "supervisor/childpipe.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/core/alloc.h"
#include "lib/core/timeutil.h"

enum {
    CHILDPIPE_READ_MAX = 16 * 1024, // as much as the pipe holds
    CHILDPIPE_TAIL_MAX = 2 * 1024,  // of a flood: its last words
};

// How long a flooding child is left alone: it then fills its pipe and waits for us.
#define CHILDPIPE_PAUSE_S 0.02

static void childpipe_give(struct childpipe *childpipe)
{
    if (childpipe->text.size > 0)
        childpipe->line(childpipe->line_arg, buf_string(&childpipe->text));
    buf_consume(&childpipe->text, childpipe->text.size);
}

// Takes one more byte; gives the line away when it is whole.
static void childpipe_byte(struct childpipe *childpipe, char byte)
{
    if (byte == '\n' || byte == '\r') {
        childpipe_give(childpipe);
        childpipe->is_overlong = false;
    } else if (!childpipe->is_overlong && byte != '\0') {
        buf_put_u8(&childpipe->text, (uint8_t)byte);
        if (childpipe->text.size == CHILDPIPE_LINE_MAX) {
            childpipe->text.size -= CHILDPIPE_LINE_CUT;
            childpipe->is_overlong = true;
        }
    }
}

static void childpipe_tell_flood(struct childpipe *childpipe)
{
    if (childpipe->left_out == 0)
        return;
    char *text = xasprintf("(%" PRIu64 " bytes of a flood left out)", childpipe->left_out);
    childpipe->left_out = 0;
    childpipe->line(childpipe->line_arg, text);
    free(text);
}

// Tells of a flood in which the child has ended, and gives its last whole lines: they may say why.
static void childpipe_end_flood(struct childpipe *childpipe)
{
    struct buf *tail = &childpipe->tail;
    const uint8_t *newline = tail->size > 0 ? memchr(tail->data, '\n', tail->size) : NULL;
    buf_consume(tail, newline ? (size_t)(newline - tail->data) + 1 : tail->size);
    childpipe->left_out -= tail->size;
    childpipe_tell_flood(childpipe);
    childpipe->is_overlong = childpipe->is_overlong && tail->size == 0;
    for (size_t i = 0; i < tail->size; i++)
        childpipe_byte(childpipe, (char)tail->data[i]);
    buf_consume(tail, tail->size);
}

static void childpipe_turn_second(struct childpipe *childpipe, int64_t now_us)
{
    if (now_us - childpipe->second_us < US_PER_SECOND)
        return;
    childpipe->second_us = now_us;
    childpipe->bytes = 0;
    childpipe_tell_flood(childpipe);
    buf_consume(&childpipe->tail, childpipe->tail.size);
}

static void childpipe_set_pause(struct childpipe *childpipe, double seconds)
{
    ev_timer_stop(childpipe->loop, &childpipe->pause);
    ev_timer_set(&childpipe->pause, seconds, 0.);
    ev_timer_start(childpipe->loop, &childpipe->pause);
}

// Throws away what came, and the line that it broke into, up to the next end of a line.
static void childpipe_leave_out(struct childpipe *childpipe, const char *bytes, size_t size)
{
    struct buf *tail = &childpipe->tail;
    buf_put(tail, bytes, size);
    if (tail->size > CHILDPIPE_TAIL_MAX)
        buf_consume(tail, tail->size - CHILDPIPE_TAIL_MAX);
    childpipe->left_out += size + childpipe->text.size;
    buf_consume(&childpipe->text, childpipe->text.size);
    childpipe->is_overlong = true;
    ev_io_stop(childpipe->loop, &childpipe->watcher);
    childpipe_set_pause(childpipe, CHILDPIPE_PAUSE_S);
}

static void childpipe_take(struct childpipe *childpipe, const char *bytes, size_t size)
{
    childpipe_turn_second(childpipe, time_monotonic_us());
    childpipe->bytes += size;
    if (childpipe->bytes > CHILDPIPE_SECOND_MAX) {
        childpipe_leave_out(childpipe, bytes, size);
        return;
    }
    for (size_t i = 0; i < size; i++)
        childpipe_byte(childpipe, bytes[i]);
}

static void childpipe_read(struct childpipe *childpipe)
{
    char bytes[CHILDPIPE_READ_MAX];
    ssize_t got = read(childpipe->fd, bytes, sizeof(bytes));
    if (got > 0)
        childpipe_take(childpipe, bytes, (size_t)got);
    if (got > 0 || (got < 0 && (errno == EINTR || errno == EAGAIN)))
        return;
    childpipe_stop(childpipe);
    childpipe->end(childpipe->end_arg);
}

static void childpipe_cb(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)loop;
    (void)events;
    childpipe_read(watcher->data);
}

static void childpipe_pause_cb(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct childpipe *childpipe = timer->data;
    int64_t now_us = time_monotonic_us();
    (void)events;
    childpipe_turn_second(childpipe, now_us);
    // A flood that is over by then is told of at the end of its second.
    if (childpipe->left_out > 0)
        childpipe_set_pause(
            childpipe, (double)(childpipe->second_us + US_PER_SECOND - now_us) / US_PER_SECOND);
    ev_io_start(loop, &childpipe->watcher);
    childpipe_read(childpipe);
}

void childpipe_start(struct childpipe *childpipe, struct ev_loop *loop, int fd,
    childpipe_line_fn line, void *line_arg, childpipe_end_fn end, void *end_arg)
{
    *childpipe = (struct childpipe){
        .loop = loop, .fd = fd, .line = line, .line_arg = line_arg, .end = end, .end_arg = end_arg};
    if (fd < 0)
        return;
    fcntl(fd, F_SETFL, O_NONBLOCK);
    ev_io_init(&childpipe->watcher, childpipe_cb, fd, EV_READ);
    ev_timer_init(&childpipe->pause, childpipe_pause_cb, 0., 0.);
    childpipe->watcher.data = childpipe->pause.data = childpipe;
    ev_io_start(loop, &childpipe->watcher);
}

void childpipe_stop(struct childpipe *childpipe)
{
    if (childpipe->fd < 0)
        return;
    ev_io_stop(childpipe->loop, &childpipe->watcher);
    ev_timer_stop(childpipe->loop, &childpipe->pause);
    close(childpipe->fd);
    childpipe->fd = -1;
    childpipe_end_flood(childpipe);
    childpipe_give(childpipe);
}

void childpipe_fini(struct childpipe *childpipe)
{
    childpipe_stop(childpipe);
    buf_fini(&childpipe->text);
    buf_fini(&childpipe->tail);
}

json_t *childpipe_hand_over(struct handover_writer *writer, const struct childpipe *childpipe)
{
    return json_pack("{s:o, s:o, s:b, s:I, s:I, s:I, s:o}", "fd",
        handover_fd(writer, childpipe->fd), "text",
        handover_bytes(
            childpipe->text.size ? (const char *)childpipe->text.data : "", childpipe->text.size),
        "is_overlong", childpipe->is_overlong, "second_us", (json_int_t)childpipe->second_us,
        "bytes", (json_int_t)childpipe->bytes, "left_out", (json_int_t)childpipe->left_out, "pause",
        childpipe->fd < 0 ? json_null() : handover_timer(childpipe->loop, &childpipe->pause));
}

void childpipe_take_over(struct handover_reader *reader, json_t *object,
    struct childpipe *childpipe, struct ev_loop *loop, childpipe_line_fn line, void *line_arg,
    childpipe_end_fn end, void *end_arg)
{
    size_t size = 0;
    int fd = handover_take_fd(reader, object, "fd", S_IFIFO);
    if (fd >= 0 && line == NULL)
        handover_fail(reader, "the state has a pipe where there should be none");
    childpipe_start(childpipe, loop, fd, line, line_arg, end, end_arg);
    char *text = handover_take_bytes(reader, object, "text", CHILDPIPE_LINE_MAX - 1, &size);
    buf_put(&childpipe->text, text, size);
    free(text);
    childpipe->is_overlong = handover_take_bool(reader, object, "is_overlong");
    childpipe->second_us = handover_take_int(reader, object, "second_us", 0, INT64_MAX);
    childpipe->bytes = (uint64_t)handover_take_int(reader, object, "bytes", 0, INT64_MAX);
    childpipe->left_out = (uint64_t)handover_take_int(reader, object, "left_out", 0, INT64_MAX);
    if (fd >= 0 && handover_take_timer(reader, object, "pause", loop, &childpipe->pause))
        ev_io_stop(loop, &childpipe->watcher);
    else if (fd < 0)
        handover_take_or_null(reader, object, "pause", JSON_NULL);
    handover_end(reader, object);
}
