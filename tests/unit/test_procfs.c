// links: kf-supervisor
// What /proc says: recorded texts, torn and foreign ones, and our own process.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/core/alloc.h"
#include "lib/core/timeutil.h"
#include "supervisor/procfs.h"
#include "supervisor/usage.h"

#define STAT_HEAD " S 17323 17323 12059 0 -1 4194304 3764 0 40 0 "
#define STAT_TAIL                                                                                  \
    " 1 0 20 0 5 0 1244645 308305920 12531 18446744073709551615 94498747015168 94498747189033 "    \
    "140731385723904 0 0 0 0 4096 8404998 0 0 0 17 0 0 0 0 0 0 94498747248816 94498747261056 "     \
    "94499775868928 140731385731467 140731385731526 140731385731526 140731385733096 0\n"

static void test_stat(void **state)
{
    static const struct {
        const char *text;
        int64_t ticks; // -1: refused
    } table[] = {
        {"17337 (ffmpeg)" STAT_HEAD "4 3" STAT_TAIL, 7},
        {"1 (a b)" STAT_HEAD "100 20" STAT_TAIL, 120},
        {"1 (a) S 1 2 3 4 5 6 7 8 9)" STAT_HEAD "5 6" STAT_TAIL, 11},
        {"1 ()))" STAT_HEAD "5 0" STAT_TAIL, 5},
        {"1 ()" STAT_HEAD "4611686018427387904 4611686018427387903" STAT_TAIL, INT64_MAX},
        {"1 ()" STAT_HEAD "9223372036854775807 1" STAT_TAIL, -1},
        {"1 ()" STAT_HEAD "9223372036854775808 0" STAT_TAIL, -1},
        {"1 ()" STAT_HEAD "-4 3" STAT_TAIL, -1},
        {"1 ()" STAT_HEAD "x 3" STAT_TAIL, -1},
        {"1 ()" STAT_HEAD "4", -1},
        {"1 ()" STAT_HEAD "4 3", -1}, // may be torn within the number
        {"1 ()" STAT_HEAD, -1},
        {"17337 (ffmpeg", -1},
        {"", -1},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        int64_t ticks = -1;
        assert_int_equal(procfs_parse_stat(table[i].text, &ticks), table[i].ticks >= 0);
        if (table[i].ticks >= 0)
            assert_int_equal(ticks, table[i].ticks);
    }
    (void)state;
}

#define ROLLUP_HEAD                                                                                \
    "55f2343eb000-7ffe94416000 ---p 00000000 00:00 0                          [rollup]\n"

static void test_pss(void **state)
{
    static const struct {
        const char *text;
        int64_t size_bytes; // -1: refused
    } table[] = {
        {ROLLUP_HEAD "Rss:               50312 kB\nPss:               22423 kB\n"
                     "Pss_Dirty:         10144 kB\nPss_Anon:          10144 kB\n",
            INT64_C(22961152)},
        {ROLLUP_HEAD "Pss:                   0 kB\n", 0},
        {ROLLUP_HEAD "Pss_Dirty:         10144 kB\nSwapPss:               1 kB\n", -1},
        {ROLLUP_HEAD "Pss:               22423", -1},
        {ROLLUP_HEAD "Pss:               22423 MB\n", -1},
        {ROLLUP_HEAD "Pss:               -1 kB\n", -1},
        {ROLLUP_HEAD "Pss: 9223372036854775807 kB\n", -1},
        {"", -1},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        int64_t size_bytes = -1;
        assert_int_equal(procfs_parse_pss(table[i].text, &size_bytes), table[i].size_bytes >= 0);
        if (table[i].size_bytes >= 0)
            assert_int_equal(size_bytes, table[i].size_bytes);
    }
    (void)state;
}

// The processor time that we have used, as getrusage(2) says.
static int64_t used_us(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * US_PER_SECOND +
           usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

static void test_ourselves(void **state)
{
    while (used_us() < 100000)
        ;
    int64_t before_us = used_us();
    int64_t seen_us = procfs_cpu_us(getpid());
    int64_t after_us = used_us();
    assert_in_range(seen_us, before_us - 30000, after_us + 30000); // up to ticks of 10 ms
    assert_in_range(procfs_pss_bytes(getpid()), 100000, INT64_C(1) << 40);
    assert_int_equal(procfs_cpu_us(0x7fffffff), -1);
    assert_int_equal(procfs_pss_bytes(0x7fffffff), -1);
    (void)state;
}

static void test_usage_over_several_lives(void **state)
{
    struct usage usage = {0};
    usage_tick(&usage, getpid(), 1);
    assert_int_equal(usage_cpu_us(&usage), 0); // not its turn
    usage_tick(&usage, getpid(), 5);
    assert_in_range(usage_cpu_us(&usage), 1, INT64_MAX);
    assert_int_equal(usage.resident_bytes, 0);
    usage_tick(&usage, getpid(), 60);
    assert_true(usage.resident_bytes > 0);
    // What is said at the end is more exact, but never less than what was said before.
    int64_t before_us = usage_cpu_us(&usage);
    usage_end(&usage, before_us - 1);
    assert_int_equal(usage_cpu_us(&usage), before_us);
    assert_int_equal(usage.resident_bytes, 0);
    usage_end(&usage, 500);
    assert_int_equal(usage_cpu_us(&usage), before_us + 500);
    // A process that is gone already changes nothing.
    usage_tick(&usage, 0x7fffffff, 60);
    assert_int_equal(usage_cpu_us(&usage), before_us + 500);
    assert_int_equal(usage.resident_bytes, 0);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stat),
        cmocka_unit_test(test_pss),
        cmocka_unit_test(test_ourselves),
        cmocka_unit_test(test_usage_over_several_lives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
