// links: kf-indexer
// What the supervisor is told of filed segments, by a supervisor of the test's own.
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

#include "indexer/announce.h"
#include "lib/core/alloc.h"
#include "lib/core/ctl.h"

enum {
    HEARD_MAX = 1024,
};

static struct {
    char *path; // of the socket
    struct ctl_server *server;
    ev_io watcher;
    bool refuses;
    size_t count;
    char *heard[HEARD_MAX]; // the requests
} supervisor;

static void supervisor_request(struct ctl_request *request, void *arg)
{
    (void)arg;
    assert_true(supervisor.count < HEARD_MAX);
    supervisor.heard[supervisor.count++] =
        json_dumps(ctl_request_json(request), JSON_COMPACT | JSON_SORT_KEYS);
    if (supervisor.refuses)
        ctl_fail(request, "forbidden", NULL, "no");
    else
        ctl_reply(request, json_object());
}

static void supervisor_cb(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)loop;
    (void)watcher;
    (void)events;
    ctl_server_dispatch(supervisor.server);
}

static void supervisor_start(void)
{
    char *cause = NULL;
    supervisor.server = ctl_server_open(supervisor.path, supervisor_request, NULL, &cause);
    if (supervisor.server == NULL)
        fail_msg("%s", cause);
    ev_io_init(&supervisor.watcher, supervisor_cb, ctl_server_fd(supervisor.server), EV_READ);
    ev_io_start(EV_DEFAULT, &supervisor.watcher);
}

static void supervisor_stop(void)
{
    ev_io_stop(EV_DEFAULT, &supervisor.watcher);
    ctl_server_close(supervisor.server);
    supervisor.server = NULL;
}

static int setup(void **state)
{
    char *directory = xstrdup("/tmp/test_announce.XXXXXX");
    assert_non_null(mkdtemp(directory));
    memset(&supervisor, 0, sizeof(supervisor));
    supervisor.path = xasprintf("%s/control.sock", directory);
    ev_default_loop(0);
    *state = directory;
    return 0;
}

static int teardown(void **state)
{
    for (size_t i = 0; i < supervisor.count; i++)
        free(supervisor.heard[i]);
    free(supervisor.path);
    assert_int_equal(rmdir(*state), 0);
    free(*state);
    return 0;
}

static void put(struct announce *announce, uint64_t bytes)
{
    announce_put(announce, &(struct announce_segment){
                               .camera = "door",
                               .stream = "main",
                               .id = "door/main/1700000000000-000001",
                               .path = "/v/door \"1\".mp4",
                               .start_us = INT64_C(1700000000000000),
                               .end_us = INT64_C(1700000060500000),
                               .bytes = bytes,
                           });
}

static int figure(const struct announce *announce, const char *name)
{
    json_t *status = announce_status(announce);
    int value = (int)json_integer_value(json_object_get(status, name));
    json_decref(status);
    return value;
}

static void run_until_nothing_waits(struct announce *announce)
{
    while (figure(announce, "waiting") > 0)
        ev_run(EV_DEFAULT, EVRUN_ONCE);
}

static void test_all_are_told_in_order(void **state)
{
    supervisor_start();
    struct announce *announce = announce_new(EV_DEFAULT, supervisor.path);
    for (uint64_t i = 1; i <= 100; i++)
        put(announce, i);
    run_until_nothing_waits(announce);
    assert_int_equal(figure(announce, "sent"), 100);
    assert_int_equal(figure(announce, "dropped"), 0);
    assert_int_equal(supervisor.count, 100);
    assert_string_equal(supervisor.heard[6],
        "{\"bytes\":7,\"camera\":\"door\",\"command\":\"segment\","
        "\"end\":\"2023-11-14T22:14:20.500000Z\",\"id\":\"door/main/1700000000000-000001\","
        "\"path\":\"/v/door \\\"1\\\".mp4\",\"start\":\"2023-11-14T22:13:20.000000Z\","
        "\"stream\":\"main\"}");
    announce_free(announce);
    supervisor_stop();
    (void)state;
}

static void test_without_a_supervisor_they_are_dropped_and_counted(void **state)
{
    struct announce *announce = announce_new(EV_DEFAULT, supervisor.path);
    put(announce, 1);
    put(announce, 2);
    assert_int_equal(figure(announce, "dropped"), 2);
    supervisor_start();
    put(announce, 3);
    run_until_nothing_waits(announce);
    assert_int_equal(figure(announce, "sent"), 1);
    supervisor.refuses = true;
    put(announce, 4);
    run_until_nothing_waits(announce);
    assert_int_equal(figure(announce, "dropped"), 3);
    // One is on its way when it goes.
    supervisor.refuses = false;
    put(announce, 5);
    supervisor_stop();
    run_until_nothing_waits(announce);
    assert_int_equal(figure(announce, "dropped"), 4);
    assert_int_equal(figure(announce, "sent"), 1);
    announce_free(announce);
    (void)state;
}

static void test_a_slow_supervisor_costs_a_bounded_queue(void **state)
{
    supervisor_start();
    struct announce *announce = announce_new(EV_DEFAULT, supervisor.path);
    for (uint64_t i = 0; i < 600; i++)
        put(announce, i); // the loop does not run: nobody answers
    assert_int_equal(figure(announce, "waiting"), 512);
    assert_int_equal(figure(announce, "dropped"), 88);
    run_until_nothing_waits(announce);
    assert_int_equal(figure(announce, "sent"), 512);
    assert_int_equal(supervisor.count, 512);
    put(announce, 1);
    announce_free(announce); // with one under way
    supervisor_stop();
    (void)state;
}

#define WITH_SUPERVISOR(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SUPERVISOR(test_all_are_told_in_order),
        WITH_SUPERVISOR(test_without_a_supervisor_they_are_dropped_and_counted),
        WITH_SUPERVISOR(test_a_slow_supervisor_costs_a_bounded_queue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
