// Days as people count them, in the server's time zone or at an offset from UTC. A day is its
// number since 1970-01-01; pure but for the server's zone.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct civil_zone {
    bool local; // the server's own
    int offset_s;
};

enum {
    CIVIL_DAY_SIZE = 32,
};

// "local", "utc" (or "Z"), "+02:00" (a space stands for an unescaped '+'). Returns false for
// anything else.
bool civil_parse_zone(const char *text, struct civil_zone *zone);

// "2026-03-31", in the years 1970 to 9998.
bool civil_parse_day(const char *text, int64_t *day);
void civil_format_day(int64_t day, char text[CIVIL_DAY_SIZE]);

// The moment (UTC microseconds) at which the day begins.
int64_t civil_day_start(const struct civil_zone *zone, int64_t day);

// The day that a moment belongs to.
int64_t civil_day_of(const struct civil_zone *zone, int64_t time_us);
