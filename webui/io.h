// The I/O threads: run jobs that may block, so that the HTTP thread never has to. Each job stands
// in a lane, which stands for what it may have to wait for, as one disk: jobs of one lane begin in
// order, and a lane holds a bounded number of threads at once, so a disk that does not answer
// leaves the others theirs. What a job touches belongs to it until it is done.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct io;

enum {
    IO_THREADS = 8,
    IO_LANE_THREADS = 2,    // of a disk's lane
    IO_REQUEST_THREADS = 4, // of that of requests
    IO_WAIT_MAX_S = 30,     // a job that has not begun by then is expired
    IO_LANE_REQUESTS = 0,   // requests, with what they read of the catalog and the cache
    IO_LANE_DISKS = 1,      // and whatever follows: a disk's number as its lane
};

struct io_job {
    // In an I/O thread; `context` is one that io_start() was given, no other job's meanwhile.
    void (*run)(struct io_job *job, void *context);
    // Exactly once for each job: after run(), or with `expired` instead of it when the job could
    // not begin in time or the threads are being stopped. In any thread; the job is the callee's
    // again.
    void (*done)(struct io_job *job, bool expired);
    uint64_t lane;
    // Set by io_submit():
    int64_t deadline_us; // monotonic
    int64_t start_us;    // monotonic; of one that is to run later
    uint64_t turn;
    struct io_job *next;
};

struct io_crew {
    void *const *contexts;
    size_t count;
    void (*begin)(void *context); // before each job, in its thread; NULL: nothing
};

// Starts a thread for each context. Always the one that was used last is used next, so that with
// little to do there is one whose caches are warm. Returns NULL with *cause set on failure.
struct io *io_start(const struct io_crew *crew, char **cause);

void io_submit(struct io *io, struct io_job *job);

// The same, but not before that moment (monotonic).
void io_submit_later(struct io *io, struct io_job *job, int64_t start_us);

// Ends the jobs that have waited too long behind a disk that does not answer. To be called now and
// then from a thread that never blocks.
void io_expire(struct io *io);

bool io_stopping(struct io *io);

// Ends all waiting jobs as expired, and the threads once their jobs are done. Jobs submitted later
// are expired at once.
void io_stop(struct io *io);
void io_free(struct io *io);
