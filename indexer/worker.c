// A thread with a queue. See worker.h.
#include "indexer/worker.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <ev.h>

#include "lib/core/alloc.h"
#include "lib/core/log.h"

struct worker_queue {
    struct worker_job *first;
    struct worker_job **end;
};

struct worker {
    struct ev_loop *loop;
    ev_async finished_event;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    pthread_cond_t over;
    struct worker_queue waiting;  // under the mutex
    struct worker_queue finished; // under the mutex
    bool stop;                    // under the mutex
    bool ended;                   // under the mutex: the thread does nothing more
    bool left_behind;             // under the mutex: nobody listens any more
    size_t pending;               // the loop's
};

static void worker_queue_init(struct worker_queue *queue)
{
    queue->first = NULL;
    queue->end = &queue->first;
}

static void worker_queue_put(struct worker_queue *queue, struct worker_job *job)
{
    job->next = NULL;
    *queue->end = job;
    queue->end = &job->next;
}

static void worker_queue_put_first(struct worker_queue *queue, struct worker_job *job)
{
    job->next = queue->first;
    if (queue->first == NULL)
        queue->end = &job->next;
    queue->first = job;
}

static struct worker_job *worker_queue_take(struct worker_queue *queue)
{
    struct worker_job *job = queue->first;
    if (job == NULL)
        return NULL;
    queue->first = job->next;
    if (queue->first == NULL)
        queue->end = &queue->first;
    return job;
}

static void *worker_main(void *arg)
{
    struct worker *worker = arg;
    pthread_mutex_lock(&worker->mutex);
    while (!worker->stop) {
        struct worker_job *job = worker_queue_take(&worker->waiting);
        if (job == NULL) {
            pthread_cond_wait(&worker->wake, &worker->mutex);
            continue;
        }
        pthread_mutex_unlock(&worker->mutex);
        job->run(job);
        job->ran = true;
        pthread_mutex_lock(&worker->mutex);
        if (worker->left_behind)
            break;
        worker_queue_put(&worker->finished, job);
        ev_async_send(worker->loop, &worker->finished_event);
    }
    worker->ended = true;
    pthread_cond_signal(&worker->over);
    pthread_mutex_unlock(&worker->mutex);
    return NULL;
}

static void worker_deliver(struct worker *worker)
{
    for (;;) {
        pthread_mutex_lock(&worker->mutex);
        struct worker_job *job = worker_queue_take(&worker->finished);
        pthread_mutex_unlock(&worker->mutex);
        if (job == NULL)
            return;
        worker->pending--;
        job->done(job);
    }
}

static void worker_finished_cb(struct ev_loop *loop, ev_async *event, int revents)
{
    (void)loop, (void)revents;
    worker_deliver(event->data);
}

// Signals are the loop's business.
static void worker_start(struct worker *worker, const char *name)
{
    sigset_t all, kept;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &kept);
    int error = pthread_create(&worker->thread, NULL, worker_main, worker);
    pthread_sigmask(SIG_SETMASK, &kept, NULL);
    if (error != 0) {
        log_err("no thread can be started: %s", strerror(error));
        abort();
    }
    pthread_setname_np(worker->thread, name);
}

struct worker *worker_new(struct ev_loop *loop, const char *name)
{
    struct worker *worker = xcalloc(1, sizeof(*worker));
    worker->loop = loop;
    worker_queue_init(&worker->waiting);
    worker_queue_init(&worker->finished);
    pthread_mutex_init(&worker->mutex, NULL);
    pthread_cond_init(&worker->wake, NULL);
    pthread_cond_init(&worker->over, NULL);
    ev_async_init(&worker->finished_event, worker_finished_cb);
    worker->finished_event.data = worker;
    ev_async_start(loop, &worker->finished_event);
    worker_start(worker, name);
    return worker;
}

static void worker_add(struct worker *worker, struct worker_job *job,
    void (*put)(struct worker_queue *, struct worker_job *))
{
    job->ran = false;
    worker->pending++;
    pthread_mutex_lock(&worker->mutex);
    put(&worker->waiting, job);
    pthread_cond_signal(&worker->wake);
    pthread_mutex_unlock(&worker->mutex);
}

void worker_submit(struct worker *worker, struct worker_job *job)
{
    worker_add(worker, job, worker_queue_put);
}

void worker_submit_first(struct worker *worker, struct worker_job *job)
{
    worker_add(worker, job, worker_queue_put_first);
}

void worker_recall(struct worker *worker)
{
    pthread_mutex_lock(&worker->mutex);
    for (struct worker_job *job; (job = worker_queue_take(&worker->waiting)) != NULL;)
        worker_queue_put(&worker->finished, job);
    pthread_mutex_unlock(&worker->mutex);
    ev_async_send(worker->loop, &worker->finished_event);
}

size_t worker_pending(const struct worker *worker)
{
    return worker->pending;
}

// Waits until the thread does nothing more; -1: for ever. Under the mutex. Returns whether that is
// so.
static bool worker_wait(struct worker *worker, int timeout_ms)
{
    struct timespec until;
    int error = 0;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += timeout_ms % 1000 * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    while (!worker->ended && error == 0)
        error = timeout_ms < 0 ? pthread_cond_wait(&worker->over, &worker->mutex)
                               : pthread_cond_clockwait(
                                     &worker->over, &worker->mutex, CLOCK_MONOTONIC, &until);
    return worker->ended;
}

// Gives up what waits and ends the thread. Returns whether it has ended.
static bool worker_stop(struct worker *worker, int timeout_ms)
{
    pthread_mutex_lock(&worker->mutex);
    worker->stop = true;
    pthread_cond_signal(&worker->wake);
    bool ended = worker_wait(worker, timeout_ms);
    worker->left_behind = !ended;
    for (struct worker_job *job; (job = worker_queue_take(&worker->waiting)) != NULL;)
        worker_queue_put(&worker->finished, job);
    pthread_mutex_unlock(&worker->mutex);
    if (ended)
        pthread_join(worker->thread, NULL);
    else
        pthread_detach(worker->thread);
    worker_deliver(worker);
    ev_async_stop(worker->loop, &worker->finished_event);
    return ended;
}

static void worker_discard(struct worker *worker)
{
    pthread_cond_destroy(&worker->over);
    pthread_cond_destroy(&worker->wake);
    pthread_mutex_destroy(&worker->mutex);
    free(worker);
}

void worker_free(struct worker *worker)
{
    if (worker == NULL)
        return;
    worker_stop(worker, -1);
    worker_discard(worker);
}

bool worker_end(struct worker *worker, int timeout_ms)
{
    bool ended = worker_stop(worker, timeout_ms);
    if (ended)
        worker_discard(worker);
    return ended;
}
