// links: kf-supervisor
// Hooks as children: what they are told, and what comes of them. Webhooks are tested with a real
// server in the whole-system tests.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <ev.h>

#include "lib/core/alloc.h"
#include "lib/core/fsutil.h"
#include "lib/core/timeutil.h"
#include "supervisor/hookevent.h"
#include "supervisor/hooks.h"

static int enter_directory(void **state)
{
    char *directory = xstrdup("/tmp/test_hooks.XXXXXX");
    assert_non_null(mkdtemp(directory));
    assert_int_equal(chdir(directory), 0);
    *state = directory;
    return 0;
}

static int leave_directory(void **state)
{
    remove("told");
    assert_int_equal(chdir("/"), 0);
    assert_int_equal(rmdir(*state), 0);
    free(*state);
    return 0;
}

static void idle(void *arg)
{
    ev_break(arg, EVBREAK_ALL);
}

static struct hooks *hooks_of_test(void)
{
    static char *const environment[] = {"PATH=/usr/bin:/bin", NULL};
    struct ev_loop *loop = ev_default_loop(0);
    struct hooks *hooks = hooks_new(loop, idle, loop);
    hooks_set_environment(hooks, environment);
    return hooks;
}

// Posts a shell script as a hook.
static void post(struct hooks *hooks, enum hook_kind kind, const char *script, int timeout_s)
{
    char *words[] = {"/bin/sh", "-c", (char *)script};
    const struct config_hook hook = {
        .command = {words, ARRAY_LENGTH(words)}, .timeout_us = timeout_s * US_PER_SECOND};
    json_t *event = hookevent_new(kind, "n", "door", "main", 0);
    json_object_set_new(event, "reason", json_string("$(reboot) 'x'"));
    hooks_post(hooks, kind, &hook, "door", "main", event);
}

// Runs the loop until no hook runs any more.
static void run_all(struct hooks *hooks)
{
    while (!hooks_are_idle(hooks))
        ev_run(ev_default_loop(0), EVRUN_ONCE);
}

static void expect_counts(struct hooks *hooks, enum hook_kind kind, int run, int failed)
{
    json_t *status = hooks_status(hooks);
    json_t *counts = json_object_get(json_object_get(status, "by_event"), hook_kind_name(kind));
    assert_int_equal(json_integer_value(json_object_get(counts, "run")), run);
    assert_int_equal(json_integer_value(json_object_get(counts, "failed")), failed);
    assert_int_equal(json_integer_value(json_object_get(status, "running")), 0);
    json_decref(status);
}

static void expect_told(const char *expected)
{
    size_t size;
    char *cause = NULL;
    char *text = fs_read_file("told", 65536, &size, &cause);
    if (text == NULL)
        fail_msg("%s", cause);
    assert_string_equal(text, expected);
    free(text);
}

static void test_a_command_is_told_by_environment_and_input(void **state)
{
    struct hooks *hooks = hooks_of_test();
    post(hooks, HOOK_STREAM_DOWN,
        "{ cat; echo; echo $KEEPFRAME_CAMERA; "
        "echo \"$KEEPFRAME_REASON\"; } > told",
        30);
    run_all(hooks);
    expect_told("{\"event\":\"stream_down\",\"node\":\"n\",\"camera\":\"door\",\"stream\":\"main\","
                "\"time\":\"1970-01-01T00:00:00.000000Z\",\"reason\":\"$(reboot) 'x'\"}\n"
                "door\n$(reboot) 'x'\n");
    expect_counts(hooks, HOOK_STREAM_DOWN, 1, 0);
    hooks_free(hooks);
    (void)state;
}

static void test_failures_are_counted(void **state)
{
    struct hooks *hooks = hooks_of_test();
    post(hooks, HOOK_STREAM_UP, "exit 3", 30);
    post(hooks, HOOK_STREAM_UP, "echo 'no route to rtsp://u:p@h/' >&2; exit 1", 30);
    post(hooks, HOOK_STREAM_UP, "kill -SEGV $$", 30);
    post(hooks, HOOK_STREAM_UP, "exit 0", 30);
    run_all(hooks);
    expect_counts(hooks, HOOK_STREAM_UP, 4, 3);

    char *words[] = {"/nonexistent/program"};
    const struct config_hook hook = {.command = {words, 1}, .timeout_us = US_PER_SECOND};
    hooks_post(hooks, HOOK_STREAM_UP, &hook, "door", "main",
        hookevent_new(HOOK_STREAM_UP, "n", "door", "main", 0));
    hooks_post(hooks, HOOK_STREAM_UP, NULL, "door", "main",
        hookevent_new(HOOK_STREAM_UP, "n", "door", "main", 0));
    run_all(hooks);
    expect_counts(hooks, HOOK_STREAM_UP, 5, 4);
    hooks_free(hooks);
    (void)state;
}

// Its children, too: the second sleep would hold the pipe of its stderr for a minute.
static void test_one_that_hangs_is_killed_with_what_it_has_started(void **state)
{
    struct hooks *hooks = hooks_of_test();
    int64_t start_us = time_monotonic_us();
    post(hooks, HOOK_SEGMENT, "trap '' TERM; sleep 60 & sleep 60", 1);
    run_all(hooks);
    expect_counts(hooks, HOOK_SEGMENT, 1, 1);
    assert_true(time_monotonic_us() - start_us < 50 * US_PER_SECOND);
    hooks_free(hooks);
    (void)state;
}

static void test_a_flood_is_bounded(void **state)
{
    struct hooks *hooks = hooks_of_test();
    int count = 2 * HOOKQUEUE_SEGMENTS_WAITING_MAX;
    for (int i = 0; i < count; i++)
        post(hooks, HOOK_SEGMENT, "exec sleep 60", 60);
    json_t *status = hooks_status(hooks);
    json_t *counts = json_object_get(json_object_get(status, "by_event"), "segment");
    int dropped = (int)json_integer_value(json_object_get(counts, "dropped"));
    assert_int_equal(
        dropped, count - HOOKQUEUE_SEGMENTS_WAITING_MAX - HOOKQUEUE_SEGMENTS_RUNNING_MAX);
    assert_int_equal(
        json_integer_value(json_object_get(status, "running")), HOOKQUEUE_SEGMENTS_RUNNING_MAX);
    assert_int_equal(
        json_integer_value(json_object_get(status, "waiting")), HOOKQUEUE_SEGMENTS_WAITING_MAX);
    json_decref(status);

    // The end: what waits is forgotten, what runs gets a signal.
    hooks_stop(hooks);
    ev_run(ev_default_loop(0), 0);
    assert_true(hooks_are_idle(hooks));
    expect_counts(hooks, HOOK_SEGMENT, HOOKQUEUE_SEGMENTS_RUNNING_MAX, 0);
    post(hooks, HOOK_SEGMENT, "exit 0", 60);
    assert_true(hooks_are_idle(hooks));
    hooks_free(hooks);
    (void)state;
}

#define IN_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, enter_directory, leave_directory)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_DIRECTORY(test_a_command_is_told_by_environment_and_input),
        cmocka_unit_test(test_failures_are_counted),
        cmocka_unit_test(test_one_that_hangs_is_killed_with_what_it_has_started),
        cmocka_unit_test(test_a_flood_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
