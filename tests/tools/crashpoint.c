// crashpoint.so: a library to preload, which ends the process by SIGKILL at a chosen point of its
// file I/O, as a power cut or the kernel would.
//
//   LD_PRELOAD=…/crashpoint.so CRASHPOINT=CALL:PATTERN:N[:before|half|after] program
//
// The process dies at the N-th CALL (from 1) on a file whose path contains PATTERN: before it is
// made (the default), after half of its bytes were written (write and pwrite only), or after it.
// CALL is one of write (writev too), pwrite (pwritev too), fdatasync, fsync, ftruncate,
// copy_file_range (its output), link, rename, unlink (with their …at forms; either path may match),
// or several of them with commas between, or `any`: all of them. The index of a write-ahead log
// (…-shm) never counts: it is shared memory, and worth nothing without its processes.
// Writes that stdio makes are not seen. Three more variables:
//
//   CRASHPOINT_PROGRAM=NAME   only in processes with this program name: a supervisor's children
//                             inherit the library
//   CRASHPOINT_ONCE=FILE      created when the process dies, and says at which call; nobody dies
//                             if it exists, so a process that is started again with the same
//                             environment lives
//   CRASHPOINT_COUNT=FILE     gets a line for each call that counts, with its path
//
// A program built with gcc's AddressSanitizer needs ASAN_OPTIONS=verify_asan_link_order=0.

// The C library's headers name the parameters otherwise.
// NOLINTBEGIN(readability-inconsistent-declaration-parameter-name)

// Both names of each call are defined here: the plain and the 64-bit one.
#undef _FILE_OFFSET_BITS

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "tests/tools/preload.h"

enum moment {
    BEFORE,
    HALF,
    AFTER,
};

static struct {
    bool armed;
    enum moment moment;
    char calls[128]; // each between commas: ",link,rename,"
    char pattern[512];
    long number;
    atomic_long count;
} point;

static void point_refuse(const char *value)
{
    dprintf(2, "crashpoint: CRASHPOINT=%s is not CALL:PATTERN:N[:before|half|after]\n", value);
    _exit(127);
}

// Cuts the last word after a colon off `text` and returns it, or NULL.
static char *cut_last(char *text)
{
    char *colon = strrchr(text, ':');

    if (!colon)
        return NULL;
    *colon = '\0';
    return colon + 1;
}

static void point_read(void)
{
    static const char *const moments[] = {"before", "half", "after"};
    const char *value = getenv("CRASHPOINT");
    char text[600], *word, *pattern;

    if (!value || !preload_is_meant("CRASHPOINT_PROGRAM"))
        return;
    snprintf(text, sizeof(text), "%s", value);
    word = cut_last(text);
    for (int i = 0; word && i < 3; i++)
        if (strcmp(word, moments[i]) == 0) {
            point.moment = (enum moment)i;
            word = cut_last(text);
            break;
        }
    pattern = strchr(text, ':');
    point.number = word ? strtol(word, &word, 10) : 0;
    if (!pattern || *word || point.number < 1)
        point_refuse(value);
    snprintf(point.calls, sizeof(point.calls), ",%.*s,", (int)(pattern - text), text);
    snprintf(point.pattern, sizeof(point.pattern), "%s", pattern + 1);
    point.armed = true;
}

// Whether a call of that name is one that may end the process.
static bool call_matches(const char *call)
{
    char word[32];

    snprintf(word, sizeof(word), ",%s,", call);
    return strstr(point.calls, word) || strcmp(point.calls, ",any,") == 0;
}

static bool path_matches(int fd, const char *path)
{
    return preload_matches(point.pattern, fd, path) && !preload_matches("-shm", fd, path);
}

// Writes "CALL PATH" behind what the file that the variable names has.
static void point_tell(const char *variable, const char *call, int fd, const char *path)
{
    const char *name = getenv(variable);
    char full[PRELOAD_PATH_SIZE], line[PRELOAD_PATH_SIZE + 64];
    int file, length;

    if (!name)
        return;
    preload_path(full, fd, path);
    length = snprintf(line, sizeof(line), "%s %s\n", call, full);
    file = (int)syscall(SYS_openat, AT_FDCWD, name, O_CREAT | O_WRONLY | O_APPEND, 0600);
    (void)syscall(SYS_write, file, line, (size_t)length);
    close(file);
}

// Whether nobody has died yet.
static bool point_is_first(void)
{
    const char *marker = getenv("CRASHPOINT_ONCE");
    int file;

    if (!marker)
        return true;
    file = (int)syscall(SYS_openat, AT_FDCWD, marker, O_CREAT | O_EXCL | O_WRONLY, 0600);
    if (file >= 0)
        close(file);
    return file >= 0;
}

// Whether the process is to die at this call; `matches` is asked only if it is the right one.
static bool point_reached(const char *call, int fd, const char *path, int fd2, const char *path2)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, point_read);
    if (!point.armed || !call_matches(call))
        return false;
    if (!path_matches(fd, path) && !(path2 && path_matches(fd2, path2)))
        return false;
    point_tell("CRASHPOINT_COUNT", call, fd, path);
    if (atomic_fetch_add(&point.count, 1) + 1 != point.number || !point_is_first())
        return false;
    point_tell("CRASHPOINT_ONCE", call, fd, path);
    return true;
}

static void die(void)
{
    for (;;)
        syscall(SYS_kill, (long)getpid(), (long)SIGKILL);
}

// Makes the call between the two places where it may end. `half` is the call with half its bytes.
#define PASS(reached, half, whole)                                                                 \
    do {                                                                                           \
        bool reached_ = (reached);                                                                 \
        long result_;                                                                              \
        int errno_;                                                                                \
                                                                                                   \
        if (reached_ && point.moment == HALF)                                                      \
            (void)(half);                                                                          \
        if (reached_ && point.moment != AFTER)                                                     \
            die();                                                                                 \
        result_ = (whole);                                                                         \
        errno_ = errno;                                                                            \
        if (reached_)                                                                              \
            die();                                                                                 \
        errno = errno_;                                                                            \
        return result_;                                                                            \
    } while (0)

#define ON_FD(call, fd) point_reached(call, fd, NULL, -1, NULL)

ssize_t write(int fd, const void *bytes, size_t size)
{
    PASS(ON_FD("write", fd), syscall(SYS_write, fd, bytes, size / 2),
        syscall(SYS_write, fd, bytes, size));
}

ssize_t writev(int fd, const struct iovec *iov, int count)
{
    PASS(ON_FD("write", fd), syscall(SYS_writev, fd, iov, count / 2),
        syscall(SYS_writev, fd, iov, count));
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t offset)
{
    PASS(ON_FD("pwrite", fd), syscall(SYS_pwrite64, fd, bytes, size / 2, offset),
        syscall(SYS_pwrite64, fd, bytes, size, offset));
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    return pwrite64(fd, bytes, size, offset);
}

ssize_t pwritev64(int fd, const struct iovec *iov, int count, off64_t offset)
{
    PASS(ON_FD("pwrite", fd), syscall(SYS_pwritev, fd, iov, count / 2, offset, 0L),
        syscall(SYS_pwritev, fd, iov, count, offset, 0L));
}

ssize_t pwritev(int fd, const struct iovec *iov, int count, off_t offset)
{
    return pwritev64(fd, iov, count, offset);
}

int fdatasync(int fd)
{
    PASS(ON_FD("fdatasync", fd), 0, (int)syscall(SYS_fdatasync, fd));
}

int fsync(int fd)
{
    PASS(ON_FD("fsync", fd), 0, (int)syscall(SYS_fsync, fd));
}

int ftruncate64(int fd, off64_t size)
{
    PASS(ON_FD("ftruncate", fd), 0, (int)syscall(SYS_ftruncate, fd, size));
}

int ftruncate(int fd, off_t size)
{
    return ftruncate64(fd, size);
}

ssize_t copy_file_range(
    int in, off64_t *in_offset, int out, off64_t *out_offset, size_t size, unsigned int flags)
{
    PASS(ON_FD("copy_file_range", out), 0,
        syscall(SYS_copy_file_range, in, in_offset, out, out_offset, size, flags));
}

int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
    PASS(point_reached("link", from_fd, from, to_fd, to), 0,
        (int)syscall(SYS_linkat, from_fd, from, to_fd, to, flags));
}

int link(const char *from, const char *to)
{
    return linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned int flags)
{
    PASS(point_reached("rename", from_fd, from, to_fd, to), 0,
        (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, flags));
}

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    return renameat2(from_fd, from, to_fd, to, 0);
}

int rename(const char *from, const char *to)
{
    return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int unlinkat(int fd, const char *path, int flags)
{
    PASS(point_reached("unlink", fd, path, -1, NULL), 0,
        (int)syscall(SYS_unlinkat, fd, path, flags));
}

int unlink(const char *path)
{
    return unlinkat(AT_FDCWD, path, 0);
}

// NOLINTEND(readability-inconsistent-declaration-parameter-name)
