// A thread with a queue, for work that blocks. It takes one job after the other and touches nothing
// but the job; what comes of it is taken up again in the event loop.
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct ev_loop;
struct worker;

// Stands first in the caller's own struct, which carries what the work needs and what it gives.
struct worker_job {
    void (*run)(struct worker_job *job);  // in the thread
    void (*done)(struct worker_job *job); // in the loop, afterwards: the job is the caller's again
    bool ran;                // whether the work was done, or given up because the worker ends
    struct worker_job *next; // the queue's own
};

// Starts the thread.
struct worker *worker_new(struct ev_loop *loop, const char *name);

// Queues a job behind, or before, all that wait. The job stays untouched by the caller until its
// done().
void worker_submit(struct worker *worker, struct worker_job *job);
void worker_submit_first(struct worker *worker, struct worker_job *job);

// Gives back the jobs that wait, undone: the one in hand takes too long.
void worker_recall(struct worker *worker);

// Jobs that wait or run.
size_t worker_pending(const struct worker *worker);

// Finishes the job in hand, gives up those that wait, calls done() for all of them and ends the
// thread.
void worker_free(struct worker *worker);

// The same, but does not wait longer than that for the job in hand: a disk may never answer.
// Returns false when it has not ended; then the thread is left behind with that job, what it names
// must stay for ever, and its done() is not called.
bool worker_end(struct worker *worker, int timeout_ms);
