// The clock by which footage ages. See ageclock.h.
#include "indexer/ageclock.h"

void ageclock_init(struct ageclock *clock, int64_t known_us, int64_t wall_us, int64_t monotonic_us)
{
    clock->known_us = known_us > 0 ? known_us : wall_us;
    clock->monotonic_us = monotonic_us;
}

int64_t ageclock_turn(struct ageclock *clock, int64_t wall_us, int64_t monotonic_us)
{
    int64_t passed_us = monotonic_us > clock->monotonic_us ? monotonic_us - clock->monotonic_us : 0;
    clock->monotonic_us = monotonic_us;
    clock->known_us += passed_us;
    int64_t ahead_us = wall_us - clock->known_us;
    if (ahead_us > AGECLOCK_LEAP_US) {
        int64_t step_us = passed_us * (AGECLOCK_SPEED - 1);
        clock->known_us += step_us < ahead_us ? step_us : ahead_us;
    } else if (ahead_us > 0) {
        clock->known_us = wall_us;
    }
    return wall_us < clock->known_us ? wall_us : clock->known_us;
}

bool ageclock_leapt(const struct ageclock *clock, int64_t wall_us)
{
    return wall_us - clock->known_us > AGECLOCK_ALARM_US;
}
