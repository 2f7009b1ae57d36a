// links: kf-webui
// What was answered is counted by route and status, by many threads at once too.
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "webui/route.h"
#include "webui/traffic.h"

enum {
    THREADS = 4,
    ROUNDS = 20000,
};

static const struct route *route_of(const char *path)
{
    struct request request = {0};
    assert_true(route_find(path, &request));
    return request.route;
}

// Collects "PATTERN STATUS COUNT;" of all that was counted.
static void collect(const char *route, unsigned status, uint64_t count, void *arg)
{
    buf_printf(arg, "%s %u %llu;", route, status, (unsigned long long)count);
}

static void assert_counts(const struct traffic *traffic, const char *expected)
{
    struct buf text = BUF_INIT;
    traffic_each(traffic, collect, &text);
    assert_string_equal(buf_string(&text), expected);
    buf_fini(&text);
}

static void test_each_route_and_status_has_its_count(void **state)
{
    (void)state;
    struct traffic *traffic = traffic_new();
    assert_counts(traffic, "");
    traffic_count(traffic, route_of("/healthz"), 200, 10);
    traffic_count(traffic, route_of("/healthz"), 503, 10);
    traffic_count(traffic, route_of("/healthz"), 200, 10);
    traffic_count(traffic, route_of("/"), 304, 10);
    traffic_count(traffic, NULL, 404, 10);
    traffic_count(traffic, NULL, 599, 10);
    assert_counts(traffic, "/ 304 1;/healthz 200 2;/healthz 503 1;none 404 1;none 0 1;");
    traffic_count_bytes(traffic, 7);
    traffic_count_bytes(traffic, UINT64_C(1) << 40);
    assert_int_equal(traffic_bytes(traffic), (UINT64_C(1) << 40) + 7);
    traffic_free(traffic);
}

static void test_times_fall_into_the_bucket_that_bounds_them(void **state)
{
    (void)state;
    struct traffic *traffic = traffic_new();
    const struct route *route = route_of("/");
    static const int64_t elapsed_us[] = {0, 1000, 1001, 5000000, 5000001, 900000000};
    for (size_t i = 0; i < sizeof(elapsed_us) / sizeof(elapsed_us[0]); i++)
        traffic_count(traffic, route, 200, elapsed_us[i]);
    struct traffic_times times;
    assert_true(traffic_times_get(traffic, 0, &times));
    assert_string_equal(times.route, "/");
    assert_int_equal(times.counts[0], 2);
    assert_int_equal(times.counts[1], 1);
    assert_int_equal(times.counts[TRAFFIC_BOUNDS - 1], 1);
    assert_int_equal(times.counts[TRAFFIC_BOUNDS], 2);
    assert_int_equal(times.sum_us, 910002002);
    size_t index = 0;
    while (traffic_times_get(traffic, index, &times))
        index++;
    assert_true(index > 10);
    assert_false(traffic_times_get(traffic, index + 1, &times));
    traffic_free(traffic);
}

static void *count_many(void *arg)
{
    for (int i = 0; i < ROUNDS; i++) {
        traffic_count(arg, route_table, 200, 3);
        traffic_count_bytes(arg, 3);
    }
    return NULL;
}

static void test_no_count_is_lost_between_threads(void **state)
{
    (void)state;
    struct traffic *traffic = traffic_new();
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_many, traffic), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    struct traffic_times times;
    assert_true(traffic_times_get(traffic, 0, &times));
    assert_int_equal(times.counts[0], THREADS * ROUNDS);
    assert_int_equal(times.sum_us, 3 * THREADS * ROUNDS);
    assert_int_equal(traffic_bytes(traffic), 3 * THREADS * ROUNDS);
    assert_counts(traffic, "/ 200 80000;");
    traffic_free(traffic);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_route_and_status_has_its_count),
        cmocka_unit_test(test_times_fall_into_the_bucket_that_bounds_them),
        cmocka_unit_test(test_no_count_is_lost_between_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
