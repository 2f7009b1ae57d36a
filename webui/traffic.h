// What the HTTP server has answered: counts that only grow, by route and status, and how long the
// answers took to begin. The HTTP thread counts, any thread may read; both without a lock.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct traffic;
struct route;

// For the routes of the route table.
struct traffic *traffic_new(void);
void traffic_free(struct traffic *traffic);

// Counts an answer: to which route (NULL: there is none at that address), with which status, and
// how long after the request's first line its header was ready.
void traffic_count(
    struct traffic *traffic, const struct route *route, unsigned status, int64_t elapsed_us);

// Counts bytes of a body that were handed to the network.
void traffic_count_bytes(struct traffic *traffic, uint64_t bytes);
uint64_t traffic_bytes(const struct traffic *traffic);

// Counts an answer that had to end early, because a file was not what it had been, say.
void traffic_count_failure(struct traffic *traffic);
uint64_t traffic_failures(const struct traffic *traffic);

// Calls `fn` for each route and status that was answered at least once. The route's pattern is
// "none" where there was no route; `status` 0 stands for any that has no count of its own.
typedef void (*traffic_fn)(const char *route, unsigned status, uint64_t count, void *arg);
void traffic_each(const struct traffic *traffic, traffic_fn fn, void *arg);

// The times until the answers began, of one route or of none.
enum {
    TRAFFIC_BOUNDS = 11,
};

extern const double traffic_bounds_s[TRAFFIC_BOUNDS];

struct traffic_times {
    const char *route;
    uint64_t counts[TRAFFIC_BOUNDS + 1]; // of each bucket alone; the last one has no bound
    uint64_t sum_us;
};

// Fills `times` for the route of that index, from 0. Returns false behind the last one.
bool traffic_times_get(const struct traffic *traffic, size_t index, struct traffic_times *times);
