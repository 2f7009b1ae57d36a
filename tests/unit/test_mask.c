// links: kf-supervisor
// No secret comes through the mask, however ffmpeg may have written it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/core/alloc.h"
#include "supervisor/mask.h"

// 16 characters, as an ill-meaning person would choose them.
#define SECRET "a%B@c\"d'e:f/g?#h"

static void expect_masked(
    const char *text, const char *url, const char *password, const char *expected)
{
    struct mask *mask = mask_new(url, password);
    char *masked = mask_text(text, mask);
    assert_string_equal(masked, expected);
    free(masked);
    mask_free(mask);
}

static void test_table(void **state)
{
    static const struct {
        const char *text, *secret, *expected;
    } table[] = {
        {"", SECRET, ""},
        {"nothing here", SECRET, "nothing here"},
        {"raw " SECRET " end", SECRET, "raw *** end"},
        {"x" SECRET SECRET "y", SECRET, "x******y"},
        {"enc a%25B%40c%22d%27e%3Af%2Fg%3F%23h end", SECRET, "enc *** end"},
        {"low a%25B%40c%22d%27e%3af%2fg%3f%23h end", SECRET, "low *** end"},
        {"mix a%25B@c%22d'e%3af/g%3F#h end", SECRET, "mix *** end"},
        {"all %61%25%42%40%63%22%64%27%65%3a%66%2f%67%3f%23%68.", SECRET, "all ***."},
        {"half a%B@c\"d'e:f/g?#", SECRET, "half a%B@c\"d'e:f/g?#"},
        {"case A%b@C\"D'E:F/G?#H", SECRET, "case A%b@C\"D'E:F/G?#H"},
        {"Impossible to open 'rtsp://u:a%25B%40c%22d%27e%3Af%2Fg%3F%23h@h/x'", SECRET,
            "Impossible to open 'rtsp://***@h/x'"},
        {"no password known: rtsp://u:whatever@h:554/x?y@z", NULL,
            "no password known: rtsp://***@z"},
        {"short: rtsp://u:pw@h/pw and pw", "pw", "short: rtsp://***@h/pw and pw"},
        {"four: rtsp://u:abcd@h/ and abcd", "abcd", "four: rtsp://***@h/ and ***"},
        {"rtsp://h/x and mail@example", NULL, "rtsp://h/x and mail@example"},
        {"two rtsp://a:b@c tcp://d:e@f", NULL, "two rtsp://***@c tcp://***@f"},
        {"cut %", SECRET, "cut %"},
        {"cut a%2", "a%21", "cut a%2"},
        {"%%%%", "%%%%", "***"},
        {"%25%25%25%25", "%%%%", "***"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++)
        expect_masked(table[i].text, NULL, table[i].secret, table[i].expected);
    (void)state;
}

static void test_query(void **state)
{
    static const char url[] = "rtsp://h/live/main?token=s%2Fecret1&ch=1&flag&mode=main&q='x'yz;e=";
    static const struct {
        const char *text, *expected;
    } table[] = {
        {"rtsp://h/live/main?token=s%2Fecret1&ch=1&flag&mode=main",
            "rtsp://h/live/main?token=***&ch=***&***&mode=***"},
        {"Impossible to open 'rtsp://u:p@h/live/main?token=s/ecret1&ch=1/trackID=1'",
            "Impossible to open 'rtsp://***@h/live/main?token=***&ch=***/trackID=***'"},
        {"the token s/ecret1 and s%2fecret1 fail", "the token *** and *** fail"},
        {"channel 1 of /cache/main/main", "channel 1 of /cache/main/main"},
        {"rtsp://h/1/main/flag/x?other=1", "rtsp://h/1/main/flag/x?other=***"},
        {"raw flag 1", "raw *** 1"},
        {"file 'rtsp://h/live?q='\\''x'\\''yz'", "file 'rtsp://h/live?q=***'"},
        {"rtsp://h/x?a=s/ecret1 1", "rtsp://h/x?a=*** 1"},
        {"?ch=1", "?ch=1"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++)
        expect_masked(table[i].text, url, NULL, table[i].expected);
    (void)state;
}

static void test_a_password_in_the_path(void **state)
{
    static const struct {
        const char *url, *text, *expected;
    } table[] = {
        {"rtsp://h:554/user=admin&password=geh_eim&channel=1&stream=0.sdp?",
            "open 'rtsp://h:554/user=admin&password=geh_eim&channel=1&stream=0.sdp?': geh_eim",
            "open 'rtsp://h:554/user=admin&password=***&channel=1&stream=0.sdp?': ***"},
        {"rtsp://h/user=admin_password=tlJ_wpbo6_channel=1_stream=0.sdp",
            "rtsp://h/user=admin_password=tlJ_wpbo6_channel=1_stream=0.sdp",
            "rtsp://h/user=admin_password=***_channel=1_stream=0.sdp"},
        {"rtsp://h/Password=geheim/live", "/Password=geheim/live", "/Password=***/live"},
        {"rtsp://h/user=admin&password=&channel=1", "rtsp://h/user=admin&password=&channel=1",
            "rtsp://h/user=admin&password=&channel=1"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++)
        expect_masked(table[i].text, table[i].url, NULL, table[i].expected);
    (void)state;
}

static void test_several(void **state)
{
    static const char url[] = "rtsp://h/x?a=secret&b=secretlonger#?c=fragment";
    expect_masked("secretlonger secret", url, NULL, "*** ***");
    expect_masked("fragment", url, NULL, "fragment");
    expect_masked("word secret", url, "word", "*** ***");
    expect_masked("rtsp://h/word?x", url, "word", "rtsp://h/***?x");
    expect_masked("x", "rtsp://h/x", NULL, "x");
    expect_masked("x", "rtsp://h/x?", "", "x");
    char *masked = mask_text("rtsp://u:p@h/x?y=1", NULL);
    assert_string_equal(masked, "rtsp://***@h/x?y=1");
    free(masked);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_query),
        cmocka_unit_test(test_a_password_in_the_path),
        cmocka_unit_test(test_several),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
