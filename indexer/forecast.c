// What storage will do. See forecast.h.
#include "indexer/forecast.h"

#include <stdbool.h>

enum {
    FORECAST_STEPS = 64, // of a search by halves
};

// For how long a stream goes on growing before its own limits stop it.
static double forecast_grows_days(const struct forecast_stream *stream)
{
    double days = stream->keep_days - stream->age_days;
    if (stream->max_bytes > 0 && stream->bytes_per_day > 0) {
        double left = (double)stream->max_bytes - (double)stream->bytes;
        double max_days = left / stream->bytes_per_day;
        days = max_days < days ? max_days : days;
    }
    return days > 0 ? days : 0;
}

// What all streams take when each holds `days` of the past, as far as its limits let it.
static double forecast_held_bytes(const struct forecast_stream *streams, size_t count, double days)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        const struct forecast_stream *stream = &streams[i];
        double held = stream->bytes_per_day * (days < stream->keep_days ? days : stream->keep_days);
        if (stream->max_bytes > 0 && held > (double)stream->max_bytes)
            held = (double)stream->max_bytes;
        sum += held;
    }
    return sum;
}

// The bytes that all streams have grown by after `days`.
static double forecast_growth_bytes(
    const struct forecast_stream *streams, size_t count, double days)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        double grows = forecast_grows_days(&streams[i]);
        sum += streams[i].bytes_per_day * (days < grows ? days : grows);
    }
    return sum;
}

// The days after which `bytes_after` reaches `bytes`, between 0 and `most_days`.
static double forecast_search(double (*bytes_after)(const struct forecast_stream *, size_t, double),
    const struct forecast_stream *streams, size_t count, double bytes, double most_days)
{
    double low = 0, high = most_days;
    for (int i = 0; i < FORECAST_STEPS; i++) {
        double middle = (low + high) / 2;
        if (bytes_after(streams, count, middle) < bytes)
            low = middle;
        else
            high = middle;
    }
    return high;
}

void forecast_make(const struct forecast_stream *streams, size_t count, uint64_t room_bytes,
    struct forecast *forecast)
{
    *forecast = (struct forecast){.full_days = -1, .history_days = -1};
    double used = 0, most_days = 0, grows_days = 0;
    for (size_t i = 0; i < count; i++) {
        const struct forecast_stream *stream = &streams[i];
        used += (double)stream->bytes;
        if (stream->bytes_per_day <= 0)
            continue;
        forecast->bytes_per_day += stream->bytes_per_day;
        double keep_days = stream->keep_days;
        if (stream->max_bytes > 0 && (double)stream->max_bytes / stream->bytes_per_day < keep_days)
            keep_days = (double)stream->max_bytes / stream->bytes_per_day;
        most_days = keep_days > most_days ? keep_days : most_days;
        double grows = forecast_grows_days(stream);
        grows_days = grows > grows_days ? grows : grows_days;
    }
    if (forecast->bytes_per_day <= 0)
        return;
    forecast->history_days = most_days;
    double room = (double)room_bytes;
    if (forecast_growth_bytes(streams, count, grows_days) <= room)
        return;
    forecast->full_days = forecast_search(forecast_growth_bytes, streams, count, room, grows_days);
    if (forecast_held_bytes(streams, count, most_days) > used + room)
        forecast->history_days =
            forecast_search(forecast_held_bytes, streams, count, used + room, most_days);
}
