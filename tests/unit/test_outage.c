// links: kf-supervisor
// When a stream counts as down: tables of looks, with what must be told.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/core/alloc.h"
#include "supervisor/outage.h"

#define HOLD_OFF 10

// How the stream is at a look.
enum look {
    ON,     // it records
    AWAY,   // wanted, not recording
    QUEUED, // its turn to start has not come
    OFF,    // not wanted
};

struct row {
    int64_t now; // s
    enum look look;
    int64_t last_frame; // s; 0: none
    enum reason reason;
    enum outage_news news;
    // What is told.
    enum reason told;
    int64_t since, away;
};

static void expect(const struct row *rows, size_t count)
{
    struct outage outage = {0};
    for (size_t i = 0; i < count; i++) {
        const struct row *row = &rows[i];
        const struct outage_view view = {
            .is_wanted = row->look != OFF,
            .is_recording = row->look == ON,
            .is_queued = row->look == QUEUED,
            .last_frame_us = row->last_frame,
            .reason = row->reason,
        };
        struct outage_report report;
        enum outage_news news = outage_look(&outage, &view, HOLD_OFF, row->now, &report);
        if (news != row->news)
            fail_msg("at %d: %d, not %d", (int)row->now, news, row->news);
        if (news == OUTAGE_NOTHING)
            continue;
        assert_int_equal(report.reason, row->told);
        assert_int_equal(report.since_us, row->since);
        assert_int_equal(report.away_us, row->away);
    }
}

// A look at which nothing is told, and one at which something is.
#define SEE(at, how, frame, why)                                                                   \
    {                                                                                              \
        .now = (at), .look = (how), .last_frame = (frame), .reason = (why)                         \
    }
#define TELL(at, how, frame, why, what, ...)                                                       \
    {                                                                                              \
        (at), (how), (frame), (why), (what), __VA_ARGS__                                           \
    }

#define EXPECT(...)                                                                                \
    do {                                                                                           \
        static const struct row rows[] = {__VA_ARGS__};                                            \
        expect(rows, ARRAY_LENGTH(rows));                                                          \
    } while (0)

static void test_a_blip_is_silent(void **state)
{
    EXPECT(SEE(100, ON, 100, REASON_NONE), SEE(101, AWAY, 100, REASON_CLOSED),
        SEE(109, AWAY, 100, REASON_CLOSED), SEE(110, ON, 110, REASON_NONE),
        SEE(125, ON, 125, REASON_NONE));
    (void)state;
}

static void test_down_is_told_once_and_then_up(void **state)
{
    EXPECT(SEE(100, ON, 100, REASON_NONE), SEE(104, AWAY, 100, REASON_CLOSED),
        // From the last frame, not from the end of ffmpeg; with the reason of now.
        SEE(109, AWAY, 100, REASON_REFUSED),
        TELL(110, AWAY, 100, REASON_REFUSED, OUTAGE_DOWN, REASON_REFUSED, 100, 10),
        SEE(111, AWAY, 100, REASON_TIMEOUT), SEE(500, AWAY, 100, REASON_TIMEOUT),
        TELL(501, ON, 501, REASON_NONE, OUTAGE_UP, REASON_REFUSED, 501, 401),
        SEE(502, ON, 502, REASON_NONE),
        // And once more.
        TELL(520, AWAY, 505, REASON_STALLED, OUTAGE_DOWN, REASON_STALLED, 505, 15));
    (void)state;
}

static void test_a_camera_that_was_never_there(void **state)
{
    EXPECT(SEE(100, AWAY, 0, REASON_NO_FRAMES), SEE(109, AWAY, 0, REASON_UNREACHABLE),
        TELL(110, AWAY, 0, REASON_UNREACHABLE, OUTAGE_DOWN, REASON_UNREACHABLE, 100, 10));
    (void)state;
}

// Fifty seconds in the queue of starts are no alarm, neither are restarts that somebody wanted.
static void test_time_in_the_queue_does_not_count(void **state)
{
    EXPECT(SEE(100, QUEUED, 100, REASON_NONE), SEE(150, QUEUED, 100, REASON_NONE),
        SEE(151, AWAY, 100, REASON_NO_FRAMES), SEE(159, AWAY, 100, REASON_NO_FRAMES),
        TELL(160, AWAY, 100, REASON_REFUSED, OUTAGE_DOWN, REASON_REFUSED, 150, 10),
        // Once it is told, a restart by a command does not begin anew.
        SEE(170, QUEUED, 100, REASON_NONE), SEE(171, AWAY, 100, REASON_NO_FRAMES),
        TELL(200, ON, 200, REASON_NONE, OUTAGE_UP, REASON_REFUSED, 200, 50));
    (void)state;
}

static void test_what_is_not_wanted_is_not_down(void **state)
{
    EXPECT(SEE(100, ON, 100, REASON_NONE), SEE(105, OFF, 100, REASON_NONE),
        SEE(130, OFF, 100, REASON_NONE), SEE(131, QUEUED, 131, REASON_NONE),
        SEE(132, AWAY, 131, REASON_NO_FRAMES),
        TELL(141, AWAY, 131, REASON_REFUSED, OUTAGE_DOWN, REASON_REFUSED, 131, 10),
        SEE(142, OFF, 131, REASON_NONE),
        // Nobody is told that it is up: it was disabled in between.
        SEE(150, ON, 150, REASON_NONE));
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_blip_is_silent),
        cmocka_unit_test(test_down_is_told_once_and_then_up),
        cmocka_unit_test(test_a_camera_that_was_never_there),
        cmocka_unit_test(test_time_in_the_queue_does_not_count),
        cmocka_unit_test(test_what_is_not_wanted_is_not_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
