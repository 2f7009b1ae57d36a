// links: kf-webui
// Which address leads where, and what every route declares.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "webui/api.h"
#include "webui/page_assets.h"
#include "webui/route.h"

static void test_names_are_taken_from_the_path(void **state)
{
    (void)state;
    struct request request = {0};
    assert_true(route_find("/video/front-door/sub_2.mp4", &request));
    assert_string_equal(request.route->pattern, "/video/{camera}/{stream}.mp4");
    assert_string_equal(request.names[0], "front-door");
    assert_string_equal(request.names[1], "sub_2");
    assert_true(route_find("/api/v1/cameras/yard", &request));
    assert_string_equal(request.route->pattern, "/api/v1/cameras/{camera}");
    assert_string_equal(request.names[0], "yard");
    assert_true(route_find("/api/v1/cameras", &request));
    assert_true(route_find("/", &request));
}

static void test_other_paths_lead_nowhere(void **state)
{
    (void)state;
    static const char *const paths[] = {
        "",
        "//",
        "/video",
        "/video/",
        "/video/a",
        "/video/a/b",
        "/video/a/b.mp3",
        "/video/a/b.mp4x",
        "/video/a/b.mp4/",
        "/video/a/.mp4",
        "/video//b.mp4",
        "/video/a/b/c.mp4",
        "/video/../b.mp4",
        "/video/-a/b.mp4",
        "/video/A/b.mp4",
        "/video/a b/c.mp4",
        "/api/v1/cameras/",
        "/api/v1/cameras/a/b",
        "/api/v1/cameras/a/b/segment",
        "/static/",
        "/static/../app.js",
        "/static/index.html",
        "/healthz/",
        "/api/v1/events/",
        "/api/v1/events/0190163D-8694-739b-aea5-966c26f8ad9",
        "/api/v1/events/0190163D-8694-739b-aea5-966c26f8ad911",
        "/api/v1/events/g190163D-8694-739b-aea5-966c26f8ad91",
        "/api/v1/cameras/a/timeline",
    };
    struct request request = {0};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        if (route_find(paths[i], &request))
            fail_msg("%s is answered by %s", paths[i], request.route->pattern);
}

static void test_a_name_of_63_characters_is_the_longest(void **state)
{
    (void)state;
    struct request request = {0};
    char path[128] = "/api/v1/cameras/";
    size_t used = strlen(path);
    memset(path + used, 'x', 63);
    assert_true(route_find(path, &request));
    assert_int_equal(strlen(request.names[0]), 63);
    path[used + 63] = 'x';
    assert_false(route_find(path, &request));
}

static void test_every_route_declares_what_it_needs(void **state)
{
    (void)state;
    for (const struct route *route = route_table; route->pattern != NULL; route++) {
        assert_true(route->handle != NULL || route->writes[0].method != NULL);
        if (route->handle != NULL)
            assert_in_range(route->permission, ROUTE_PUBLIC, ROUTE_ADMIN);
        // Only an administrator may change something or have something done.
        for (size_t i = 0; i < ROUTE_WRITES_MAX && route->writes[i].method != NULL; i++) {
            assert_int_equal(route->writes[i].permission, ROUTE_ADMIN);
            assert_non_null(route->writes[i].command);
            assert_in_range(route->writes[i].peer, 0, ASKER_PEERS - 1);
        }
        size_t rules = 0;
        while (route->rules[rules].name != NULL)
            rules++;
        assert_in_range(rules, 0, QUERY_PARAMETERS_MAX);
        // Whatever shows footage is not for everybody.
        if (strstr(route->pattern, "{camera}") != NULL)
            assert_int_equal(route->permission, ROUTE_VIEW);
    }
}

#define ID "0190163D-8694-739b-aea5-966c26f8ad91"

static void test_methods(void **state)
{
    (void)state;
    char known[ROUTE_METHODS_SIZE];
    struct request request = {0};
    assert_true(route_find("/api/v1/events", &request));
    assert_true(route_find_method(&request, "GET", known));
    assert_null(request.write);
    assert_false(request.head);
    assert_true(route_find_method(&request, "HEAD", known));
    assert_true(request.head);
    assert_true(route_find_method(&request, "POST", known));
    assert_false(request.head);
    assert_string_equal(request.write->method, "POST");
    assert_false(route_find_method(&request, "DELETE", known));
    assert_string_equal(known, "GET, HEAD, POST");
    assert_true(route_find("/api/v1/events/" ID, &request));
    assert_string_equal(request.id, ID);
    assert_true(route_find_method(&request, "PATCH", known));
    assert_true(route_find_method(&request, "DELETE", known));
    assert_false(route_find_method(&request, "HEAD", known));
    assert_string_equal(known, "PATCH, DELETE");
    assert_false(route_find_method(&request, "get", known));
}

// What is put to a program for a request's body: its JSON, or the status of the refusal.
static void expect_command(
    route_command_fn make, const char *id, const char *body, const char *command, unsigned status)
{
    struct request request = {.body = body, .body_size = body ? strlen(body) : 0};
    struct reply reply = {0};
    snprintf(request.id, sizeof(request.id), "%s", id);
    json_t *got = make(&request, &reply);
    assert_int_equal(reply.status, status);
    json_t *expected = command ? json_loads(command, 0, NULL) : NULL;
    if (command == NULL)
        assert_null(got);
    else
        assert_true(json_equal(got, expected));
    json_decref(expected);
    json_decref(got);
    reply_fini(&reply);
}

static void test_what_is_put_to_the_indexer(void **state)
{
    (void)state;
    expect_command(api_event_add, "", "{\"camera\":\"a\",\"id\":\"x\"}",
        "{\"command\":\"event_add\",\"camera\":\"a\",\"id\":\"x\"}", 0);
    expect_command(api_event_end, ID, "{\"end\":5}",
        "{\"command\":\"event_end\",\"id\":\"" ID "\",\"end\":5}", 0);
    expect_command(
        api_event_remove, ID, NULL, "{\"command\":\"event_remove\",\"id\":\"" ID "\"}", 0);
    expect_command(api_lock_renew, ID, "{\"expires\":null}",
        "{\"command\":\"lock_renew\",\"id\":\"" ID "\",\"expires\":null}", 0);
    expect_command(api_lock_remove, ID, NULL, "{\"command\":\"lock_remove\",\"id\":\"" ID "\"}", 0);
    static const char *const bad[] = {"", "x", "[]", "null", "{\"camera\":\"a\"} x",
        "{\"command\":\"lock_remove\"}", "{\"end\":1,\"end\":2}"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        expect_command(api_event_add, "", bad[i], NULL, 400);
    // The address names what is meant, nothing else does.
    expect_command(api_event_end, ID, "{\"end\":5,\"id\":\"x\"}", NULL, 400);
}

static void expect_probe(const char *body, const char *command, unsigned status)
{
    expect_command(api_probe, "", body, command, status);
}

static void test_the_body_of_a_probe(void **state)
{
    (void)state;
    expect_probe(
        "{\"camera\":\"a\",\"stream\":null}", "{\"command\":\"probe\",\"camera\":\"a\"}", 0);
    expect_probe("{\"url\":\"rtsp://h/\",\"username\":\"u\",\"password\":\"p\"}",
        "{\"command\":\"probe\",\"url\":\"rtsp://h/\",\"username\":\"u\",\"password\":\"p\"}", 0);
    static const char *const bad[] = {"", "x", "[]", "\"probe\"", "null", "{\"camera\":1}",
        "{\"camera\":[\"a\"]}", "{\"command\":\"stop\"}", "{\"camera\":\"a\",\"camera\":\"b\"}",
        "{\"password_file\":\"/etc/passwd\"}", "{\"camera\":\"a\"} x"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        expect_probe(bad[i], NULL, 400);
}

static void test_every_asset_has_a_route(void **state)
{
    (void)state;
    struct request request = {0};
    assert_true(page_asset_count > 3);
    for (size_t i = 0; i < page_asset_count; i++) {
        if (!route_find(page_assets[i].path, &request))
            fail_msg("%s has no route", page_assets[i].path);
        struct reply reply = {0};
        request.route->handle(NULL, &request, &reply);
        assert_int_equal(reply.status, 200);
        assert_ptr_equal(reply.fixed, page_assets[i].data);
        reply_fini(&reply);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_are_taken_from_the_path),
        cmocka_unit_test(test_other_paths_lead_nowhere),
        cmocka_unit_test(test_a_name_of_63_characters_is_the_longest),
        cmocka_unit_test(test_every_route_declares_what_it_needs),
        cmocka_unit_test(test_methods),
        cmocka_unit_test(test_what_is_put_to_the_indexer),
        cmocka_unit_test(test_the_body_of_a_probe),
        cmocka_unit_test(test_every_asset_has_a_route),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
