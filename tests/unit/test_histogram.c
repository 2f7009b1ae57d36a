// How values are spread: table in, counts out.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/core/alloc.h"
#include "lib/core/histogram.h"

static const double bounds[] = {0.5, 1, 2};

static void test_buckets(void **state)
{
    static const struct {
        double value;
        size_t bucket;
    } table[] = {
        {0, 0}, {0.25, 0}, {0.5, 0}, {0.75, 1}, {1, 1}, {1.5, 2}, {2, 2}, {2.5, 3}, {1000, 3}};
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        struct histogram histogram;
        histogram_init(&histogram, bounds, ARRAY_LENGTH(bounds));
        histogram_add(&histogram, table[i].value);
        for (size_t bucket = 0; bucket <= ARRAY_LENGTH(bounds); bucket++)
            assert_int_equal(histogram.counts[bucket], bucket == table[i].bucket);
    }
    (void)state;
}

static void test_as_json(void **state)
{
    struct histogram histogram;
    histogram_init(&histogram, bounds, ARRAY_LENGTH(bounds));
    static const double values[] = {0.25, 4, 0.5, 1.25};
    for (size_t i = 0; i < ARRAY_LENGTH(values); i++)
        histogram_add(&histogram, values[i]);
    json_t *json = histogram_json(&histogram);
    char *text = json_dumps(json, JSON_COMPACT);
    assert_string_equal(text,
        "{\"bounds\":[0.5,1.0,2.0],\"counts\":[2,0,1,1],\"sum\":6.0,\"count\":4,\"max\":4.0}");
    free(text);
    json_decref(json);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buckets),
        cmocka_unit_test(test_as_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
