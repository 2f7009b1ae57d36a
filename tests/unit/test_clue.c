// links: kf-supervisor
// What single lines of ffmpeg explain, and which of several counts.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/core/alloc.h"
#include "lib/core/timeutil.h"
#include "supervisor/clue.h"

static void test_lines(void **state)
{
    static const struct {
        const char *line;
        enum reason reason;
    } table[] = {
        {"[rtsp] [error] method DESCRIBE failed: 401 Unauthorized", REASON_UNAUTHORIZED},
        {"[error] pipe:3: Server returned 404 Not Found", REASON_NOT_FOUND},
        {"[tcp] [error] Connection to tcp://127.0.0.1:1?timeout=0 failed: Connection refused",
            REASON_REFUSED},
        {"[tcp] [error] Failed to resolve hostname nohost: Name or service not known",
            REASON_UNRESOLVED},
        {"[error] pipe:3: Connection timed out", REASON_TIMEOUT},
        {"[rtsp @ 0x1] [error] method SETUP failed: 461 Unsupported transport",
            REASON_CONFIGURATION},
        {"[segment @ 0x1] [error] dimensions not set", REASON_NO_FRAMES},
        {"[mp4 @ 0x1] [error] Tag hvc1 incompatible with output codec id '139' ([0][0][0][0])",
            REASON_CODEC},
        {"[mp4 @ 0x1] [error] Could not find tag for codec pcm_alaw in stream #1, codec not "
         "currently supported in container",
            REASON_CODEC},
        {"[fatal] Stream map '0:v:0' matches no streams.", REASON_NO_VIDEO},
        {"[tcp @ 0x1] [error] Connection to tcp://224.0.0.1:554?timeout=5000000 failed: Network is "
         "unreachable",
            REASON_UNREACHABLE},
        {"[concat] [warning] Unused options for 'rtsp://***@h/'.", REASON_NONE}, // it records
        {"av_interleaved_write_frame(): No space left on device", REASON_NO_SPACE},
        {"[mp4] [warning] pts has no value", REASON_NONE},
        {"", REASON_NONE},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        if (clue_read(table[i].line) != table[i].reason)
            fail_msg("\"%s\" is read as %s", table[i].line, reason_name(clue_read(table[i].line)));
    }
    (void)state;
}

static void test_a_general_line_does_not_overrule_a_telling_one(void **state)
{
    struct clue clue = {0};
    clue_take(&clue, "Connection timed out", 0);
    assert_int_equal(clue.reason, REASON_TIMEOUT);
    clue_take(&clue, "DESCRIBE failed: 401 Unauthorized", 1);
    clue_take(&clue, "pipe:3: Operation timed out", 2);
    clue_take(&clue, "something else", 3);
    assert_int_equal(clue.reason, REASON_UNAUTHORIZED);
    assert_string_equal(clue.words, "DESCRIBE failed: 401 Unauthorized");
    clue_take(&clue, "No space left on device", 4);
    assert_int_equal(clue.reason, REASON_NO_SPACE);
    clue_fini(&clue);
    assert_int_equal(clue.reason, REASON_NONE);
    (void)state;
}

static void test_what_was_said_long_ago_explains_nothing(void **state)
{
    struct clue clue = {0};
    clue_take(&clue, "No space left on device", 0);
    clue_expire(&clue, 30 * US_PER_SECOND);
    assert_int_equal(clue.reason, REASON_NO_SPACE);
    clue_take(&clue, "Connection timed out", 31 * US_PER_SECOND);
    assert_int_equal(clue.reason, REASON_TIMEOUT);
    clue_expire(&clue, 62 * US_PER_SECOND);
    assert_int_equal(clue.reason, REASON_NONE);
    assert_null(clue.words);
    clue_fini(&clue);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_a_general_line_does_not_overrule_a_telling_one),
        cmocka_unit_test(test_what_was_said_long_ago_explains_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
