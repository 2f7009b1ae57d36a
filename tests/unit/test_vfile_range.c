// Any range of synthetic and of recorded segments, against the model.
#include "tests/unit/vfile.h"

static void test_random_ranges(void **state)
{
    (void)state;
    static const struct {
        bool reordered;
        bool leading;
        bool sound;
    } kinds[] = {
        {false, false, false}, {false, false, true}, {true, false, true}, {true, true, true}};
    srandom(1);
    for (size_t kind = 0; kind < ARRAY_LENGTH(kinds); kind++) {
        struct archive archive;
        archive_init(&archive);
        add_run(&archive, kinds[kind].reordered, kinds[kind].leading, kinds[kind].sound);
        for (int i = 0; i < 60; i++) {
            int64_t from = START_US + 300000 + random() % 11000 * 1000;
            int64_t to = from + 1000 + random() % 12000 * 1000;
            struct ask ask = {from, to, .silent = random() % 4 == 0};
            struct result result;
            fetch(&result, &archive, ask);
            check_range(&archive, &result, ask);
            assert_true(
                (result.audio != NULL) == (kinds[kind].sound && !ask.silent) || to - from < 200000);
            if (result.audio != NULL)
                check_sound(&archive, &result, 100);
            result_fini(&result);
        }
        archive_fini(&archive);
    }
}

static void test_recorded_segments(void **state)
{
    (void)state;
    static const char *const names[] = {"h264", "h264-b-aac", "h265"};
    for (size_t n = 0; n < ARRAY_LENGTH(names); n++) {
        struct archive archive;
        archive_init(&archive);
        char *name = xasprintf("%s-000000", names[n]);
        add_recorded(&archive, name, 0, START_US);
        name[strlen(name) - 1] = '1';
        add_recorded(&archive, name, 1, archive.segments[0].end_us);
        free(name);
        for (int i = 0; i < 30; i++) {
            int64_t from = START_US + 100000 + random() % 5000 * 1000;
            struct ask ask = between(from, from + 80000 + random() % 4000 * 1000);
            struct result result;
            fetch(&result, &archive, ask);
            check_range(&archive, &result, ask);
            result_fini(&result);
        }
        archive_fini(&archive);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_ranges),
        cmocka_unit_test(test_recorded_segments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
