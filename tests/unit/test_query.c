// links: kf-webui
// The query part of a request: what is read, and what each mistake is answered with.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "webui/query.h"

enum {
    START,
    SPAN,
    FLAG,
    CHOICE,
    LIMIT,
    TEXT,
};

static const char *const choices[] = {"skip", "fail", NULL};

static const struct query_rule rules[] = {
    [START] = {.name = "start", .type = QUERY_TIME, .required = true},
    [SPAN] = {.name = "span", .type = QUERY_DURATION},
    [FLAG] = {.name = "flag", .type = QUERY_FLAG, .fallback = 1},
    [CHOICE] = {.name = "choice", .type = QUERY_CHOICE, .choices = choices},
    [LIMIT] = {.name = "limit", .type = QUERY_INTEGER, .fallback = 7, .min = 1, .max = 10},
    [TEXT] = {.name = "text", .type = QUERY_TEXT},
    {0},
};

static void test_values_are_read(void **state)
{
    (void)state;
    struct query_value values[QUERY_PARAMETERS_MAX];
    struct query_error error;
    assert_true(query_parse(
        "start=12.5&span=90s&flag=0&choice=fail&limit=10&text=a%2Fb+c", rules, values, &error));
    assert_int_equal(values[START].number, 12500000);
    assert_int_equal(values[SPAN].number, 90000000);
    assert_int_equal(values[FLAG].number, 0);
    assert_int_equal(values[CHOICE].number, 1);
    assert_int_equal(values[LIMIT].number, 10);
    assert_string_equal(values[TEXT].text, "a/b c");
}

static void test_absent_values_fall_back(void **state)
{
    (void)state;
    struct query_value values[QUERY_PARAMETERS_MAX];
    struct query_error error;
    assert_true(query_parse("&start=0&&", rules, values, &error));
    assert_true(values[START].given);
    assert_false(values[FLAG].given);
    assert_int_equal(values[FLAG].number, 1);
    assert_int_equal(values[LIMIT].number, 7);
    assert_int_equal(values[CHOICE].number, 0);
}

static void test_times_have_two_forms(void **state)
{
    (void)state;
    // 2026-03-31T07:30:00Z is 1774942200 s after the epoch (date -d … +%s).
    static const char *const same[] = {
        "start=2026-03-31T07:30:00Z",
        "start=2026-03-31T09:30:00%2B02:00",
        "start=2026-03-31T09:30:00+02:00", // an unescaped plus arrives as a space
        "start=2026-03-31t07:30:00z",
        "start=1774942200",
        "start=1774942200.000000",
    };
    struct query_value values[QUERY_PARAMETERS_MAX];
    struct query_error error;
    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
        assert_true(query_parse(same[i], rules, values, &error));
        assert_int_equal(values[START].number, INT64_C(1774942200000000));
    }
}

static void test_durations_have_units(void **state)
{
    (void)state;
    static const struct {
        const char *query;
        int64_t us;
    } cases[] = {
        {"start=0&span=1500ms", 1500000},
        {"start=0&span=90s", 90000000},
        {"start=0&span=10m", INT64_C(600000000)},
        {"start=0&span=2h", INT64_C(7200000000)},
        {"start=0&span=1d", INT64_C(86400000000)},
        {"start=0&span=600", 600000000},
        {"start=0&span=0.25", 250000},
        {"start=0&span=1.0000019", 1000001},
    };
    struct query_value values[QUERY_PARAMETERS_MAX];
    struct query_error error;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_true(query_parse(cases[i].query, rules, values, &error));
        assert_int_equal(values[SPAN].number, cases[i].us);
    }
}

static void test_mistakes_name_their_field(void **state)
{
    (void)state;
    static const struct {
        const char *query;
        const char *code;
        const char *field;
    } cases[] = {
        {NULL, "missing_parameter", "start"},
        {"", "missing_parameter", "start"},
        {"flag=1", "missing_parameter", "start"},
        {"start=yesterday", "bad_parameter", "start"},
        {"start=", "bad_parameter", "start"},
        {"start", "bad_parameter", "start"},
        {"start=2026-03-31T07:30:00", "bad_parameter", "start"}, // no offset
        {"start=1&start=1", "duplicate_parameter", "start"},
        {"start=1&Start=1", "unknown_parameter", "Start"},
        {"start=1&colour=blue", "unknown_parameter", "colour"},
        {"start=1&span=0", "bad_parameter", "span"},
        {"start=1&span=0.0", "bad_parameter", "span"},
        {"start=1&span=-5s", "bad_parameter", "span"},
        {"start=1&span=5x", "bad_parameter", "span"},
        {"start=1&span=1.5h", "bad_parameter", "span"},
        {"start=1&span=999999999999d", "bad_parameter", "span"},
        {"start=1&span=9999999999999", "bad_parameter", "span"},
        {"start=1&flag=yes", "bad_parameter", "flag"},
        {"start=1&flag=10", "bad_parameter", "flag"},
        {"start=1&choice=mind", "bad_parameter", "choice"},
        {"start=1&limit=0", "bad_parameter", "limit"},
        {"start=1&limit=11", "bad_parameter", "limit"},
        {"start=1&limit=+5", "bad_parameter", "limit"},
        {"start=1&limit=99999999999999999999", "bad_parameter", "limit"},
        {"start=1&text=%4", "bad_parameter", "text"},
        {"start=1&text=%zz", "bad_parameter", "text"},
        {"start=1&text=a%00b", "bad_parameter", "text"},
        {"start=1&text=a%0d%0ab", "bad_parameter", "text"},
        {"start=1&te%ff=1", "unknown_parameter", "te?"},
        {"start=1&%=1", "unknown_parameter", "?"},
        {"start=1&=", "unknown_parameter", "?"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct query_value values[QUERY_PARAMETERS_MAX];
        struct query_error error = {0};
        assert_false(query_parse(cases[i].query, rules, values, &error));
        assert_string_equal(error.code, cases[i].code);
        assert_string_equal(error.field, cases[i].field);
        assert_true(strlen(error.message) > 10);
    }
}

static void test_a_value_that_is_too_long_is_refused(void **state)
{
    (void)state;
    char query[QUERY_TEXT_SIZE + 32] = "start=1&text=";
    size_t used = strlen(query);
    memset(query + used, 'x', QUERY_TEXT_SIZE - 1);
    query[used + QUERY_TEXT_SIZE - 1] = '\0';
    struct query_value values[QUERY_PARAMETERS_MAX];
    struct query_error error;
    assert_true(query_parse(query, rules, values, &error));
    assert_int_equal(strlen(values[TEXT].text), QUERY_TEXT_SIZE - 1);
    query[used + QUERY_TEXT_SIZE - 1] = 'x';
    query[used + QUERY_TEXT_SIZE] = '\0';
    assert_false(query_parse(query, rules, values, &error));
    assert_string_equal(error.field, "text");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_are_read),
        cmocka_unit_test(test_absent_values_fall_back),
        cmocka_unit_test(test_times_have_two_forms),
        cmocka_unit_test(test_durations_have_units),
        cmocka_unit_test(test_mistakes_name_their_field),
        cmocka_unit_test(test_a_value_that_is_too_long_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
