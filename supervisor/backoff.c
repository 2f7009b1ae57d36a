// How long to wait before a restart. See backoff.h.
#include "supervisor/backoff.h"

#include <sys/random.h>

int64_t backoff_delay_ms(unsigned failures, uint32_t random)
{
    unsigned doublings = failures > 1 ? failures - 1 : 0;
    int64_t delay_ms = doublings < 5 ? (int64_t)BACKOFF_FIRST_MS << doublings : BACKOFF_MAX_MS;
    int64_t jittered_ms = delay_ms * 4 / 5 + time_muldiv(delay_ms * 2 / 5, random, UINT32_MAX);
    return jittered_ms < BACKOFF_MAX_MS ? jittered_ms : BACKOFF_MAX_MS;
}

int64_t backoff_pause_ms(unsigned failures)
{
    uint32_t random = 0;
    ssize_t ignored = getrandom(&random, sizeof(random), GRND_NONBLOCK);
    (void)ignored;
    return backoff_delay_ms(failures, random);
}
