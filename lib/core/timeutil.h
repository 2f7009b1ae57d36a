// Clocks, and times as text. Times are UTC microseconds since the epoch (int64_t …_us) everywhere;
// text and local time exist at the edges only.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define US_PER_SECOND INT64_C(1000000)
#define US_PER_DAY (INT64_C(86400) * US_PER_SECOND)

enum {
    TIME_TEXT_SIZE = 48, // fits every text that this file makes
};

int64_t time_now_us(void);
int64_t time_monotonic_us(void);

// RFC 3339 in UTC with six decimals and `Z`, as JSON answers carry it.
void time_format_utc(int64_t time_us, char text[TIME_TEXT_SIZE]);

// The UTC day, as "2026-03-31".
void time_format_day(int64_t time_us, char text[TIME_TEXT_SIZE]);

// The UTC day's number since the epoch; days before it are negative.
int64_t time_day_number(int64_t time_us);

// Offset of local time from UTC at that moment, in seconds east.
int time_local_offset(int64_t time_us);

// Reads RFC 3339 with an offset (a space stands for an unescaped '+', a space or 't' for the 'T'),
// or epoch seconds with up to six decimals. Returns false for anything else, years outside
// 1970..9999 and more digits than a microsecond has (further decimals are cut).
bool time_parse(const char *text, int64_t *time_us);

// a × b / c without overflow of the product, rounded towards the nearest; c > 0.
int64_t time_muldiv(int64_t a, int64_t b, int64_t c);
