// The I/O thread. See io.h.
#include "webui/io.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/core/alloc.h"
#include "lib/core/timeutil.h"

struct io {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    struct io_job *first; // ascending by deadline, as they came
    struct io_job **last;
    struct io_job *later; // not to run before their time; few, in no order
    bool stopping;
    bool joined;
    void *context;
};

static struct io_job *io_take(struct io *io)
{
    struct io_job *job = io->first;
    io->first = job->next;
    if (io->first == NULL)
        io->last = &io->first;
    return job;
}

static void io_append(struct io *io, struct io_job *job, int64_t now_us)
{
    job->next = NULL;
    job->deadline_us = now_us + IO_WAIT_MAX_S * US_PER_SECOND;
    *io->last = job;
    io->last = &job->next;
}

// Queues the jobs whose time has come. Returns when the next one's comes, 0 when there is none.
static int64_t io_wake_later(struct io *io, int64_t now_us)
{
    int64_t next_us = 0;
    for (struct io_job **place = &io->later; *place != NULL;) {
        struct io_job *job = *place;
        if (job->start_us <= now_us) {
            *place = job->next;
            io_append(io, job, now_us);
            continue;
        }
        if (next_us == 0 || job->start_us < next_us)
            next_us = job->start_us;
        place = &job->next;
    }
    return next_us;
}

// Waits for a job, or for the time of one that is to run later.
static void io_wait(struct io *io, int64_t until_us)
{
    const struct timespec until = {
        .tv_sec = until_us / US_PER_SECOND, .tv_nsec = until_us % US_PER_SECOND * 1000};
    if (until_us == 0)
        pthread_cond_wait(&io->wake, &io->mutex);
    else
        pthread_cond_timedwait(&io->wake, &io->mutex, &until);
}

static void *io_main(void *arg)
{
    struct io *io = arg;
    pthread_mutex_lock(&io->mutex);
    while (!io->stopping) {
        int64_t next_us = io->later ? io_wake_later(io, time_monotonic_us()) : 0;
        if (io->first == NULL) {
            io_wait(io, next_us);
            continue;
        }
        struct io_job *job = io_take(io);
        pthread_mutex_unlock(&io->mutex);
        job->run(job, io->context);
        job->done(job, false);
        pthread_mutex_lock(&io->mutex);
    }
    pthread_mutex_unlock(&io->mutex);
    return NULL;
}

struct io *io_start(void *context, char **cause)
{
    struct io *io = xcalloc(1, sizeof(*io));
    io->context = context;
    io->last = &io->first;
    pthread_mutex_init(&io->mutex, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&io->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    int error = pthread_create(&io->thread, NULL, io_main, io);
    if (error == 0) {
        pthread_setname_np(io->thread, "io");
        return io;
    }
    *cause = xasprintf("the I/O thread can not be started: %s", strerror(error));
    io->joined = true;
    io_free(io);
    return NULL;
}

void io_submit(struct io *io, struct io_job *job)
{
    pthread_mutex_lock(&io->mutex);
    bool refused = io->stopping;
    if (!refused) {
        io_append(io, job, time_monotonic_us());
        pthread_cond_signal(&io->wake);
    }
    pthread_mutex_unlock(&io->mutex);
    if (refused)
        job->done(job, true);
}

void io_submit_later(struct io *io, struct io_job *job, int64_t start_us)
{
    job->start_us = start_us;
    pthread_mutex_lock(&io->mutex);
    bool refused = io->stopping;
    if (!refused) {
        job->next = io->later;
        io->later = job;
        pthread_cond_signal(&io->wake);
    }
    pthread_mutex_unlock(&io->mutex);
    if (refused)
        job->done(job, true);
}

// Ends all waiting jobs whose deadline is at or before `limit_us`.
static void io_expire_until(struct io *io, int64_t limit_us)
{
    for (;;) {
        pthread_mutex_lock(&io->mutex);
        struct io_job *job = NULL;
        if (io->first != NULL && io->first->deadline_us <= limit_us)
            job = io_take(io);
        pthread_mutex_unlock(&io->mutex);
        if (job == NULL)
            return;
        job->done(job, true);
    }
}

void io_expire(struct io *io)
{
    io_expire_until(io, time_monotonic_us());
}

bool io_stopping(struct io *io)
{
    pthread_mutex_lock(&io->mutex);
    bool stopping = io->stopping;
    pthread_mutex_unlock(&io->mutex);
    return stopping;
}

void io_stop(struct io *io)
{
    pthread_mutex_lock(&io->mutex);
    io->stopping = true;
    io_wake_later(io, INT64_MAX - IO_WAIT_MAX_S * US_PER_SECOND);
    pthread_cond_signal(&io->wake);
    pthread_mutex_unlock(&io->mutex);
    io_expire_until(io, INT64_MAX);
    if (!io->joined)
        pthread_join(io->thread, NULL);
    io->joined = true;
}

void io_free(struct io *io)
{
    if (io == NULL)
        return;
    if (!io->joined)
        io_stop(io);
    pthread_cond_destroy(&io->wake);
    pthread_mutex_destroy(&io->mutex);
    free(io);
}
