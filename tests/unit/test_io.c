// links: kf-webui
// The I/O threads: every job is done exactly once, in order, also when the thread ends.
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <semaphore.h>

#include "lib/core/timeutil.h"
#include "webui/io.h"

struct job {
    struct io_job job;
    int number;
    bool ran;
    int done;
    bool expired;
    sem_t *go; // waited for in run()
    sem_t *begun;
};

static int order[64];
static atomic_int order_count;
static sem_t finished;

static void job_run(struct io_job *job, void *context)
{
    struct job *self = (struct job *)job;
    *(int *)context += 1;
    self->ran = true;
    if (self->begun != NULL)
        sem_post(self->begun);
    if (self->go != NULL)
        sem_wait(self->go);
}

static void job_done(struct io_job *job, bool expired)
{
    struct job *self = (struct job *)job;
    self->done++;
    self->expired = expired;
    order[order_count++] = self->number;
    sem_post(&finished);
}

static struct job job_make(int number)
{
    return (struct job){.job = {.run = job_run, .done = job_done}, .number = number};
}

static struct io *start(int *context, char **cause)
{
    void *const contexts[] = {context};
    return io_start(&(const struct io_crew){.contexts = contexts, .count = 1}, cause);
}

static void test_jobs_run_in_order(void **state)
{
    (void)state;
    char *cause = NULL;
    int context = 0;
    struct job jobs[20];
    sem_init(&finished, 0, 0);
    order_count = 0;
    struct io *io = start(&context, &cause);
    assert_non_null(io);
    for (int i = 0; i < 20; i++) {
        jobs[i] = job_make(i);
        io_submit(io, &jobs[i].job);
    }
    for (int i = 0; i < 20; i++)
        sem_wait(&finished);
    io_free(io);
    assert_int_equal(context, 20);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(order[i], i);
        assert_true(jobs[i].ran);
        assert_false(jobs[i].expired);
        assert_int_equal(jobs[i].done, 1);
    }
}

// While one job hangs, those that have waited too long are ended, and the hanging one is let be.
static void test_waiting_jobs_expire(void **state)
{
    (void)state;
    char *cause = NULL;
    int context = 0;
    sem_t go, begun;
    sem_init(&go, 0, 0);
    sem_init(&begun, 0, 0);
    sem_init(&finished, 0, 0);
    struct job hanging = job_make(0), waiting = job_make(1), late = job_make(2);
    hanging.go = &go;
    hanging.begun = &begun;
    struct io *io = start(&context, &cause);
    io_submit(io, &hanging.job);
    sem_wait(&begun);
    io_submit(io, &waiting.job);
    io_submit(io, &late.job);
    waiting.job.deadline_us = 0; // as if it had waited long
    io_expire(io);
    assert_int_equal(waiting.done, 1);
    assert_true(waiting.expired);
    assert_false(waiting.ran);
    assert_int_equal(late.done, 0);
    assert_int_equal(hanging.done, 0);
    sem_post(&go);
    sem_wait(&finished);
    sem_wait(&finished);
    sem_wait(&finished);
    io_free(io);
    assert_true(hanging.ran && !hanging.expired && late.ran && !late.expired);
}

static void test_a_stop_ends_all_jobs(void **state)
{
    (void)state;
    char *cause = NULL;
    int context = 0;
    sem_t begun;
    sem_init(&begun, 0, 0);
    sem_init(&finished, 0, 0);
    sem_t go;
    sem_init(&go, 0, 0);
    struct job running = job_make(0), waiting = job_make(1), after = job_make(2);
    running.begun = &begun;
    running.go = &go;
    struct io *io = start(&context, &cause);
    io_submit(io, &running.job);
    sem_wait(&begun);
    io_submit(io, &waiting.job);
    sem_post(&go);
    io_stop(io);
    assert_true(io_stopping(io));
    io_submit(io, &after.job);
    assert_int_equal(running.done, 1);
    assert_false(running.expired);
    assert_int_equal(waiting.done, 1);
    assert_int_equal(after.done, 1);
    assert_true(after.expired);
    assert_false(after.ran);
    io_free(io);
}

static void test_later_jobs_wait_for_their_time(void **state)
{
    (void)state;
    char *cause = NULL;
    int context = 0;
    struct job soon = job_make(1), later = job_make(2), never = job_make(3);
    sem_init(&finished, 0, 0);
    order_count = 0;
    struct io *io = start(&context, &cause);
    assert_non_null(io);
    int64_t start_us = time_monotonic_us() + US_PER_SECOND / 5;
    io_submit_later(io, &never.job, start_us + 3600 * US_PER_SECOND);
    io_submit_later(io, &later.job, start_us);
    io_submit(io, &soon.job);
    sem_wait(&finished);
    sem_wait(&finished);
    assert_true(time_monotonic_us() >= start_us);
    assert_int_equal(order[0], 1);
    assert_int_equal(order[1], 2);
    assert_true(later.ran && !later.expired);
    io_stop(io);
    assert_true(never.done == 1 && never.expired && !never.ran);
    io_free(io);
}

// A disk that does not answer holds its lane's threads, and the others are free for everybody else.
static void test_a_stuck_lane_leaves_the_others_theirs(void **state)
{
    (void)state;
    char *cause = NULL;
    int counts[IO_THREADS] = {0};
    void *contexts[IO_THREADS];
    for (int i = 0; i < IO_THREADS; i++)
        contexts[i] = &counts[i];
    sem_t go, begun;
    sem_init(&go, 0, 0);
    sem_init(&begun, 0, 0);
    sem_init(&finished, 0, 0);
    order_count = 0;
    struct io *io =
        io_start(&(const struct io_crew){.contexts = contexts, .count = IO_THREADS}, &cause);
    assert_non_null(io);
    struct job stuck[8], others[20];
    for (int i = 0; i < 8; i++) {
        stuck[i] = job_make(i);
        stuck[i].job.lane = IO_LANE_DISKS + 3;
        stuck[i].go = &go;
        stuck[i].begun = &begun;
        io_submit(io, &stuck[i].job);
    }
    for (int i = 0; i < IO_LANE_THREADS; i++)
        sem_wait(&begun);
    for (int i = 0; i < 20; i++) {
        others[i] = job_make(100 + i);
        others[i].job.lane = (uint64_t)i % 3;
        io_submit(io, &others[i].job);
    }
    for (int i = 0; i < 20; i++)
        sem_wait(&finished);
    int begun_count;
    sem_getvalue(&begun, &begun_count);
    assert_int_equal(begun_count, 0); // no third one of the stuck lane
    for (int i = 0; i < 20; i++)
        assert_true(others[i].ran && others[i].done == 1);
    for (int i = 0; i < 8; i++)
        assert_int_equal(stuck[i].done, 0);
    for (int i = 0; i < 8; i++)
        sem_post(&go);
    for (int i = 0; i < 8; i++)
        sem_wait(&finished);
    io_free(io);
    int total = 0;
    for (int i = 0; i < IO_THREADS; i++)
        total += counts[i];
    assert_int_equal(total, 28);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_jobs_run_in_order),
        cmocka_unit_test(test_waiting_jobs_expire),
        cmocka_unit_test(test_a_stop_ends_all_jobs),
        cmocka_unit_test(test_later_jobs_wait_for_their_time),
        cmocka_unit_test(test_a_stuck_lane_leaves_the_others_theirs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
