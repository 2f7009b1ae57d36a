// The I/O threads. See io.h.
#include "webui/io.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/core/alloc.h"
#include "lib/core/timeutil.h"

// It is there while it has a job.
struct io_lane {
    struct io_lane *next;
    uint64_t number;
    struct io_job *first; // ascending by turn and deadline
    struct io_job **last;
    unsigned running;
};

struct io {
    void (*begin)(void *context);
    pthread_t *threads;
    size_t thread_count;
    pthread_mutex_t mutex; // of all that follows
    pthread_cond_t wake;
    struct io_lane *lanes;
    struct io_job *later; // not to run before their time; few, in no order
    uint64_t turn;
    void **contexts; // the free ones, the last used one last
    size_t context_count;
    bool stopping;
    bool joined;
};

// --- Lanes; the mutex is held ---

static struct io_lane *io_lane(struct io *io, uint64_t number)
{
    for (struct io_lane *lane = io->lanes; lane != NULL; lane = lane->next)
        if (lane->number == number)
            return lane;
    struct io_lane *lane = xcalloc(1, sizeof(*lane));
    lane->number = number;
    lane->last = &lane->first;
    lane->next = io->lanes;
    io->lanes = lane;
    return lane;
}

// Drops a lane that has no job any more.
static void io_lane_settle(struct io *io, struct io_lane *lane)
{
    if (lane->first != NULL || lane->running > 0)
        return;
    struct io_lane **place = &io->lanes;
    while (*place != lane)
        place = &(*place)->next;
    *place = lane->next;
    free(lane);
}

static struct io_job *io_lane_take(struct io_lane *lane)
{
    struct io_job *job = lane->first;
    lane->first = job->next;
    if (lane->first == NULL)
        lane->last = &lane->first;
    return job;
}

static void io_append(struct io *io, struct io_job *job, int64_t now_us)
{
    struct io_lane *lane = io_lane(io, job->lane);
    job->next = NULL;
    job->turn = io->turn++;
    job->deadline_us = now_us + IO_WAIT_MAX_S * US_PER_SECOND;
    *lane->last = job;
    lane->last = &job->next;
    pthread_cond_signal(&io->wake);
}

static bool io_lane_is_full(const struct io_lane *lane)
{
    unsigned limit = lane->number == IO_LANE_REQUESTS ? IO_REQUEST_THREADS : IO_LANE_THREADS;
    return lane->running >= limit;
}

// The lane whose turn it is, or NULL.
static struct io_lane *io_next_lane(struct io *io)
{
    struct io_lane *next = NULL;
    for (struct io_lane *lane = io->lanes; lane != NULL; lane = lane->next)
        if (lane->first != NULL && !io_lane_is_full(lane) &&
            (next == NULL || lane->first->turn < next->first->turn))
            next = lane;
    return next;
}

// --- The threads ---

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

// Runs a lane's first job, with the mutex given back meanwhile.
static void io_run(struct io *io, struct io_lane *lane)
{
    struct io_job *job = io_lane_take(lane);
    void *context = io->contexts[--io->context_count];
    lane->running++;
    pthread_mutex_unlock(&io->mutex);
    if (io->begin != NULL)
        io->begin(context);
    job->run(job, context);
    job->done(job, false);
    pthread_mutex_lock(&io->mutex);
    lane->running--;
    io->contexts[io->context_count++] = context;
    io_lane_settle(io, lane);
}

static void *io_main(void *arg)
{
    struct io *io = arg;
    pthread_mutex_lock(&io->mutex);
    while (!io->stopping) {
        int64_t next_us = io->later ? io_wake_later(io, time_monotonic_us()) : 0;
        struct io_lane *lane = io_next_lane(io);
        if (lane != NULL)
            io_run(io, lane);
        else
            io_wait(io, next_us);
    }
    pthread_mutex_unlock(&io->mutex);
    return NULL;
}

static int io_start_thread(struct io *io)
{
    char name[16];
    int error = pthread_create(&io->threads[io->thread_count], NULL, io_main, io);
    if (error != 0)
        return error;
    snprintf(name, sizeof(name), "io-%zu", io->thread_count);
    pthread_setname_np(io->threads[io->thread_count++], name);
    return 0;
}

struct io *io_start(const struct io_crew *crew, char **cause)
{
    size_t count = crew->count;
    struct io *io = xcalloc(1, sizeof(*io));
    io->threads = xcalloc(count, sizeof(io->threads[0]));
    io->contexts = xcalloc(count, sizeof(io->contexts[0]));
    memcpy(io->contexts, crew->contexts, count * sizeof(crew->contexts[0]));
    io->begin = crew->begin;
    io->context_count = count;
    pthread_mutex_init(&io->mutex, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&io->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    int error = 0;
    for (size_t i = 0; i < count && error == 0; i++)
        error = io_start_thread(io);
    if (error == 0)
        return io;
    *cause = xasprintf("the I/O threads can not be started: %s", strerror(error));
    io_free(io);
    return NULL;
}

// --- Jobs ---

// `start_us` 0: at once.
static void io_take(struct io *io, struct io_job *job, int64_t start_us)
{
    job->start_us = start_us;
    pthread_mutex_lock(&io->mutex);
    bool refused = io->stopping;
    if (!refused && start_us == 0) {
        io_append(io, job, time_monotonic_us());
    } else if (!refused) {
        job->next = io->later;
        io->later = job;
        pthread_cond_signal(&io->wake);
    }
    pthread_mutex_unlock(&io->mutex);
    if (refused)
        job->done(job, true);
}

void io_submit(struct io *io, struct io_job *job)
{
    io_take(io, job, 0);
}

void io_submit_later(struct io *io, struct io_job *job, int64_t start_us)
{
    io_take(io, job, start_us);
}

// Takes a waiting job whose deadline is at or before `limit_us`, or returns NULL.
static struct io_job *io_overdue(struct io *io, int64_t limit_us)
{
    for (struct io_lane *lane = io->lanes; lane != NULL; lane = lane->next) {
        if (lane->first == NULL || lane->first->deadline_us > limit_us)
            continue;
        struct io_job *job = io_lane_take(lane);
        io_lane_settle(io, lane);
        return job;
    }
    return NULL;
}

// Ends all waiting jobs whose deadline is at or before `limit_us`.
static void io_expire_until(struct io *io, int64_t limit_us)
{
    for (;;) {
        pthread_mutex_lock(&io->mutex);
        struct io_job *job = io_overdue(io, limit_us);
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
    pthread_cond_broadcast(&io->wake);
    pthread_mutex_unlock(&io->mutex);
    io_expire_until(io, INT64_MAX);
    for (size_t i = 0; !io->joined && i < io->thread_count; i++)
        pthread_join(io->threads[i], NULL);
    io->joined = true;
}

void io_free(struct io *io)
{
    if (io == NULL)
        return;
    io_stop(io);
    pthread_cond_destroy(&io->wake);
    pthread_mutex_destroy(&io->mutex);
    free(io->threads);
    free(io->contexts);
    free(io);
}
