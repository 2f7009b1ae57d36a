// What there is of a stream over time: how much of each span is covered, where nothing is and why.
// Answers are exact and come from the hourly rollup; segments are looked at only in hours that are
// covered in part, where that matters. So a year costs little more than a day.
//
// A moment that several segments cover (runs may overlap) counts once.
#pragma once

#include "lib/media/catalog.h"

// How much of each [bounds[i], bounds[i + 1]) is covered, for ascending bounds: covered_us[i], one
// less than there are bounds. Bounds at local midnights make a calendar.
enum catalog_status catalog_coverage(struct catalog *catalog, int64_t stream_id,
    const int64_t *bounds, size_t bound_count, int64_t *covered_us, char **cause);

// Fills the `buckets` + 1 bounds that divide [start_us, end_us) evenly; the inner ones of buckets
// of two hours and more are moved to whole hours, of which all is known without looking at
// segments.
void catalog_timeline_bounds(int64_t start_us, int64_t end_us, size_t buckets, int64_t *bounds);

// One stretch of time without footage.
struct catalog_gap {
    int64_t start_us;
    int64_t end_us;
    char reason[32];  // of the outage that explains most of it, or CATALOG_MISSING_REASON; empty
                      // where none is known
    char detail[256]; // of that outage
};

// The gaps of at least `least_us` in [start_us, end_us), ascending, `limit` at most (0: all).
// Before the stream's first footage there is none; behind its last there is one where an outage
// goes on. *next_us says from where on to ask for more, 0 when this is all. The array is the
// caller's (free()).
enum catalog_status catalog_gaps(struct catalog *catalog, int64_t stream_id, int64_t start_us,
    int64_t end_us, int64_t least_us, size_t limit, struct catalog_gap **gaps, size_t *count,
    int64_t *next_us, char **cause);
