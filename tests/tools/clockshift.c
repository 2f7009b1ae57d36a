// clockshift.so: a library to preload, which shows a process clocks that are wrong.
//
//   LD_PRELOAD=…/clockshift.so CLOCKSHIFT=SECONDS CLOCKPACE=TIMES program
//
// With CLOCKSHIFT, CLOCK_REALTIME (and gettimeofday, time) are that many seconds ahead, or behind
// when negative; other clocks are right. What is given to the kernel (timeouts, file times) is not
// changed. With CLOCKPACE, CLOCK_MONOTONIC runs that many times as fast, and epoll_wait() waits for
// as much less: a program whose timers follow that clock does in a tenth of a second what it
// otherwise does in one.

// The C library's headers name the parameters otherwise.
// NOLINTBEGIN(readability-inconsistent-declaration-parameter-name)

#include <errno.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

#include "tests/tools/preload.h"

static long shift_s(void)
{
    const char *seconds = getenv("CLOCKSHIFT");
    return seconds ? strtol(seconds, NULL, 10) : 0;
}

static long pace(void)
{
    const char *times = getenv("CLOCKPACE");
    long value = times ? strtol(times, NULL, 10) : 1;
    return value > 1 ? value : 1;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    long result = syscall(SYS_clock_gettime, clock, now);
    if (result == 0 && clock == CLOCK_MONOTONIC && pace() > 1) {
        long ns = now->tv_nsec * pace();
        now->tv_sec = now->tv_sec * pace() + ns / 1000000000;
        now->tv_nsec = ns % 1000000000;
    }
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

int epoll_wait(int fd, struct epoll_event *events, int max, int timeout_ms)
{
    if (timeout_ms > 0)
        timeout_ms = (int)((timeout_ms + pace() - 1) / pace());
    return (int)syscall(SYS_epoll_pwait, fd, events, max, timeout_ms, NULL, 0L);
}

// NOLINTEND(readability-inconsistent-declaration-parameter-name)
