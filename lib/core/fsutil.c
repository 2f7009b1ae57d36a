// Files and directories. See fsutil.h.
#include "lib/core/fsutil.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "lib/core/alloc.h"
#include "lib/core/timeutil.h"

#ifndef CIFS_SUPER_MAGIC
#define CIFS_SUPER_MAGIC 0xff534d42
#endif
#ifndef SMB2_SUPER_MAGIC
#define SMB2_SUPER_MAGIC 0xfe534d42
#endif

enum {
    FS_COPY_SIZE = 256 * 1024,
};

static char *fs_read_fd(int fd, size_t size_max, size_t *size)
{
    size_t capacity = 4096, length = 0;
    char *data = xmalloc(capacity + 1);
    for (;;) {
        ssize_t got = read(fd, data + length, capacity - length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            break;
        length += (size_t)got;
        if (length > size_max) {
            errno = EFBIG;
            break;
        }
        if (got == 0) {
            data[length] = '\0';
            *size = length;
            return data;
        }
        if (length == capacity) {
            capacity *= 2;
            data = xreallocarray(data, capacity + 1, 1);
        }
    }
    free(data);
    return NULL;
}

char *fs_read_file(const char *path, size_t size_max, size_t *size, char **cause)
{
    char *data = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0)
        data = fs_read_fd(fd, size_max, size);
    int saved_errno = errno;
    if (data == NULL && saved_errno == EFBIG)
        *cause = xasprintf("%s: larger than the %zu bytes that are allowed", path, size_max);
    else if (data == NULL)
        *cause = xasprintf("%s: can not be read: %s", path, strerror(saved_errno));
    if (fd >= 0)
        close(fd);
    errno = saved_errno;
    return data;
}

static int fs_write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t written = write(fd, data, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return -1;
        data += written;
        size -= (size_t)written;
    }
    return 0;
}

static int fs_replace(
    const char *path, const void *data, size_t size, mode_t mode, bool durably, char **cause)
{
    int result = -1;
    char *temporary = xasprintf("%s.tmp", path);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    if (fd < 0 || fs_write_all(fd, data, size) < 0 || (durably && fsync(fd) < 0)) {
        *cause = xasprintf("%s: can not be written: %s", temporary, strerror(errno));
        goto out;
    }
    if (close(fd) < 0 || rename(temporary, path) < 0) {
        fd = -1;
        *cause = xasprintf("%s: can not be written: %s", path, strerror(errno));
        goto out;
    }
    fd = -1;
    result = 0;
out:
    if (fd >= 0)
        close(fd);
    if (result < 0)
        unlink(temporary);
    free(temporary);
    return result;
}

int fs_write_file(const char *path, const void *data, size_t size, mode_t mode, char **cause)
{
    return fs_replace(path, data, size, mode, false, cause);
}

int fs_write_file_durably(
    const char *path, const void *data, size_t size, mode_t mode, char **cause)
{
    if (fs_replace(path, data, size, mode, true, cause) < 0)
        return -1;
    char *directory = xstrdup(path);
    char *slash = strrchr(directory, '/');
    if (slash != NULL)
        slash[slash == directory] = '\0';
    int result = fs_sync_dir(slash ? directory : ".", cause);
    free(directory);
    return result;
}

int fs_write_at(int fd, const void *data, size_t size, uint64_t offset)
{
    const uint8_t *bytes = data;
    for (size_t done = 0; done < size;) {
        ssize_t put = pwrite(fd, bytes + done, size - done, (off_t)(offset + done));
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return -1;
        done += (size_t)put;
    }
    return 0;
}

int fs_copy(int from, int to, uint64_t size)
{
    uint8_t *piece = xmalloc(FS_COPY_SIZE);
    uint64_t done = 0;
    while (done < size) {
        size_t want = size - done < FS_COPY_SIZE ? (size_t)(size - done) : FS_COPY_SIZE;
        ssize_t got = pread(from, piece, want, (off_t)done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got == 0)
            errno = EIO;
        if (got <= 0 || fs_write_at(to, piece, (size_t)got, done) < 0)
            break;
        done += (uint64_t)got;
    }
    free(piece);
    return done == size ? 0 : -1;
}

int fs_copy_readable(int from, int to, uint64_t size)
{
    uint8_t page[4096];
    for (uint64_t done = 0; done < size;) {
        size_t want = size - done < sizeof(page) ? (size_t)(size - done) : sizeof(page);
        ssize_t got = pread(from, page, want, (off_t)done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got > 0 && fs_write_at(to, page, (size_t)got, done) < 0)
            return -1;
        done += got > 0 ? (uint64_t)got : want;
    }
    return ftruncate(to, (off_t)size);
}

int fs_make_dirs(const char *path, mode_t mode, char **cause)
{
    char *partial = xstrdup(path);
    int result = 0;
    for (char *end = partial + 1; result == 0; end++) {
        if (*end != '/' && *end != '\0')
            continue;
        char kept = *end;
        *end = '\0';
        if (mkdir(partial, mode) < 0 && errno != EEXIST)
            result = -1;
        *end = kept;
        if (kept == '\0')
            break;
    }
    struct stat info;
    if (result == 0 && stat(path, &info) == 0 && !S_ISDIR(info.st_mode)) {
        errno = ENOTDIR;
        result = -1;
    }
    if (result < 0)
        *cause = xasprintf("%s: the directory can not be made: %s", path, strerror(errno));
    free(partial);
    return result;
}

int fs_sync_dir(const char *path, char **cause)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result = fd < 0 ? -1 : fsync(fd);
    if (result < 0)
        *cause = xasprintf("%s: can not be synced: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return result;
}

int64_t fs_birth_us(int fd)
{
    struct statx info;
    if (statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &info) < 0 || !(info.stx_mask & STATX_BTIME))
        return 0;
    return info.stx_btime.tv_sec * US_PER_SECOND + info.stx_btime.tv_nsec / 1000;
}

enum fs_lease fs_lease_probe(int fd)
{
    if (fcntl(fd, F_SETLEASE, F_RDLCK) == 0) {
        fcntl(fd, F_SETLEASE, F_UNLCK);
        return FS_LEASE_CLOSED;
    }
    return errno == EAGAIN ? FS_LEASE_OPEN : FS_LEASE_ERROR;
}

static const char *fs_network_name(const char *path)
{
    struct statfs info;
    if (statfs(path, &info) < 0)
        return NULL;
    switch ((unsigned long)info.f_type & 0xffffffffUL) {
    case NFS_SUPER_MAGIC:
        return "NFS";
    case CIFS_SUPER_MAGIC:
    case SMB2_SUPER_MAGIC:
    case SMB_SUPER_MAGIC:
        return "CIFS (SMB)";
    default:
        return NULL;
    }
}

// A file in the directory that needs no name: nothing is left of it, whenever the process dies.
static int fs_open_nameless(const char *path)
{
    int fd = open(path, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR))
        return fd;
    // A file system without such files.
    char *name = xasprintf("%s/.keepframe-probe.%d", path, (int)getpid());
    fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int saved_errno = errno;
    unlink(name);
    errno = saved_errno;
    free(name);
    return fd;
}

// Whether leases are granted, tried on a file that is open for writing: as its reader, once it has
// no writer. Closes it.
static enum fs_lease fs_try_lease(int writer)
{
    char name[64];
    snprintf(name, sizeof(name), "/proc/self/fd/%d", writer);
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    close(writer);
    enum fs_lease lease = fd < 0 ? FS_LEASE_ERROR : fs_lease_probe(fd);
    int saved_errno = errno;
    if (fd >= 0)
        close(fd);
    errno = saved_errno;
    return lease;
}

int fs_check_local_dir(const char *path, const char *what, bool need_leases, char **cause)
{
    const char *network = fs_network_name(path);
    if (network != NULL) {
        *cause =
            xasprintf("%s: %s is on %s; it must be on a local file system", what, path, network);
        return -1;
    }
    *cause = NULL;
    int fd = fs_open_nameless(path);
    if (fd < 0) {
        *cause = xasprintf("%s: %s is not writable: %s", what, path, strerror(errno));
        return -1;
    }
    bool has_births = fs_birth_us(fd) != 0;
    enum fs_lease lease = fs_try_lease(fd);
    if (!has_births)
        *cause = xasprintf("%s: the file system of %s keeps no birth times, which recording needs; "
                           "use ext4, xfs, btrfs or tmpfs",
            what, path);
    else if (need_leases && lease != FS_LEASE_CLOSED)
        *cause =
            xasprintf("%s: the file system of %s grants no leases (%s), which recording needs; "
                      "use ext4, xfs, btrfs or tmpfs",
                what, path, strerror(errno));
    return *cause ? -1 : 0;
}
