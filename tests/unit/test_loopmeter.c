// links: kf-supervisor
// The loop's turns: what takes long in one is seen, waiting is not.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/core/timeutil.h"
#include "supervisor/loopmeter.h"

static int calls;

// Works for 30 ms, after a wait of 60 ms.
static void busy_cb(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)events;
    ev_sleep(0.03);
    if (++calls == 5)
        ev_timer_stop(loop, timer);
}

static void test_turns(void **state)
{
    struct ev_loop *loop = ev_loop_new(0);
    struct loopmeter meter;
    ev_timer timer;
    int64_t start_us = time_monotonic_us();
    loopmeter_start(&meter, loop);
    ev_timer_init(&timer, busy_cb, 0.06, 0.06);
    ev_timer_start(loop, &timer);
    ev_run(loop, 0); // to the end: the meter does not keep it going
    assert_int_equal(calls, 5);
    // The turn after the last one has no end.
    assert_true(meter.delay.count >= 4);
    assert_true(meter.delay.max >= 0.03);
    // All turns together took no longer than they did, less the waits between them.
    double seconds = (double)(time_monotonic_us() - start_us) / US_PER_SECOND;
    assert_true(meter.delay.sum < seconds - 0.06);
    uint64_t long_turns = 0;
    for (size_t i = 0; i <= meter.delay.bound_count; i++)
        long_turns += i > 0 && meter.delay.bounds[i - 1] >= 0.025 ? meter.delay.counts[i] : 0;
    assert_true(long_turns >= 4);
    loopmeter_stop(&meter);
    ev_loop_destroy(loop);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_turns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
