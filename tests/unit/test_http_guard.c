// links: kf-webui
// Which POST may go on: never one that another site's page has made a browser send.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "webui/http_guard.h"

#define HOST "127.0.0.1:8080"
#define JSON "application/json"

static void test_table(void **state)
{
    static const struct {
        struct http_post post;
        unsigned status;
    } table[] = {
        // curl, and our own page, behind a proxy too.
        {{.content_type = JSON, .content_length = "0", .host = HOST}, 0},
        {{.content_type = JSON,
             .content_length = "100",
             .host = HOST,
             .origin = "http://" HOST,
             .fetch_site = "same-origin"},
            0},
        {{.content_type = "Application/JSON; charset=utf-8",
             .content_length = "7",
             .host = "nvr.example",
             .origin = "https://NVR.example"},
            0},
        {{.content_type = JSON, .content_length = "7", .host = HOST, .fetch_site = "none"}, 0},
        // A page that may.
        {{.content_type = JSON,
             .content_length = "7",
             .host = HOST,
             .origin = "https://wall.example",
             .fetch_site = "cross-site",
             .is_allowed = true},
            0},
        // Other sites' pages.
        {{.content_type = JSON,
             .content_length = "7",
             .host = HOST,
             .origin = "http://evil.example"},
            403},
        {{.content_type = JSON,
             .content_length = "7",
             .host = HOST,
             .origin = "http://127.0.0.1:8081"},
            403},
        {{.content_type = JSON,
             .content_length = "7",
             .host = HOST,
             .origin = "http://" HOST ".evil.example"},
            403},
        {{.content_type = JSON, .content_length = "7", .host = HOST, .origin = "null"}, 403},
        {{.content_type = JSON, .content_length = "7", .host = HOST, .origin = ""}, 403},
        {{.content_type = JSON, .content_length = "7", .origin = "http://"}, 403},
        {{.content_type = JSON, .content_length = "7", .host = "", .origin = "http://"}, 403},
        {{.content_type = JSON, .content_length = "7", .host = HOST, .fetch_site = "cross-site"},
            403},
        {{.content_type = JSON, .content_length = "7", .host = HOST, .fetch_site = "same-site"},
            403},
        // What a plain form can send.
        {{.content_length = "7", .host = HOST}, 415},
        {{.content_type = "text/plain", .content_length = "7", .host = HOST}, 415},
        {{.content_type = "application/x-www-form-urlencoded", .content_length = "7"}, 415},
        {{.content_type = "application/jsonp", .content_length = "7"}, 415},
        {{.content_type = "text/plain; application/json", .content_length = "7"}, 415},
        // Lengths.
        {{.content_type = JSON}, 411},
        {{.content_type = JSON, .content_length = "7", .transfer_encoding = "chunked"}, 411},
        {{.content_type = JSON, .content_length = "-7"}, 411},
        {{.content_type = JSON, .content_length = ""}, 411},
        {{.content_type = JSON, .content_length = "7 "}, 411},
        {{.content_type = JSON, .content_length = "99999999999999999999999"}, 411},
        {{.content_type = JSON, .content_length = "101"}, 413},
        {{.content_type = JSON, .content_length = "999999999999999999"}, 413},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        const char *code = NULL, *message = NULL;
        unsigned status = http_guard_check(&table[i].post, 100, &code, &message);
        if (status != table[i].status)
            fail_msg("case %zu: %u, not %u", i, status, table[i].status);
        assert_true(status == 0 || (code != NULL && message != NULL));
    }
    (void)state;
}

static void test_without_a_body(void **state)
{
    (void)state;
    const char *code = NULL, *message = NULL;
    const struct http_post curl = {.host = HOST};
    const struct http_post foreign = {.host = HOST, .origin = "http://evil.example"};
    assert_int_equal(http_guard_bare(&curl, &code, &message), 0);
    assert_int_equal(http_guard_bare(&foreign, &code, &message), 403);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table), cmocka_unit_test(test_without_a_body)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
