// links: kf-supervisor
// What a hook is told, as JSON, environment and webhook.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "supervisor/environment.h"
#include "supervisor/hookevent.h"
#include "supervisor/webhook.h"

static void test_event_and_environment(void **state)
{
    json_t *event = hookevent_new(HOOK_STREAM_DOWN, "n", "door", "main", INT64_C(1700000000123456));
    json_object_set_new(event, "reason", json_string("timeout"));
    hookevent_set_time(event, "since", INT64_C(1700000000000000));
    json_object_set_new(event, "away_seconds", json_real(12.5));
    json_object_set_new(event, "bytes", json_integer(INT64_C(5000000000)));
    json_object_set_new(event, "none", json_null());
    char *text = json_dumps(event, JSON_COMPACT | JSON_SORT_KEYS);
    assert_string_equal(text,
        "{\"away_seconds\":12.5,\"bytes\":5000000000,\"camera\":\"door\","
        "\"event\":\"stream_down\",\"node\":\"n\",\"none\":null,\"reason\":\"timeout\","
        "\"since\":\"2023-11-14T22:13:20.000000Z\",\"stream\":\"main\","
        "\"time\":\"2023-11-14T22:13:20.123456Z\"}");
    free(text);

    static char *const base[] = {"PATH=/bin", "KEEPFRAME_EVENT=old", "KEEPFRAMES=1", NULL};
    static const char *const expected[] = {"PATH=/bin", "KEEPFRAMES=1",
        "KEEPFRAME_EVENT=stream_down", "KEEPFRAME_NODE=n", "KEEPFRAME_CAMERA=door",
        "KEEPFRAME_STREAM=main", "KEEPFRAME_TIME=2023-11-14T22:13:20.123456Z",
        "KEEPFRAME_REASON=timeout", "KEEPFRAME_SINCE=2023-11-14T22:13:20.000000Z",
        "KEEPFRAME_AWAY_SECONDS=12.500", "KEEPFRAME_BYTES=5000000000", NULL};
    char **environment = hookevent_environment(event, base);
    size_t i = 0;
    for (; expected[i] != NULL; i++)
        assert_string_equal(environment[i], expected[i]);
    assert_null(environment[i]);
    environment_free(environment);
    json_decref(event);
    (void)state;
}

static void test_addresses_are_shown_without_what_may_be_secret(void **state)
{
    static const char *const cases[][2] = {
        {"https://alarm.example/hook?token=s3cret", "https://alarm.example"},
        {"http://u:p@ss@[::1]:81/s3cret", "http://***@[::1]:81"},
        {"https://h", "https://h"},
        {"https://h?s3cret@x", "https://h"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char *shown = webhook_shown(cases[i][0]);
        assert_string_equal(shown, cases[i][1]);
        free(shown);
    }
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_event_and_environment),
        cmocka_unit_test(test_addresses_are_shown_without_what_may_be_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
