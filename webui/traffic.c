// What the HTTP server has answered. See traffic.h.
#include "webui/traffic.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "lib/core/alloc.h"
#include "lib/core/timeutil.h"
#include "webui/route.h"

static const unsigned traffic_statuses[] = {
    200, 201, 202, 204, 206, 304, 400, 401, 403, 404, 405, 409, 412, 413, 416, 429, 500, 503, 0};

const double traffic_bounds_s[TRAFFIC_BOUNDS] = {
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5};

struct traffic_route {
    atomic_uint_least64_t statuses[ARRAY_LENGTH(traffic_statuses)];
    atomic_uint_least64_t buckets[TRAFFIC_BOUNDS + 1];
    atomic_uint_least64_t sum_us;
};

struct traffic {
    size_t route_count; // one more than there are routes: the last is for unknown addresses
    atomic_uint_least64_t bytes;
    atomic_uint_least64_t failures;
    struct traffic_route routes[];
};

struct traffic *traffic_new(void)
{
    size_t count = 0;
    while (route_table[count++].pattern != NULL)
        ;
    struct traffic *traffic = xcalloc(1, sizeof(*traffic) + count * sizeof(traffic->routes[0]));
    traffic->route_count = count;
    return traffic;
}

void traffic_free(struct traffic *traffic)
{
    free(traffic);
}

static void traffic_add(atomic_uint_least64_t *counter, uint64_t value)
{
    atomic_fetch_add_explicit(counter, value, memory_order_relaxed);
}

static uint64_t traffic_load(const atomic_uint_least64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static size_t traffic_status_index(unsigned status)
{
    size_t i = 0;
    while (traffic_statuses[i] != 0 && traffic_statuses[i] != status)
        i++;
    return i;
}

void traffic_count(
    struct traffic *traffic, const struct route *route, unsigned status, int64_t elapsed_us)
{
    size_t index = route ? (size_t)(route - route_table) : traffic->route_count - 1;
    struct traffic_route *counters = &traffic->routes[index];
    double elapsed_s = (double)elapsed_us / US_PER_SECOND;
    size_t bucket = 0;
    while (bucket < TRAFFIC_BOUNDS && elapsed_s > traffic_bounds_s[bucket])
        bucket++;
    traffic_add(&counters->statuses[traffic_status_index(status)], 1);
    traffic_add(&counters->buckets[bucket], 1);
    traffic_add(&counters->sum_us, elapsed_us > 0 ? (uint64_t)elapsed_us : 0);
}

void traffic_count_bytes(struct traffic *traffic, uint64_t bytes)
{
    traffic_add(&traffic->bytes, bytes);
}

void traffic_count_failure(struct traffic *traffic)
{
    traffic_add(&traffic->failures, 1);
}

uint64_t traffic_failures(const struct traffic *traffic)
{
    return traffic_load(&traffic->failures);
}

uint64_t traffic_bytes(const struct traffic *traffic)
{
    return traffic_load(&traffic->bytes);
}

static const char *traffic_pattern(size_t index)
{
    return route_table[index].pattern ? route_table[index].pattern : "none";
}

void traffic_each(const struct traffic *traffic, traffic_fn fn, void *arg)
{
    for (size_t i = 0; i < traffic->route_count; i++)
        for (size_t j = 0; j < ARRAY_LENGTH(traffic_statuses); j++) {
            uint64_t count = traffic_load(&traffic->routes[i].statuses[j]);
            if (count > 0)
                fn(traffic_pattern(i), traffic_statuses[j], count, arg);
        }
}

bool traffic_times_get(const struct traffic *traffic, size_t index, struct traffic_times *times)
{
    if (index >= traffic->route_count)
        return false;
    const struct traffic_route *counters = &traffic->routes[index];
    times->route = traffic_pattern(index);
    for (size_t i = 0; i <= TRAFFIC_BOUNDS; i++)
        times->counts[i] = traffic_load(&counters->buckets[i]);
    times->sum_us = traffic_load(&counters->sum_us);
    return true;
}
