// links: kf-indexer
// A thread with a queue: order, work that is given back, and a job that never ends.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>
#include <ev.h>

#include "indexer/worker.h"
#include "lib/core/alloc.h"

enum {
    JOBS = 4,
};

struct job {
    struct worker_job job;
    int wait_fd; // it ends when this becomes readable; -1: at once
    int begun_fd;
    int done; // which one it was
};

static int done_count;

static void job_run(struct worker_job *job)
{
    struct job *own = (struct job *)job;
    char byte = 0;
    if (own->begun_fd >= 0)
        assert_int_equal(write(own->begun_fd, &byte, 1), 1);
    if (own->wait_fd >= 0)
        assert_int_equal(read(own->wait_fd, &byte, 1), 1);
}

static void job_done(struct worker_job *job)
{
    ((struct job *)job)->done = ++done_count;
}

static void jobs_init(struct job *jobs)
{
    done_count = 0;
    for (size_t i = 0; i < JOBS; i++)
        jobs[i] = (struct job){{.run = job_run, .done = job_done}, -1, -1, 0};
}

static void jobs_run_in_order_and_urgent_ones_first(void **state)
{
    (void)state;
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    struct worker *worker = worker_new(loop, "test");
    struct job jobs[JOBS];
    int go[2], begun[2];
    char byte = 0;
    jobs_init(jobs);
    assert_int_equal(pipe(go), 0);
    assert_int_equal(pipe(begun), 0);
    jobs[0].wait_fd = go[0];
    jobs[0].begun_fd = begun[1];
    worker_submit(worker, &jobs[0].job);
    assert_int_equal(read(begun[0], &byte, 1), 1);
    worker_submit(worker, &jobs[1].job);
    worker_submit(worker, &jobs[2].job);
    worker_submit_first(worker, &jobs[3].job);
    assert_int_equal(worker_pending(worker), 4);
    assert_int_equal(write(go[1], &byte, 1), 1);
    while (worker_pending(worker) > 0)
        ev_run(loop, EVRUN_ONCE);
    const int expected[JOBS] = {1, 3, 4, 2};
    for (size_t i = 0; i < JOBS; i++) {
        assert_int_equal(jobs[i].done, expected[i]);
        assert_true(jobs[i].job.ran);
    }
    worker_free(worker);
    ev_loop_destroy(loop);
}

static void what_waits_is_given_back(void **state)
{
    (void)state;
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    struct worker *worker = worker_new(loop, "test");
    struct job jobs[JOBS];
    int go[2], begun[2];
    char byte = 0;
    jobs_init(jobs);
    assert_int_equal(pipe(go), 0);
    assert_int_equal(pipe(begun), 0);
    jobs[0].wait_fd = go[0];
    jobs[0].begun_fd = begun[1];
    for (size_t i = 0; i < JOBS; i++)
        worker_submit(worker, &jobs[i].job);
    assert_int_equal(read(begun[0], &byte, 1), 1);
    worker_recall(worker);
    while (worker_pending(worker) > 1)
        ev_run(loop, EVRUN_ONCE);
    for (size_t i = 1; i < JOBS; i++) {
        assert_int_equal(jobs[i].done, (int)i);
        assert_false(jobs[i].job.ran);
    }
    assert_int_equal(write(go[1], &byte, 1), 1);
    assert_true(worker_end(worker, 60000));
    assert_true(jobs[0].job.ran);
    assert_int_equal(jobs[0].done, JOBS);
    ev_loop_destroy(loop);
}

static struct worker *left_behind; // still reachable: it is meant to stay

static void a_job_that_never_ends_is_left_behind(void **state)
{
    (void)state;
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    static struct job jobs[JOBS];
    int go[2], begun[2];
    char byte = 0;
    jobs_init(jobs);
    assert_int_equal(pipe(go), 0);
    assert_int_equal(pipe(begun), 0);
    jobs[0].wait_fd = go[0];
    jobs[0].begun_fd = begun[1];
    left_behind = worker_new(loop, "test");
    worker_submit(left_behind, &jobs[0].job);
    worker_submit(left_behind, &jobs[1].job);
    assert_int_equal(read(begun[0], &byte, 1), 1);
    assert_false(worker_end(left_behind, 50));
    assert_int_equal(jobs[1].done, 1);
    assert_false(jobs[1].job.ran);
    assert_int_equal(jobs[0].done, 0);
    ev_loop_destroy(loop);
    // Should it end after all, it disturbs nobody.
    assert_int_equal(write(go[1], &byte, 1), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_run_in_order_and_urgent_ones_first),
        cmocka_unit_test(what_waits_is_given_back),
        cmocka_unit_test(a_job_that_never_ends_is_left_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
