// links: kf-webui
// Which address leads where, and what every route declares.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
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
        assert_in_range(route->permission, ROUTE_PUBLIC, ROUTE_ADMIN);
        // GET is answered by a handler, POST by a command, which only an administrator may give.
        assert_true((route->handle == NULL) == (route->command != NULL));
        if (route->command != NULL)
            assert_int_equal(route->permission, ROUTE_ADMIN);
        size_t rules = 0;
        while (route->rules[rules].name != NULL)
            rules++;
        assert_in_range(rules, 0, QUERY_PARAMETERS_MAX);
        // Whatever shows footage is not for everybody.
        if (strstr(route->pattern, "{camera}") != NULL)
            assert_int_equal(route->permission, ROUTE_VIEW);
    }
}

// What is put to the supervisor for a body: its JSON, or the status of the refusal.
static void expect_probe(const char *body, const char *command, unsigned status)
{
    struct request request = {.body = body, .body_size = strlen(body)};
    struct reply reply = {0};
    json_t *got = api_probe(&request, &reply);
    assert_int_equal(reply.status, status);
    if (command != NULL) {
        json_t *expected = json_loads(command, 0, NULL);
        assert_true(json_equal(got, expected));
        json_decref(expected);
    } else {
        assert_null(got);
    }
    json_decref(got);
    reply_fini(&reply);
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
        cmocka_unit_test(test_the_body_of_a_probe),
        cmocka_unit_test(test_every_asset_has_a_route),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
