// A segment's identity as text and the names made from it: what is accepted is what is made.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/core/alloc.h"
#include "lib/media/segment_id.h"

static void names_of_cameras(void **state)
{
    (void)state;
    char longest[65];
    memset(longest, 'a', sizeof(longest));
    longest[63] = '\0';
    static const char *const good[] = {"a", "0", "front-door", "cam_1", "1-", "x--__y"};
    static const char *const bad[] = {
        "", "-a", "_a", "A", "a b", "a/b", "..", "a.b", "k\xc3\xa4se", "a\n"};
    for (size_t i = 0; i < ARRAY_LENGTH(good); i++)
        assert_true(segment_name_valid(good[i]));
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
        assert_false(segment_name_valid(bad[i]));
    assert_true(segment_name_valid(longest));
    longest[63] = 'a';
    longest[64] = '\0';
    assert_false(segment_name_valid(longest));
}

static void check_identity(const char *text, const char *camera, int64_t run, uint32_t number)
{
    struct segment_id id;
    char again[SEGMENT_TEXT_SIZE];
    assert_true(segment_id_parse(text, &id));
    assert_string_equal(id.camera, camera);
    assert_string_equal(id.stream, "main");
    assert_int_equal(id.run, run);
    assert_int_equal(id.number, number);
    segment_id_format(&id, again);
    assert_string_equal(again, text);
}

static void identities_survive_their_text(void **state)
{
    (void)state;
    check_identity("front-door/main/1774915200123-000007", "front-door", 1774915200123, 7);
    check_identity("a/main/0-000000", "a", 0, 0);
    check_identity("a/main/1-999999", "a", 1, 999999);
    check_identity("a/main/1-1000000", "a", 1, 1000000);
    check_identity("a/main/1-4294967295", "a", 1, UINT32_MAX);
}

static void identities_of_another_form_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "/", "a/b", "a/b/", "a/b/1", "a/b/1-", "a/b/1-00001",
        "a/b/-1-000001", "a/b/+1-000001", "a/b/01-000001", "a/b/00-000001", "a/b/1-0000001",
        "a/b/1-0999999", "a/b/1-4294967296", "a/b/1-00001x", "a/b/1-000001 ", " a/b/1-000001",
        "a/b/1-000001.mp4", "a/b/c/1-000001", "A/b/1-000001", "a//1-000001", "/b/1-000001",
        "a/b/9223372036854775808-000001", "a/b/99999999999999999999-000001", "a/b/1_000001",
        "a/b/x-000001", "a/b/1--00001", "../b/1-000001"};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        struct segment_id id;
        if (segment_id_parse(bad[i], &id))
            fail_msg("accepted: %s", bad[i]);
    }
}

static void file_names_of_the_cache(void **state)
{
    (void)state;
    int64_t run;
    uint32_t number;
    assert_true(segment_file_parse("1774915200123-000007.mp4", &run, &number));
    assert_int_equal(run, 1774915200123);
    assert_int_equal(number, 7);
    static const char *const bad[] = {"", "1-000001", "1-000001.", "1-000001.mp", "1-000001.mp4x",
        "1-000001.MP4", "1-1.mp4", "01-000001.mp4", ".1-000001.mp4", "1-000001.mp4.tmp",
        "RUN.json"};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
        assert_false(segment_file_parse(bad[i], &run, &number));
}

// Expected by `date -u -d @SECONDS` with the offset added by hand.
static void keys_are_in_local_time(void **state)
{
    (void)state;
    struct segment_id id = {.camera = "yard", .stream = "sub"};
    char key[SEGMENT_KEY_SIZE];
    segment_key_format(&id, INT64_C(1774918799999999), 3600, key);
    assert_string_equal(key, "yard/sub/2026-03-31/2026-03-31_01-59-59.999+0100.mp4");
    segment_key_format(&id, INT64_C(1774918800000000), 7200, key);
    assert_string_equal(key, "yard/sub/2026-03-31/2026-03-31_03-00-00.000+0200.mp4");
    segment_key_format(&id, INT64_C(1774918800001999), -12600, key);
    assert_string_equal(key, "yard/sub/2026-03-30/2026-03-30_21-30-00.001-0330.mp4");
    segment_key_format(&id, INT64_C(0), 0, key);
    assert_string_equal(key, "yard/sub/1970-01-01/1970-01-01_00-00-00.000+0000.mp4");
    segment_key_format(&id, INT64_C(0), 45900, key);
    assert_string_equal(key, "yard/sub/1970-01-01/1970-01-01_12-45-00.000+1245.mp4");
}

static void longest_names_fit(void **state)
{
    (void)state;
    struct segment_id id = {.run = INT64_MAX / 1000, .number = UINT32_MAX}, again;
    char text[SEGMENT_TEXT_SIZE], key[SEGMENT_KEY_SIZE];
    memset(id.camera, 'a', SEGMENT_NAME_MAX - 1);
    memset(id.stream, 'b', SEGMENT_NAME_MAX - 1);
    segment_id_format(&id, text);
    assert_true(segment_id_parse(text, &again));
    assert_memory_equal(&id, &again, sizeof(id));
    segment_key_format(&id, INT64_C(253402300799999999), -43200, key);
    assert_string_equal(strrchr(key, '/'), "/9999-12-31_11-59-59.999-1200.mp4");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_cameras),
        cmocka_unit_test(identities_survive_their_text),
        cmocka_unit_test(identities_of_another_form_are_refused),
        cmocka_unit_test(file_names_of_the_cache),
        cmocka_unit_test(keys_are_in_local_time),
        cmocka_unit_test(longest_names_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
