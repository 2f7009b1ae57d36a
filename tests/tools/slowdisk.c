// slowdisk.so: a library to preload, which makes the disk under some files slow.
//
//   LD_PRELOAD=…/slowdisk.so SLOW_PATH=PATTERN [SLOW_GATE=FILE] [SLOW_MS=N] program
//
// Of files whose path contains PATTERN nothing is in memory: preadv2(RWF_NOWAIT) fails with EAGAIN.
// pread takes N milliseconds, and does not return while FILE exists.
//
// One more variable: SLOW_PROGRAM=NAME, only in processes with this program name.
// A program built with gcc's AddressSanitizer needs ASAN_OPTIONS=verify_asan_link_order=0.

// The C library's headers name the parameters otherwise.
// NOLINTBEGIN(readability-inconsistent-declaration-parameter-name)

// Both names of each call are defined here: the plain and the 64-bit one.
#undef _FILE_OFFSET_BITS

#include <errno.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "tests/tools/preload.h"

static bool slow_is(int fd)
{
    const char *pattern = getenv("SLOW_PATH");

    return pattern && preload_is_meant("SLOW_PROGRAM") && preload_matches(pattern, fd, NULL);
}

static void slow_wait(void)
{
    const char *gate = getenv("SLOW_GATE"), *ms = getenv("SLOW_MS");

    if (ms)
        usleep((useconds_t)strtoul(ms, NULL, 10) * 1000);
    while (gate && access(gate, F_OK) == 0)
        usleep(2000);
}

ssize_t pread64(int fd, void *data, size_t size, off64_t offset)
{
    if (slow_is(fd))
        slow_wait();
    return syscall(SYS_pread64, fd, data, size, offset);
}

ssize_t pread(int fd, void *data, size_t size, off_t offset)
{
    return pread64(fd, data, size, offset);
}

ssize_t preadv64v2(int fd, const struct iovec *vector, int count, off64_t offset, int flags)
{
    if (slow_is(fd)) {
        if (flags & RWF_NOWAIT) {
            errno = EAGAIN;
            return -1;
        }
        slow_wait();
    }
    return syscall(SYS_preadv2, fd, vector, count, offset, 0L, flags);
}

ssize_t preadv2(int fd, const struct iovec *vector, int count, off_t offset, int flags)
{
    return preadv64v2(fd, vector, count, offset, flags);
}

// NOLINTEND(readability-inconsistent-declaration-parameter-name)
