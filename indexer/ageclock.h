// The clock by which footage ages. It is the wall clock, but never follows a leap forward at once:
// what lies more than an hour ahead is caught up with at twenty-four times the speed of time. A
// wrong year (a dead battery, a wrong NTP server) so can not empty the archive: it takes an hour
// for each day, with an alarm, and ends when the clock is put right. A machine that was off for
// weeks catches up the same way; where room is needed, `min_free` does not wait for it. Backwards,
// and forward again to where it has been, it goes with the wall clock. Pure: the caller brings both
// clocks.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define AGECLOCK_LEAP_US INT64_C(3600000000)   // what is followed at once
#define AGECLOCK_ALARM_US INT64_C(86400000000) // what is told

enum {
    AGECLOCK_SPEED = 24,
};

struct ageclock {
    int64_t known_us;     // a time that has come, as far as is known
    int64_t monotonic_us; // when that was so
};

// Starts at `known_us`, which is known to have come; 0: nothing is known, the wall clock is taken
// as it is.
void ageclock_init(struct ageclock *clock, int64_t known_us, int64_t wall_us, int64_t monotonic_us);

// Moves on and returns the time by which ages are judged.
int64_t ageclock_turn(struct ageclock *clock, int64_t wall_us, int64_t monotonic_us);

// Whether the wall clock is so far ahead that somebody should know.
bool ageclock_leapt(const struct ageclock *clock, int64_t wall_us);
