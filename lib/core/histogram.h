// How values are spread: counts by upper bound, as Prometheus has them, but each bucket alone.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

enum {
    HISTOGRAM_BOUNDS_MAX = 20,
};

struct histogram {
    const double *bounds; // ascending; a value that equals one is below it
    size_t bound_count;
    uint64_t counts[HISTOGRAM_BOUNDS_MAX + 1]; // the last: above all bounds
    uint64_t count;
    double sum, max;
};

// `bounds` must outlive it; at most HISTOGRAM_BOUNDS_MAX of them.
void histogram_init(struct histogram *histogram, const double *bounds, size_t bound_count);

void histogram_add(struct histogram *histogram, double value);

// {"bounds":[…],"counts":[one more],"sum","count","max"}, a new reference.
json_t *histogram_json(const struct histogram *histogram);
