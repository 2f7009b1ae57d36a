// Events and locks as JSON: what is written is read back, and what is wrong is named.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/core/alloc.h"
#include "lib/media/event_json.h"

#define ID "0190163d-8694-739b-aea5-966c26f8ad91"

static struct event_json_error error;

static json_t *load(const char *text)
{
    json_t *json = json_loads(text, 0, NULL);
    if (json == NULL)
        fail_msg("the test's own JSON is wrong: %s", text);
    return json;
}

static bool read_event(const char *text, struct catalog_event *event)
{
    json_t *json = load(text);
    bool is_good = event_from_json(json, event, &error);
    json_decref(json);
    return is_good;
}

static bool read_lock(const char *text, struct catalog_lock *lock)
{
    json_t *json = load(text);
    bool is_good = lock_from_json(json, lock, &error);
    json_decref(json);
    return is_good;
}

static void expect_json(json_t *got, const char *text)
{
    json_t *expected = load(text);
    if (!json_equal(got, expected)) {
        char *dump = json_dumps(got, 0);
        fail_msg("got %s, not %s", dump, text);
    }
    json_decref(expected);
    json_decref(got);
}

static void an_event_is_read_and_written_back(void **state)
{
    (void)state;
    struct catalog_event event;
    assert_true(
        read_event("{\"command\":\"event_add\",\"id\":\"0190163D-8694-739B-AEA5-966C26F8AD91\","
                   "\"camera\":\"yard\",\"stream\":\"sub\","
                   "\"start\":\"2026-03-31T09:30:00.25+02:00\",\"end\":1774942201.5,"
                   "\"label\":\"ein Hund \\u00e4\",\"data\":{\"b\":[1,null],\"a\":0.5}}",
            &event));
    assert_string_equal(event.id, ID);
    assert_int_equal(event.start_us, INT64_C(1774942200250000));
    assert_int_equal(event.end_us, INT64_C(1774942201500000));
    assert_string_equal(event.data, "{\"a\":0.5,\"b\":[1,null]}"); // in one order
    expect_json(event_to_json(&event),
        "{\"id\":\"" ID "\",\"camera\":\"yard\",\"stream\":\"sub\","
        "\"start\":\"2026-03-31T07:30:00.250000Z\",\"end\":\"2026-03-31T07:30:01.500000Z\","
        "\"label\":\"ein Hund \\u00e4\",\"data\":{\"a\":0.5,\"b\":[1,null]}}");
    catalog_event_fini(&event);
}

static void what_may_be_left_out_is_null(void **state)
{
    (void)state;
    struct catalog_event event;
    struct catalog_lock lock;
    assert_true(read_event("{\"camera\":\"yard\",\"start\":\"1774942200\",\"label\":\"\","
                           "\"id\":null,\"stream\":null,\"end\":null,\"data\":null}",
        &event));
    assert_string_equal(event.id, "");
    assert_string_equal(event.stream, "");
    assert_null(event.data);
    assert_int_equal(event.end_us, 0);
    snprintf(event.id, sizeof(event.id), ID);
    expect_json(event_to_json(&event),
        "{\"id\":\"" ID "\",\"camera\":\"yard\",\"stream\":null,"
        "\"start\":\"2026-03-31T07:30:00.000000Z\",\"end\":null,\"label\":\"\",\"data\":null}");
    catalog_event_fini(&event);
    assert_true(
        read_lock("{\"camera\":\"yard\",\"start\":0,\"end\":60,\"reason\":\"theft\"}", &lock));
    assert_int_equal(lock.start_us, 1); // 0 would mean: none
    assert_int_equal(lock.expires_us, 0);
    snprintf(lock.id, sizeof(lock.id), ID);
    expect_json(lock_to_json(&lock),
        "{\"id\":\"" ID "\",\"camera\":\"yard\",\"stream\":null,"
        "\"start\":\"1970-01-01T00:00:00.000001Z\",\"end\":\"1970-01-01T00:01:00.000000Z\","
        "\"reason\":\"theft\",\"expires\":null}");
    catalog_lock_fini(&lock);
}

static void what_is_wrong_with_an_event_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *code;
        const char *field;
    } table[] = {
        {"{\"start\":1,\"label\":\"x\"}", "missing_parameter", "camera"},
        {"{\"camera\":\"a\",\"label\":\"x\"}", "missing_parameter", "start"},
        {"{\"camera\":\"a\",\"start\":null,\"label\":\"x\"}", "missing_parameter", "start"},
        {"{\"camera\":\"a\",\"start\":1}", "missing_parameter", "label"},
        {"{\"camera\":\"a\",\"start\":1,\"label\":\"x\",\"colour\":1}", "unknown_parameter",
            "colour"},
        {"{\"camera\":\"a\",\"start\":1,\"label\":\"x\",\"reason\":\"x\"}", "unknown_parameter",
            "reason"},
        {"{\"camera\":\"A\",\"start\":1,\"label\":\"x\"}", "bad_parameter", "camera"},
        {"{\"camera\":\"../a\",\"start\":1,\"label\":\"x\"}", "bad_parameter", "camera"},
        {"{\"camera\":7,\"start\":1,\"label\":\"x\"}", "bad_parameter", "camera"},
        {"{\"camera\":\"a\",\"stream\":\"\",\"start\":1,\"label\":\"x\"}", "bad_parameter",
            "stream"},
        {"{\"camera\":\"a\",\"id\":\"7\",\"start\":1,\"label\":\"x\"}", "bad_parameter", "id"},
        {"{\"camera\":\"a\",\"id\":7,\"start\":1,\"label\":\"x\"}", "bad_parameter", "id"},
        {"{\"camera\":\"a\",\"start\":\"2026-03-31T07:30:00\",\"label\":\"x\"}", "bad_parameter",
            "start"},
        {"{\"camera\":\"a\",\"start\":-1,\"label\":\"x\"}", "bad_parameter", "start"},
        {"{\"camera\":\"a\",\"start\":1e18,\"label\":\"x\"}", "bad_parameter", "start"},
        {"{\"camera\":\"a\",\"start\":true,\"label\":\"x\"}", "bad_parameter", "start"},
        {"{\"camera\":\"a\",\"start\":10,\"end\":9,\"label\":\"x\"}", "bad_parameter", "end"},
        {"{\"camera\":\"a\",\"start\":1,\"label\":\"a\\nb\"}", "bad_parameter", "label"},
        {"{\"camera\":\"a\",\"start\":1,\"label\":{}}", "bad_parameter", "label"},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct catalog_event event;
        if (read_event(table[i].text, &event))
            fail_msg("%s is taken", table[i].text);
        if (strcmp(error.code, table[i].code) != 0 || strcmp(error.field, table[i].field) != 0)
            fail_msg("%s: %s %s", table[i].text, error.code, error.field);
        assert_true(error.message[0] != '\0');
    }
}

static void what_is_wrong_with_a_lock_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *code;
        const char *field;
    } table[] = {
        {"{\"camera\":\"a\",\"start\":1,\"reason\":\"x\"}", "missing_parameter", "end"},
        {"{\"camera\":\"a\",\"start\":1,\"end\":null,\"reason\":\"x\"}", "missing_parameter",
            "end"},
        {"{\"camera\":\"a\",\"start\":1,\"end\":1,\"reason\":\"x\"}", "bad_parameter", "end"},
        {"{\"camera\":\"a\",\"start\":1,\"end\":2}", "missing_parameter", "reason"},
        {"{\"camera\":\"a\",\"start\":1,\"end\":2,\"reason\":\"x\",\"expires\":\"soon\"}",
            "bad_parameter", "expires"},
        {"{\"camera\":\"a\",\"start\":1,\"end\":2,\"reason\":\"x\",\"label\":\"x\"}",
            "unknown_parameter", "label"},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct catalog_lock lock;
        if (read_lock(table[i].text, &lock))
            fail_msg("%s is taken", table[i].text);
        if (strcmp(error.code, table[i].code) != 0 || strcmp(error.field, table[i].field) != 0)
            fail_msg("%s: %s %s", table[i].text, error.code, error.field);
    }
}

// An event whose label, or data, has that many bytes.
static bool read_sized(size_t label_size, size_t data_size)
{
    char *label = xcalloc(label_size + 1, 1), *data = xcalloc(data_size + 1, 1);
    memset(label, 'x', label_size);
    memset(data, 'y', data_size);
    // As JSON the text has its quotation marks, too.
    char *text =
        xasprintf("{\"camera\":\"a\",\"start\":1,\"label\":\"%s\",\"data\":\"%s\"}", label, data);
    struct catalog_event event;
    bool is_good = read_event(text, &event);
    if (is_good)
        catalog_event_fini(&event);
    free(text);
    free(data);
    free(label);
    return is_good;
}

static void sizes_are_bounded(void **state)
{
    (void)state;
    assert_true(read_sized(256, 8190));
    assert_false(read_sized(257, 0));
    assert_string_equal(error.field, "label");
    assert_false(read_sized(0, 8191));
    assert_string_equal(error.field, "data");
}

static void an_id_and_a_time(void **state)
{
    (void)state;
    char id[CATALOG_UUID_SIZE];
    int64_t time_us;
    json_t *json = load("{\"command\":\"lock_renew\",\"id\":\"" ID "\",\"expires\":null}");
    assert_true(event_json_id(json, id, &error));
    assert_string_equal(id, ID);
    assert_true(event_json_time(json, "expires", 0, &time_us, &error));
    assert_int_equal(time_us, 0);
    assert_false(event_json_time(json, "expires", -1, &time_us, &error));
    assert_string_equal(error.code, "missing_parameter");
    assert_false(event_json_time(json, "end", -1, &time_us, &error));
    assert_string_equal(error.field, "expires"); // which does not belong there
    assert_false(event_json_only_id(json, &error));
    json_decref(json);
    json = load("{\"id\":\"" ID "\"}");
    assert_true(event_json_only_id(json, &error));
    assert_false(event_json_time(json, "expires", 0, &time_us, &error));
    assert_string_equal(error.code, "missing_parameter"); // null must be said
    json_decref(json);
    json = load("{}");
    assert_false(event_json_id(json, id, &error));
    assert_string_equal(error.code, "missing_parameter");
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_is_read_and_written_back),
        cmocka_unit_test(what_may_be_left_out_is_null),
        cmocka_unit_test(what_is_wrong_with_an_event_is_named),
        cmocka_unit_test(what_is_wrong_with_a_lock_is_named),
        cmocka_unit_test(sizes_are_bounded),
        cmocka_unit_test(an_id_and_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
