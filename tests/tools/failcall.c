// failcall.so: a library to preload, which makes chosen file calls fail, as a dying or a full disk
// does.
//
//   LD_PRELOAD=…/failcall.so FAILCALL=CALL:PATTERN:N:ERRNO[,…] program
//
// The N-th CALL (from 1; 0: every one) on a file whose path contains PATTERN fails with ERRNO: EIO,
// ENOSPC, EROFS, or LOST: the N-th sync fails with EIO, and every later one is a success that syncs
// nothing, as on Linux, where bytes that could not be written count as written from then on. STOP:
// the process stops itself there, as by SIGSTOP; when it is continued, the call is made.
// CALL is one of read (pread too), write (writev too), pwrite (pwritev too), sync (fsync,
// fdatasync), ftruncate, link, rename, unlink (with their …at forms; either path may match), mkdir,
// create (an open that may make the file). Two more variables:
//
//   FAILCALL_PROGRAM=NAME   only in processes with this program name
//   FAILCALL_WHILE=FILE     only while this file exists; each failure is noted in it, a line each
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
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "tests/tools/preload.h"

enum {
    RULES_MAX = 8,
    LOST = -1,
    STOP = -2,
};

struct rule {
    char call[16];
    char pattern[256];
    long number;
    int error;
    atomic_long count;
};

static struct {
    struct rule rules[RULES_MAX];
    int rule_count;
    const char *while_file;
} plan;

static void plan_refuse(const char *text)
{
    dprintf(2, "failcall: FAILCALL=%s is not CALL:PATTERN:N:ERRNO\n", text);
    _exit(127);
}

static int error_parse(const char *name)
{
    static const struct {
        const char *name;
        int error;
    } table[] = {
        {"EIO", EIO}, {"ENOSPC", ENOSPC}, {"EROFS", EROFS}, {"LOST", LOST}, {"STOP", STOP}};
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
        if (strcmp(table[i].name, name) == 0)
            return table[i].error;
    return 0;
}

static void rule_read(struct rule *rule, const char *text)
{
    char error[16] = "";

    if (sscanf(text, "%15[a-z]:%255[^:]:%ld:%15s", rule->call, rule->pattern, &rule->number,
            error) != 4 ||
        rule->number < 0 || (rule->error = error_parse(error)) == 0)
        plan_refuse(text);
}

static void plan_read(void)
{
    const char *value = getenv("FAILCALL");
    char text[4096], *rest = text, *word;

    if (!value || !preload_is_meant("FAILCALL_PROGRAM"))
        return;
    plan.while_file = getenv("FAILCALL_WHILE");
    snprintf(text, sizeof(text), "%s", value);
    while ((word = strsep(&rest, ",")) != NULL) {
        if (plan.rule_count == RULES_MAX)
            plan_refuse(value);
        rule_read(&plan.rules[plan.rule_count++], word);
    }
}

// Whether the time for failures has come; notes that one is made.
static bool plan_holds(const struct rule *rule)
{
    char line[300];
    long fd;

    if (!plan.while_file)
        return true;
    fd = syscall(SYS_openat, AT_FDCWD, plan.while_file, O_WRONLY | O_APPEND | O_CLOEXEC, 0);
    if (fd < 0)
        return false;
    snprintf(line, sizeof(line), "%s:%s\n", rule->call, rule->pattern);
    (void)syscall(SYS_write, fd, line, strlen(line));
    syscall(SYS_close, fd);
    return true;
}

static bool plan_is_on(void)
{
    return !plan.while_file || syscall(SYS_faccessat, AT_FDCWD, plan.while_file, F_OK) == 0;
}

// Whether this call is to fail; errno is set then.
static bool fails(const char *call, int fd, const char *path, int fd2, const char *path2)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    int saved_errno = errno;

    if (!preload_is_begun())
        return false;
    pthread_once(&once, plan_read);
    for (int i = 0; i < plan.rule_count; i++) {
        struct rule *rule = &plan.rules[i];
        if (strcmp(call, rule->call) != 0 || !plan_is_on() ||
            !(preload_matches(rule->pattern, fd, path) ||
                (path2 && preload_matches(rule->pattern, fd2, path2))))
            continue;
        long count = atomic_fetch_add(&rule->count, 1) + 1;
        if ((rule->number == 0 || rule->number == count) && plan_holds(rule)) {
            if (rule->error == STOP) {
                syscall(SYS_kill, (long)getpid(), (long)SIGSTOP);
                continue;
            }
            errno = rule->error == LOST ? EIO : rule->error;
            return true;
        }
    }
    errno = saved_errno;
    return false;
}

// Whether a sync of this file has failed before, so that it would do nothing.
static bool is_lost(int fd)
{
    for (int i = 0; i < plan.rule_count; i++) {
        struct rule *rule = &plan.rules[i];
        if (rule->error == LOST && atomic_load(&rule->count) >= rule->number &&
            preload_matches(rule->pattern, fd, NULL))
            return true;
    }
    return false;
}

static int sync_file(int fd, long call)
{
    if (fails("sync", fd, NULL, -1, NULL))
        return -1;
    return is_lost(fd) ? 0 : (int)syscall(call, fd);
}

#define ON_FD(call, fd) fails(call, fd, NULL, -1, NULL)

ssize_t read(int fd, void *bytes, size_t size)
{
    return ON_FD("read", fd) ? -1 : syscall(SYS_read, fd, bytes, size);
}

ssize_t pread64(int fd, void *bytes, size_t size, off64_t offset)
{
    return ON_FD("read", fd) ? -1 : syscall(SYS_pread64, fd, bytes, size, offset);
}

ssize_t pread(int fd, void *bytes, size_t size, off_t offset)
{
    return pread64(fd, bytes, size, offset);
}

ssize_t write(int fd, const void *bytes, size_t size)
{
    return ON_FD("write", fd) ? -1 : syscall(SYS_write, fd, bytes, size);
}

ssize_t writev(int fd, const struct iovec *iov, int count)
{
    return ON_FD("write", fd) ? -1 : syscall(SYS_writev, fd, iov, count);
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t offset)
{
    return ON_FD("pwrite", fd) ? -1 : syscall(SYS_pwrite64, fd, bytes, size, offset);
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    return pwrite64(fd, bytes, size, offset);
}

ssize_t pwritev64(int fd, const struct iovec *iov, int count, off64_t offset)
{
    return ON_FD("pwrite", fd) ? -1 : syscall(SYS_pwritev, fd, iov, count, offset, 0L);
}

ssize_t pwritev(int fd, const struct iovec *iov, int count, off_t offset)
{
    return pwritev64(fd, iov, count, offset);
}

int fdatasync(int fd)
{
    return sync_file(fd, SYS_fdatasync);
}

int fsync(int fd)
{
    return sync_file(fd, SYS_fsync);
}

int ftruncate64(int fd, off64_t size)
{
    return ON_FD("ftruncate", fd) ? -1 : (int)syscall(SYS_ftruncate, fd, size);
}

int ftruncate(int fd, off_t size)
{
    return ftruncate64(fd, size);
}

int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
    return fails("link", from_fd, from, to_fd, to)
               ? -1
               : (int)syscall(SYS_linkat, from_fd, from, to_fd, to, flags);
}

int link(const char *from, const char *to)
{
    return linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned int flags)
{
    return fails("rename", from_fd, from, to_fd, to)
               ? -1
               : (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, flags);
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
    return fails("unlink", fd, path, -1, NULL) ? -1 : (int)syscall(SYS_unlinkat, fd, path, flags);
}

int unlink(const char *path)
{
    return unlinkat(AT_FDCWD, path, 0);
}

int mkdirat(int fd, const char *path, mode_t mode)
{
    return fails("mkdir", fd, path, -1, NULL) ? -1 : (int)syscall(SYS_mkdirat, fd, path, mode);
}

int mkdir(const char *path, mode_t mode)
{
    return mkdirat(AT_FDCWD, path, mode);
}

static int open_file(int fd, const char *path, int flags, mode_t mode)
{
    if ((flags & O_CREAT) && fails("create", fd, path, -1, NULL))
        return -1;
    return (int)syscall(SYS_openat, fd, path, flags, mode);
}

// The mode is there when a file may be made.
#define OPEN(fd, path, flags, more)                                                                \
    do {                                                                                           \
        mode_t mode_ = 0;                                                                          \
        va_list ap_;                                                                               \
                                                                                                   \
        va_start(ap_, flags);                                                                      \
        if (((flags)&O_CREAT) || ((flags)&O_TMPFILE) == O_TMPFILE)                                 \
            mode_ = va_arg(ap_, mode_t);                                                           \
        va_end(ap_);                                                                               \
        return open_file(fd, path, (flags) | (more), mode_);                                       \
    } while (0)

int open(const char *path, int flags, ...)
{
    OPEN(AT_FDCWD, path, flags, 0);
}

int open64(const char *path, int flags, ...)
{
    OPEN(AT_FDCWD, path, flags, O_LARGEFILE);
}

int openat(int fd, const char *path, int flags, ...)
{
    OPEN(fd, path, flags, 0);
}

int openat64(int fd, const char *path, int flags, ...)
{
    OPEN(fd, path, flags, O_LARGEFILE);
}

// NOLINTEND(readability-inconsistent-declaration-parameter-name)
