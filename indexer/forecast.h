// What storage will do: when it is full, and how much of the past it holds then, at the present
// rate. Pure; its figures come from sums and hours alone.
#pragma once

#include <stddef.h>
#include <stdint.h>

// One stream: how fast it grows, and what bounds it.
struct forecast_stream {
    double bytes_per_day;
    uint64_t bytes;     // that it has
    double age_days;    // of its oldest footage, 0 without any
    double keep_days;   // by its limits
    uint64_t max_bytes; // 0: no limit
};

struct forecast {
    double bytes_per_day; // of all streams
    double full_days;     // until min_free begins to delete; -1: never, its limits are met before
    double history_days;  // what there will be then of the stream that reaches back the furthest,
                          // or, when it never becomes full, by its limits; -1: nothing is recorded
};

// `room_bytes`: what may still be written before `min_free` on all volumes together.
void forecast_make(const struct forecast_stream *streams, size_t count, uint64_t room_bytes,
    struct forecast *forecast);
