// faultfs.so: a library to preload, which makes a good file system look poorer than it is.
//
//   LD_PRELOAD=…/faultfs.so FAULT=FAULT[,FAULT...] program
//
//   nolease   fcntl(F_SETLEASE) fails with EINVAL
//   nobtime   statx reports no birth time
//   nospace   write fails with ENOSPC
//   nfs       statfs and fstatfs report an NFS
//
// Two more variables: FAULT_PATH=PATTERN, only files whose path contains it; FAULT_PROGRAM=NAME,
// only in processes with this program name.
// A program built with gcc's AddressSanitizer needs ASAN_OPTIONS=verify_asan_link_order=0.

// The C library's headers name the parameters otherwise.
// NOLINTBEGIN(readability-inconsistent-declaration-parameter-name)

// Both names of each call are defined here: the plain and the 64-bit one.
#undef _FILE_OFFSET_BITS

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>

#include "tests/tools/preload.h"

static bool fault_is_on(const char *fault, int fd, const char *path)
{
    const char *faults = getenv("FAULT"), *pattern = getenv("FAULT_PATH");

    return faults && strstr(faults, fault) && preload_is_meant("FAULT_PROGRAM") &&
           (!pattern || preload_matches(pattern, fd, path));
}

static int set_lease(int fd, int cmd, long arg)
{
    if (cmd == F_SETLEASE && fault_is_on("nolease", fd, NULL)) {
        errno = EINVAL;
        return -1;
    }
    return (int)syscall(SYS_fcntl, fd, cmd, arg);
}

int fcntl64(int fd, int cmd, ...)
{
    va_list ap;
    long arg;

    va_start(ap, cmd);
    arg = va_arg(ap, long);
    va_end(ap);
    return set_lease(fd, cmd, arg);
}

int fcntl(int fd, int cmd, ...)
{
    va_list ap;
    long arg;

    va_start(ap, cmd);
    arg = va_arg(ap, long);
    va_end(ap);
    return set_lease(fd, cmd, arg);
}

ssize_t write(int fd, const void *data, size_t size)
{
    if (fault_is_on("nospace", fd, NULL)) {
        errno = ENOSPC;
        return -1;
    }
    return syscall(SYS_write, fd, data, size);
}

int statx(
    int fd, const char *restrict path, int flags, unsigned int mask, struct statx *restrict out)
{
    int result = (int)syscall(SYS_statx, fd, path, flags, mask, out);

    if (result == 0 && fault_is_on("nobtime", fd, path)) {
        out->stx_mask &= ~STATX_BTIME;
        out->stx_btime = (struct statx_timestamp){0};
    }
    return result;
}

int statfs64(const char *path, struct statfs64 *out)
{
    int result = (int)syscall(SYS_statfs, path, out);

    if (result == 0 && fault_is_on("nfs", -1, path))
        out->f_type = NFS_SUPER_MAGIC;
    return result;
}

int statfs(const char *path, struct statfs *out)
{
    return statfs64(path, (struct statfs64 *)out);
}

int fstatfs64(int fd, struct statfs64 *out)
{
    int result = (int)syscall(SYS_fstatfs, fd, out);

    if (result == 0 && fault_is_on("nfs", fd, NULL))
        out->f_type = NFS_SUPER_MAGIC;
    return result;
}

int fstatfs(int fd, struct statfs *out)
{
    return fstatfs64(fd, (struct statfs64 *)out);
}

// NOLINTEND(readability-inconsistent-declaration-parameter-name)
