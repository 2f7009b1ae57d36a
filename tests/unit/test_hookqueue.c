// links: kf-supervisor
// Which hook runs next, and how many at once.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/core/alloc.h"
#include "supervisor/hookqueue.h"

static bool put(struct hookqueue *queue, enum hook_kind kind, const char *camera)
{
    struct hook_job *job = xcalloc(1, sizeof(*job));
    job->kind = kind;
    job->camera = xstrdup(camera);
    return hookqueue_put(queue, job);
}

// Takes one and expects it to be that camera's; NULL: none may run.
static void expect_take(struct hookqueue *queue, const char *camera)
{
    struct hook_job *job = hookqueue_take(queue);
    if (camera == NULL)
        assert_null(job);
    else
        assert_string_equal(job->camera, camera);
    hook_job_free(job);
}

static void test_first_come_first_served_streams_before_segments(void **state)
{
    struct hookqueue queue = {0};
    expect_take(&queue, NULL);
    put(&queue, HOOK_SEGMENT, "s1");
    put(&queue, HOOK_SEGMENT, "s2");
    put(&queue, HOOK_STREAM_DOWN, "d1");
    put(&queue, HOOK_STREAM_UP, "u1");
    assert_int_equal(hookqueue_waiting(&queue), 4);
    expect_take(&queue, "d1");
    expect_take(&queue, "u1");
    expect_take(&queue, "s1");
    put(&queue, HOOK_STREAM_DOWN, "d2");
    expect_take(&queue, "d2");
    expect_take(&queue, "s2");
    expect_take(&queue, NULL);
    assert_int_equal(queue.running, 5);
    (void)state;
}

static void test_segments_never_take_all_places(void **state)
{
    struct hookqueue queue = {0};
    for (int i = 0; i < 20; i++)
        put(&queue, HOOK_SEGMENT, "s");
    for (int i = 0; i < HOOKQUEUE_SEGMENTS_RUNNING_MAX; i++)
        expect_take(&queue, "s");
    expect_take(&queue, NULL);
    for (int i = 0; i < 3; i++)
        put(&queue, HOOK_STREAM_DOWN, "d");
    expect_take(&queue, "d");
    expect_take(&queue, "d");
    expect_take(&queue, NULL); // eight run
    hookqueue_ended(&queue, HOOK_SEGMENT);
    expect_take(&queue, "d");
    expect_take(&queue, NULL);
    hookqueue_ended(&queue, HOOK_SEGMENT);
    expect_take(&queue, "s");
    expect_take(&queue, NULL);
    hookqueue_ended(&queue, HOOK_STREAM_DOWN);
    expect_take(&queue, "s");
    hookqueue_ended(&queue, HOOK_STREAM_DOWN);
    expect_take(&queue, NULL); // seven run, six of them segments
    hookqueue_fini(&queue);
    (void)state;
}

static void test_a_flood_of_segments_leaves_room_for_streams(void **state)
{
    struct hookqueue queue = {0};
    for (int i = 0; i < HOOKQUEUE_SEGMENTS_WAITING_MAX; i++)
        assert_true(put(&queue, HOOK_SEGMENT, "s"));
    for (int i = 0; i < 7; i++)
        assert_false(put(&queue, HOOK_SEGMENT, "s"));
    assert_true(put(&queue, HOOK_STREAM_DOWN, "d"));
    assert_true(put(&queue, HOOK_STREAM_UP, "u"));
    assert_int_equal(queue.dropped[HOOK_SEGMENT], 7);
    assert_int_equal(queue.dropped[HOOK_STREAM_DOWN], 0);
    assert_int_equal(hookqueue_waiting(&queue), HOOKQUEUE_SEGMENTS_WAITING_MAX + 2);
    expect_take(&queue, "d");
    hookqueue_fini(&queue);
    assert_int_equal(hookqueue_waiting(&queue), 0);
    (void)state;
}

static void test_streams_have_a_bound_too(void **state)
{
    struct hookqueue queue = {0};
    for (int i = 0; i < HOOKQUEUE_STREAMS_WAITING_MAX; i++)
        assert_true(put(&queue, i % 2 ? HOOK_STREAM_DOWN : HOOK_STREAM_UP, "d"));
    assert_false(put(&queue, HOOK_STREAM_UP, "u"));
    assert_true(put(&queue, HOOK_SEGMENT, "s"));
    assert_int_equal(queue.dropped[HOOK_STREAM_UP], 1);
    hookqueue_fini(&queue);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_come_first_served_streams_before_segments),
        cmocka_unit_test(test_segments_never_take_all_places),
        cmocka_unit_test(test_a_flood_of_segments_leaves_room_for_streams),
        cmocka_unit_test(test_streams_have_a_bound_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
