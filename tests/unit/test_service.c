// links: kf-supervisor
// Supervised programs of ours: heartbeats, the end of what gives none, hang-ups at the start.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <signal.h>

#include <cmocka.h>

#include "lib/core/alloc.h"
#include "lib/core/timeutil.h"
#include "supervisor/service.h"

static void idle_cb(void *arg)
{
    (*(int *)arg)++;
}

static struct service *start(const char *const *argv, int *idles)
{
    *idles = 0;
    struct service *service = service_new(EV_DEFAULT, argv, 0, idle_cb, idles);
    service_start(service);
    assert_true(service_pid(service) > 0);
    return service;
}

static struct service *start_shell(const char *script, int *idles)
{
    const char *argv[] = {"/bin/sh", "-c", script, NULL};
    return start(argv, idles);
}

static void wait_for_a_failure(struct service *service, uint64_t restarts)
{
    while (service_restarts(service) < restarts)
        ev_run(EV_DEFAULT, EVRUN_ONCE);
}

static void stop(struct service *service, const int *idles)
{
    service_stop(service);
    while (*idles == 0)
        ev_run(EV_DEFAULT, EVRUN_ONCE);
    service_free(service);
}

// Lets the loop go round until what the service has said for sure has been heard: it ends then.
static void expect_alive_at(struct service *service, int64_t now_us)
{
    service_tick(service, now_us);
    assert_int_equal(service_hangs(service), 0);
}

static void turn_loop(double seconds)
{
    ev_sleep(seconds);
    ev_run(EV_DEFAULT, EVRUN_NOWAIT);
}

static void test_one_that_never_gives_a_sign(void **state)
{
    int idles;
    struct service *service = start_shell("exec sleep 60", &idles);
    int64_t now_us = time_monotonic_us();
    expect_alive_at(service, now_us + 590 * US_PER_SECOND);
    service_tick(service, now_us + 601 * US_PER_SECOND);
    assert_int_equal(service_hangs(service), 1);
    wait_for_a_failure(service, 1);
    assert_non_null(strstr(service_last_failure(service), "/bin/sh gave no sign of life for "));
    assert_non_null(strstr(service_last_failure(service), " and was ended"));
    stop(service, &idles);
    (void)state;
}

static void test_one_that_falls_silent_and_heeds_no_sigterm(void **state)
{
    int idles;
    struct service *service =
        start_shell("trap '' TERM; echo beat >&4; echo beat >&4; exec sleep 60", &idles);
    // The first beat is heard: from then on a minute is the limit, not ten.
    int64_t start_us = time_monotonic_us();
    do {
        turn_loop(0.01);
        service_tick(service, time_monotonic_us() + 120 * US_PER_SECOND);
    } while (service_hangs(service) == 0);
    assert_true(time_monotonic_us() - start_us < 400 * US_PER_SECOND);
    pid_t pid = service_pid(service);
    int64_t now_us = time_monotonic_us();
    service_tick(service, now_us + 9 * US_PER_SECOND);
    turn_loop(0.2);
    assert_int_equal(service_pid(service), pid);
    service_tick(service, now_us + 11 * US_PER_SECOND);
    wait_for_a_failure(service, 1);
    assert_non_null(strstr(service_last_failure(service), " and was killed"));
    assert_int_equal(service_hangs(service), 1);
    stop(service, &idles);
    (void)state;
}

static void test_signs_and_forgiveness_keep_it(void **state)
{
    int idles;
    struct service *service = start_shell("exec sleep 60", &idles);
    int64_t now_us = time_monotonic_us();
    assert_int_equal(service_heartbeat_us(service), 0);
    service_forgive(service, now_us + 1000 * US_PER_SECOND);
    expect_alive_at(service, now_us + 1599 * US_PER_SECOND);
    stop(service, &idles);
    service = start_shell("while :; do echo beat >&4; sleep 0.05; done", &idles);
    pid_t pid = service_pid(service);
    for (int i = 0; i < 20; i++) {
        turn_loop(0.05);
        expect_alive_at(service, time_monotonic_us() + 30 * US_PER_SECOND);
    }
    assert_int_equal(service_pid(service), pid);
    assert_in_range(service_heartbeat_us(service), now_us, time_monotonic_us());
    stop(service, &idles);
    (void)state;
}

static const char hangup_script[] = "import os, signal, sys\n"
                                    "signal.signal(signal.SIGHUP, lambda *_: os._exit(7))\n"
                                    "os.write(int(os.environ['KEEPFRAME_HEARTBEAT']), b'beat\\n')\n"
                                    "while True:\n"
                                    "    signal.pause()\n";

static void test_a_hangup_at_the_start_waits_for_the_handler(void **state)
{
    int idles;
    const char *argv[] = {"/usr/bin/python3", "-c", hangup_script, NULL};
    struct service *service = start(argv, &idles);
    // One of somebody else's does it no harm; ours is not lost.
    assert_int_equal(kill(service_pid(service), SIGHUP), 0);
    service_signal(service, SIGHUP);
    wait_for_a_failure(service, 1);
    assert_string_equal(service_last_failure(service), "/usr/bin/python3 ended with 7");
    stop(service, &idles);
    (void)state;
}

static void test_it_is_stopped_and_restarted(void **state)
{
    int idles;
    struct service *service = start_shell("exec sleep 60", &idles);
    pid_t pid = service_pid(service);
    service_restart(service);
    while (service_pid(service) == pid)
        ev_run(EV_DEFAULT, EVRUN_ONCE);
    assert_true(service_pid(service) > 0);
    assert_int_equal(service_restarts(service), 0);
    assert_null(service_last_failure(service));
    stop(service, &idles);
    assert_int_equal(idles, 1);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_that_never_gives_a_sign),
        cmocka_unit_test(test_one_that_falls_silent_and_heeds_no_sigterm),
        cmocka_unit_test(test_signs_and_forgiveness_keep_it),
        cmocka_unit_test(test_a_hangup_at_the_start_waits_for_the_handler),
        cmocka_unit_test(test_it_is_stopped_and_restarted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
