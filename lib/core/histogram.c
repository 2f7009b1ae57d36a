// How values are spread. See histogram.h.
#include "lib/core/histogram.h"

#include <assert.h>

void histogram_init(struct histogram *histogram, const double *bounds, size_t bound_count)
{
    assert(bound_count <= HISTOGRAM_BOUNDS_MAX);
    *histogram = (struct histogram){.bounds = bounds, .bound_count = bound_count};
}

void histogram_add(struct histogram *histogram, double value)
{
    size_t bucket = 0;
    while (bucket < histogram->bound_count && value > histogram->bounds[bucket])
        bucket++;
    histogram->counts[bucket]++;
    histogram->count++;
    histogram->sum += value;
    if (value > histogram->max)
        histogram->max = value;
}

json_t *histogram_json(const struct histogram *histogram)
{
    json_t *bounds = json_array(), *counts = json_array();
    for (size_t i = 0; i < histogram->bound_count; i++)
        json_array_append_new(bounds, json_real(histogram->bounds[i]));
    for (size_t i = 0; i <= histogram->bound_count; i++)
        json_array_append_new(counts, json_integer((json_int_t)histogram->counts[i]));
    return json_pack("{s:o, s:o, s:f, s:I, s:f}", "bounds", bounds, "counts", counts, "sum",
        histogram->sum, "count", (json_int_t)histogram->count, "max", histogram->max);
}
