// What a child says, line by line, from its end of a pipe to a function of the owner's.
//
// It is always read, so that the child never blocks for long, but a flood is not looked at: beyond
// CHILDPIPE_SECOND_MAX bytes in a second it is thrown away, and a line says how much that was. Only
// the last lines before its end are given all the same.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <ev.h>
#include <jansson.h>

#include "lib/core/buf.h"
#include "supervisor/handover.h"

enum {
    CHILDPIPE_LINE_MAX = 8192,
    CHILDPIPE_LINE_CUT = 512, // given up at the end of a longer line: half a secret can't be masked
    CHILDPIPE_SECOND_MAX = 32 * 1024,
};

// A line without its end; control characters stand in it as they came.
typedef void (*childpipe_line_fn)(void *arg, const char *line);

// The other side has closed the pipe. May free it.
typedef void (*childpipe_end_fn)(void *arg);

struct childpipe {
    struct ev_loop *loop;
    int fd; // -1 when it has ended, or never was
    childpipe_line_fn line;
    void *line_arg;
    childpipe_end_fn end;
    void *end_arg;
    ev_io watcher;
    ev_timer pause; // in a flood
    struct buf text;
    struct buf tail;   // of what was left out in this second
    bool is_overlong;  // passing over the rest of a line
    int64_t second_us; // monotonic, when the current second began
    uint64_t bytes;    // in this second
    uint64_t left_out; // bytes of the flood so far
};

// Begins to read; `fd` (-1: there is no pipe) is ours from now on.
void childpipe_start(struct childpipe *childpipe, struct ev_loop *loop, int fd,
    childpipe_line_fn line, void *line_arg, childpipe_end_fn end, void *end_arg);

// Gives away what stands there without a line's end, and closes the pipe. The end function is not
// called.
void childpipe_stop(struct childpipe *childpipe);

// Stops it and frees what it holds.
void childpipe_fini(struct childpipe *childpipe);

// Goes on with it after an exec of ours, in the middle of a line, too.
json_t *childpipe_hand_over(struct handover_writer *writer, const struct childpipe *childpipe);
void childpipe_take_over(struct handover_reader *reader, json_t *object,
    struct childpipe *childpipe, struct ev_loop *loop, childpipe_line_fn line, void *line_arg,
    childpipe_end_fn end, void *end_arg);
