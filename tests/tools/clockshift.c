// clockshift.so: a library to preload, which shows a process a wall clock that is wrong.
//
//   LD_PRELOAD=…/clockshift.so CLOCKSHIFT=SECONDS program
//
// CLOCK_REALTIME (and gettimeofday, time) are that many seconds ahead, or behind when negative; all
// other clocks are right. What is given to the kernel (timeouts, file times) is not changed.

// The C library's headers name the parameters otherwise.
// NOLINTBEGIN(readability-inconsistent-declaration-parameter-name)

#include <errno.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

#include "tests/tools/preload.h"

static long shift_s(void)
{
    const char *seconds = getenv("CLOCKSHIFT");
    return seconds ? strtol(seconds, NULL, 10) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    long result = syscall(SYS_clock_gettime, clock, now);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += shift_s();
    return (int)result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    long result = syscall(SYS_gettimeofday, now, zone);
    if (result == 0)
        now->tv_sec += shift_s();
    return (int)result;
}

time_t time(time_t *now)
{
    struct timespec spec;
    clock_gettime(CLOCK_REALTIME, &spec);
    if (now != NULL)
        *now = spec.tv_sec;
    return spec.tv_sec;
}

// NOLINTEND(readability-inconsistent-declaration-parameter-name)
