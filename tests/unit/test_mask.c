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
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        char *masked = mask_text(table[i].text, table[i].secret);
        assert_string_equal(masked, table[i].expected);
        free(masked);
    }
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_table)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
