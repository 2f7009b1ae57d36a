// links: kf-webui
// Metrics as text, held against the exposition format's own words.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "webui/promtext.h"

static struct buf out;

static void assert_text(const char *expected)
{
    assert_string_equal(buf_string(&out), expected);
    buf_fini(&out);
}

static void test_help_and_type_stand_before_the_first_sample_only(void **state)
{
    (void)state;
    struct promtext text;
    promtext_begin(&text, &out, "a_total", PROMTEXT_COUNTER, "Counts.");
    const struct promtext_label labels[PROMTEXT_LABELS_MAX] = {{"x", "1"}, {0}, {"y", "2"}};
    const struct promtext_label none[PROMTEXT_LABELS_MAX] = {{0}};
    promtext_put(&text, labels, 5);
    promtext_put(&text, none, 6);
    promtext_begin(&text, &out, "unused", PROMTEXT_GAUGE, "Never seen.");
    promtext_begin(&text, &out, "b", PROMTEXT_GAUGE, "Another.");
    promtext_put(&text, none, -1.5);
    assert_text("# HELP a_total Counts.\n# TYPE a_total counter\n"
                "a_total{x=\"1\",y=\"2\"} 5\na_total 6\n"
                "# HELP b Another.\n# TYPE b gauge\nb -1.5\n");
}

static void test_a_label_s_value_is_escaped(void **state)
{
    (void)state;
    struct promtext text;
    promtext_begin(&text, &out, "a", PROMTEXT_GAUGE, "Help.");
    const struct promtext_label labels[PROMTEXT_LABELS_MAX] = {
        {"v", "/srv/a \"b\"\\c\nd{}"}, {"w", ""}, {"x", "\\"}};
    promtext_put(&text, labels, 1);
    assert_text("# HELP a Help.\n# TYPE a gauge\n"
                "a{v=\"/srv/a \\\"b\\\"\\\\c\\nd{}\",w=\"\",x=\"\\\\\"} 1\n");
}

static void test_numbers_keep_their_digits(void **state)
{
    (void)state;
    struct promtext text;
    const struct promtext_label none[PROMTEXT_LABELS_MAX] = {{0}};
    promtext_begin(&text, &out, "a", PROMTEXT_GAUGE, "Help.");
    promtext_put(&text, none, 1774942200.123456);
    promtext_put(&text, none, 4503599627370497);
    promtext_put(&text, none, 0.1);
    promtext_put(&text, none, -0.077909);
    promtext_put(&text, none, (double)INFINITY);
    promtext_put(&text, none, -(double)INFINITY);
    promtext_put(&text, none, (double)NAN);
    assert_text("# HELP a Help.\n# TYPE a gauge\na 1774942200.123456\na 4503599627370497\na 0.1\n"
                "a -0.077909\n"
                "a +Inf\na -Inf\na NaN\n");
}

static void test_a_histogram_s_buckets_add_up(void **state)
{
    (void)state;
    struct promtext text;
    const double bounds[] = {0.5, 1}, counts[] = {2, 0, 3};
    promtext_begin(&text, &out, "h", PROMTEXT_HISTOGRAM, "Help.");
    promtext_put_histogram(&text, (struct promtext_label){"r", "/"}, bounds, counts, 2, 7.25);
    promtext_put_histogram(&text, (struct promtext_label){0}, bounds, counts, 2, 7);
    assert_text("# HELP h Help.\n# TYPE h histogram\n"
                "h_bucket{r=\"/\",le=\"0.5\"} 2\nh_bucket{r=\"/\",le=\"1\"} 2\n"
                "h_bucket{r=\"/\",le=\"+Inf\"} 5\nh_sum{r=\"/\"} 7.25\nh_count{r=\"/\"} 5\n"
                "h_bucket{le=\"0.5\"} 2\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 5\n"
                "h_sum 7\nh_count 5\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_help_and_type_stand_before_the_first_sample_only),
        cmocka_unit_test(test_a_label_s_value_is_escaped),
        cmocka_unit_test(test_numbers_keep_their_digits),
        cmocka_unit_test(test_a_histogram_s_buckets_add_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
