// The I/O thread: runs jobs that may block, one at a time and in order, so that the HTTP thread
// never has to. What a job touches belongs to it until it is done.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct io;

struct io_job {
    // In the I/O thread; `context` is what io_start() was given.
    void (*run)(struct io_job *job, void *context);
    // Exactly once for each job: after run(), or with `expired` instead of it when the job could
    // not begin in time or the thread is being stopped. In any thread; the job is the callee's
    // again.
    void (*done)(struct io_job *job, bool expired);
    int64_t deadline_us; // monotonic; set by io_submit()
    int64_t start_us;    // monotonic; of one that is to run later
    struct io_job *next;
};

enum {
    IO_WAIT_MAX_S = 30, // a job that has not begun by then is expired
};

// Starts the thread. Returns NULL with *cause set on failure.
struct io *io_start(void *context, char **cause);

void io_submit(struct io *io, struct io_job *job);

// The same, but not before that moment (monotonic).
void io_submit_later(struct io *io, struct io_job *job, int64_t start_us);

// Ends the jobs that have waited too long behind a disk that does not answer. To be called now and
// then from a thread that never blocks.
void io_expire(struct io *io);

bool io_stopping(struct io *io);

// Ends all waiting jobs as expired, and the thread once its job is done. Jobs submitted later are
// expired at once.
void io_stop(struct io *io);
void io_free(struct io *io);
