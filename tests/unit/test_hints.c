// links: kf-supervisor
// Hints on the system's settings: a good system gets none, each bad setting gets its own, with the
// command that changes it.
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>

#include <cmocka.h>

#include "lib/core/buf.h"
#include "lib/core/config.h"
#include "supervisor/hints.h"

#define MIB (INT64_C(1) << 20)
#define GIB (INT64_C(1) << 30)

// A server with 500 streams on which nothing is wrong.
static const struct hints_facts good = {
    .stream_count = 500,
    .sync_us = 5000000,
    .memory_bytes = 32 * GIB,
    .dirty_limit_bytes = 6 * GIB,
    .dirty_background_bytes = 256 * MIB,
    .open_files = 65536,
    .processes = 32768,
    .inotify_watches = 65536,
    .inotify_instances = 128,
};

static char text[4096];

static const char *judge(struct hints_facts facts)
{
    struct buf lines = BUF_INIT;
    hints_judge(&facts, &lines);
    assert_true(lines.size < sizeof(text));
    memcpy(text, buf_string(&lines), lines.size + 1);
    buf_fini(&lines);
    return text;
}

#define CHANGED(...)                                                                               \
    ({                                                                                             \
        struct hints_facts changed = good;                                                         \
        struct hints_facts *facts = &changed;                                                      \
        __VA_ARGS__;                                                                               \
        changed;                                                                                   \
    })

static void assert_one(struct hints_facts facts, const char *what, const char *command)
{
    const char *line = judge(facts);
    if (strstr(line, what) == NULL || strstr(line, command) == NULL)
        fail_msg("\"%s\" and \"%s\" are not in: %s", what, command, line);
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
}

static void test_a_good_system_gets_no_hint(void **state)
{
    (void)state;
    assert_string_equal(judge(good), "");
}

static void test_what_is_not_known_gets_no_hint(void **state)
{
    (void)state;
    struct hints_facts unknown = {.stream_count = 500, .sync_us = 5000000};
    assert_string_equal(judge(unknown), "");
}

static void test_each_setting_has_its_hint(void **state)
{
    (void)state;
    // 500 streams, half a MiB a second each, two rounds of 5 s: 2500 MiB.
    assert_one(CHANGED(facts->dirty_limit_bytes = 2499 * MIB), "only 2499 MiB",
        "sysctl -w vm.dirty_bytes=2621440000");
    assert_one(CHANGED(facts->has_rotating_disk = true; facts->dirty_background_bytes = 3 * GIB),
        "3072 MiB pile up", "sysctl -w vm.dirty_background_bytes=268435456");
    assert_one(CHANGED(facts->open_files = 1024), "1024 open files", "LimitNOFILE=");
    assert_one(CHANGED(facts->processes = 2000), "2000 processes", "TasksMax=");
    assert_one(CHANGED(facts->inotify_watches = 1000), "1000 folders",
        "sysctl -w fs.inotify.max_user_watches=2032");
    assert_one(CHANGED(facts->inotify_instances = 4), "4 inotify instances",
        "sysctl -w fs.inotify.max_user_instances=128");
    assert_one(CHANGED(facts->is_clock_loose = true), "the clock", "timedatectl set-ntp true");
    assert_one(CHANGED(facts->memory_cache = "/dev/shm/c"), "/dev/shm/c lies in memory",
        "storage.cache: FOLDER-ON-A-DISK");
    assert_one(
        CHANGED(facts->strict_atime_volume = "/srv/v"), "/srv/v is mounted", "remount,relatime");
    assert_one(CHANGED(facts->forbidden_path = "/srv/v"), "/srv/v: the service may not write",
        "ReadWritePaths=/srv/v");
    assert_string_equal(judge(CHANGED(facts->dirty_background_bytes = 3 * GIB)), "");
    // 500 streams, 16 ms each: a round takes 8 s.
    assert_one(CHANGED(facts->rotating_cache = "/c"), "/c lies on a disk that turns",
        "recording.sync: 16s");
}

static void test_few_streams_need_little(void **state)
{
    (void)state;
    struct hints_facts small = {
        .stream_count = 4,
        .sync_us = 5000000,
        .memory_bytes = 2 * GIB,
        .dirty_limit_bytes = 200 * MIB,
        .dirty_background_bytes = 100 * MIB,
        .open_files = 1024,
        .processes = 1000,
        .inotify_watches = 8192,
        .inotify_instances = 128,
        .rotating_cache = "/c",
    };
    assert_string_equal(judge(small), "");
}

// A share of the memory that can not be given is not asked for.
static void test_no_more_than_half_of_the_memory_is_asked_for(void **state)
{
    (void)state;
    assert_one(CHANGED(facts->memory_bytes = 2 * GIB; facts->dirty_limit_bytes = 400 * MIB),
        "only 400 MiB", "sysctl -w vm.dirty_bytes=1073741824");
    assert_string_equal(
        judge(CHANGED(facts->memory_bytes = 2 * GIB; facts->dirty_limit_bytes = GIB)), "");
}

static void test_the_system_is_asked(void **state)
{
    (void)state;
    struct config_stream streams[] = {
        {.recording.enabled = true}, {.recording.enabled = false}, {.recording.enabled = true}};
    char cache[] = "/dev/shm/no-such-folder/cache", volume[] = "/no-such-folder/video",
         database[] = "/", file[] = "k.yaml";
    struct config_volume volumes[] = {{.path = volume}};
    struct config config = {.file = file,
        .storage = {.database = database, .cache = cache, .volumes = volumes, .volume_count = 1},
        .recording.sync_us = 7,
        .streams = streams,
        .stream_count = 3};
    struct hints_facts facts;
    hints_read(&config, &facts);
    assert_int_equal(facts.stream_count, 2);
    assert_int_equal(facts.sync_us, 7);
    assert_true(facts.memory_bytes > 64 * MIB);
    assert_true(facts.dirty_limit_bytes > 0 && facts.dirty_limit_bytes < facts.memory_bytes);
    assert_true(facts.inotify_watches > 0 && facts.inotify_instances > 0);
    assert_true(facts.open_files > 0 && facts.processes > 0);
    struct statfs info;
    bool is_in_memory = statfs("/dev/shm", &info) == 0 && info.f_type == 0x01021994;
    assert_int_equal(facts.memory_cache == cache, is_in_memory);
    assert_null(facts.forbidden_path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_good_system_gets_no_hint),
        cmocka_unit_test(test_what_is_not_known_gets_no_hint),
        cmocka_unit_test(test_each_setting_has_its_hint),
        cmocka_unit_test(test_few_streams_need_little),
        cmocka_unit_test(test_no_more_than_half_of_the_memory_is_asked_for),
        cmocka_unit_test(test_the_system_is_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
