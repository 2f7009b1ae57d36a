// links: kf-webui
// Conditional and range requests, as RFC 9110 decides them.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "webui/http_range.h"

// Sun, 06 Nov 1994 08:49:37 GMT, the RFC's own example.
#define MODIFIED_S 784111777
#define MODIFIED "Sun, 06 Nov 1994 08:49:37 GMT"
#define EARLIER "Sun, 06 Nov 1994 08:49:36 GMT"
#define LATER "Sun, 06 Nov 1994 08:49:38 GMT"

static const struct http_entity entity = {"\"abc\"", MODIFIED_S, 1000};

static struct http_outcome decide(struct http_conditions conditions)
{
    struct http_outcome outcome;
    http_decide(&conditions, &entity, false, &outcome);
    return outcome;
}

static void test_dates_go_both_ways(void **state)
{
    (void)state;
    char text[HTTP_DATE_SIZE];
    int64_t time_s;
    http_format_date(MODIFIED_S, text);
    assert_string_equal(text, MODIFIED);
    assert_true(http_parse_date(MODIFIED, &time_s));
    assert_int_equal(time_s, MODIFIED_S);
    // The two forms of older senders, as 5.6.7 gives them.
    assert_true(http_parse_date("Sunday, 06-Nov-94 08:49:37 GMT", &time_s));
    assert_int_equal(time_s, MODIFIED_S);
    assert_true(http_parse_date("Sun Nov  6 08:49:37 1994", &time_s));
    assert_int_equal(time_s, MODIFIED_S);
    assert_false(http_parse_date("Sunday", &time_s));
    assert_false(http_parse_date(MODIFIED " +1", &time_s));
}

static void test_ranges(void **state)
{
    (void)state;
    static const struct {
        const char *range;
        unsigned status;
        uint64_t offset;
        uint64_t length;
    } cases[] = {
        {NULL, 200, 0, 1000},
        {"bytes=0-0", 206, 0, 1},
        {"bytes=0-999", 206, 0, 1000},
        {"bytes=0-", 206, 0, 1000},
        {"bytes=100-199", 206, 100, 100},
        {"bytes=999-", 206, 999, 1},
        {"bytes=500-99999999999999999999999", 206, 500, 500},
        {"bytes=-1", 206, 999, 1},
        {"bytes=-1000", 206, 0, 1000},
        {"bytes=-99999", 206, 0, 1000},
        {"Bytes= 5-6 ", 206, 5, 2},
        {"bytes=1000-", 416, 0, 0},
        {"bytes=1000-2000", 416, 0, 0},
        {"bytes=99999999999999999999999-", 416, 0, 0},
        {"bytes=-0", 416, 0, 0},
        {"bytes=6-5", 200, 0, 1000},
        {"bytes=0-1,5-6", 200, 0, 1000}, // several: the whole
        {"bytes=", 200, 0, 1000},
        {"bytes=-", 200, 0, 1000},
        {"bytes=a-b", 200, 0, 1000},
        {"bytes=1", 200, 0, 1000},
        {"bytes=+1-2", 200, 0, 1000},
        {"bytes 1-2", 200, 0, 1000},
        {"frames=1-2", 200, 0, 1000},
        {"", 200, 0, 1000},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct http_outcome outcome = decide((struct http_conditions){.range = cases[i].range});
        assert_int_equal(outcome.status, cases[i].status);
        assert_int_equal(outcome.offset, cases[i].offset);
        assert_int_equal(outcome.length, cases[i].length);
    }
}

static void test_a_head_request_has_no_range(void **state)
{
    (void)state;
    struct http_outcome outcome;
    const struct http_conditions conditions = {.range = "bytes=1-2"};
    http_decide(&conditions, &entity, true, &outcome);
    assert_int_equal(outcome.status, 200);
    assert_int_equal(outcome.length, 1000);
}

static void test_if_range(void **state)
{
    (void)state;
    static const struct {
        const char *if_range;
        unsigned status;
    } cases[] = {
        {"\"abc\"", 206},
        {"\"abd\"", 200},
        {"W/\"abc\"", 200}, // a weak tag never matches
        {"abc", 200},
        {MODIFIED, 206},
        {EARLIER, 200},
        {LATER, 200},
        {"", 200},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(
            decide((struct http_conditions){.range = "bytes=1-2", .if_range = cases[i].if_range})
                .status,
            cases[i].status);
}

static void test_a_growing_file_has_no_date_to_match(void **state)
{
    (void)state;
    const struct http_entity growing = {"\"abc\"", 0, 1000};
    const struct http_conditions conditions = {
        .range = "bytes=1-2", .if_range = "Thu, 01 Jan 1970 00:00:00 GMT"};
    struct http_outcome outcome;
    http_decide(&conditions, &growing, false, &outcome);
    assert_int_equal(outcome.status, 200);
    const struct http_conditions since = {.if_modified_since = LATER};
    http_decide(&since, &growing, false, &outcome);
    assert_int_equal(outcome.status, 200);
}

static void test_preconditions(void **state)
{
    (void)state;
    static const struct {
        struct http_conditions conditions;
        unsigned status;
    } cases[] = {
        {{.if_none_match = "\"abc\""}, 304},
        {{.if_none_match = "W/\"abc\""}, 304},
        {{.if_none_match = "\"x\", \"abc\""}, 304},
        {{.if_none_match = "*"}, 304},
        {{.if_none_match = "\"x\""}, 200},
        {{.if_none_match = "abc"}, 200},
        {{.if_none_match = "\"abc"}, 200},
        {{.if_none_match = "\"x\"", .if_modified_since = LATER}, 200}, // the tag alone decides
        {{.if_modified_since = MODIFIED}, 304},
        {{.if_modified_since = LATER}, 304},
        {{.if_modified_since = EARLIER}, 200},
        {{.if_modified_since = "soon"}, 200},
        {{.if_match = "\"abc\""}, 200},
        {{.if_match = "\"x\", \"abc\""}, 200},
        {{.if_match = "*"}, 200},
        {{.if_match = "W/\"abc\""}, 412},
        {{.if_match = "\"x\""}, 412},
        {{.if_unmodified_since = MODIFIED}, 200},
        {{.if_unmodified_since = EARLIER}, 412},
        {{.if_none_match = "\"abc\"", .range = "bytes=1-2"}, 304},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(decide(cases[i].conditions).status, cases[i].status);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dates_go_both_ways),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_a_head_request_has_no_range),
        cmocka_unit_test(test_if_range),
        cmocka_unit_test(test_a_growing_file_has_no_date_to_match),
        cmocka_unit_test(test_preconditions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
