// The I/O thread. See io.h.
#include "webui/io.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/timeutil.h"

struct io {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    struct io_job *first; // ascending by deadline, as they came
    struct io_job **last;
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

static void *io_main(void *arg)
{
    struct io *io = arg;
    pthread_mutex_lock(&io->mutex);
    while (!io->stopping) {
        if (io->first == NULL) {
            pthread_cond_wait(&io->wake, &io->mutex);
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
    pthread_cond_init(&io->wake, NULL);
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
    job->next = NULL;
    job->deadline_us = time_monotonic_us() + IO_WAIT_MAX_S * US_PER_SECOND;
    pthread_mutex_lock(&io->mutex);
    bool refused = io->stopping;
    if (!refused) {
        *io->last = job;
        io->last = &job->next;
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
