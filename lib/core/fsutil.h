// Files and directories: whole-file reads and atomic writes, durable directories, and what a
// recording directory must be able to do (birth times, leases, a local file system).
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// Reads a whole file of at most `size_max` bytes. Returns NULL with *cause and errno set on failure
// (EFBIG when it is larger); a NUL stands behind the bytes, not counted in *size.
char *fs_read_file(const char *path, size_t size_max, size_t *size, char **cause);

// Replaces a file as a whole: temporary name beside it (PATH.tmp: one process at a time writes a
// file, and what a crash has left there goes with the next write), then rename(2), so that a reader
// sees the old or the new bytes, never a mixture. Returns 0, or -1 with *cause set.
int fs_write_file(const char *path, const void *data, size_t size, mode_t mode, char **cause);

// The same, and durable when it returns: without the syncs, a power cut in the next half minute can
// leave the new name with nothing in it.
int fs_write_file_durably(
    const char *path, const void *data, size_t size, mode_t mode, char **cause);

// Writes all bytes at `offset`. Returns 0, or -1 with errno set.
int fs_write_at(int fd, const void *data, size_t size, uint64_t offset);

// Copies the first `size` bytes of one open file into another. Returns 0, or -1 with errno set (EIO
// when the source is shorter).
int fs_copy(int from, int to, uint64_t size);

// The same of a file of which the disk does not give everything back: that much stays zero.
int fs_copy_readable(int from, int to, uint64_t size);

// Makes a directory and its missing parents. Returns 0 (also when it is there), or -1 with *cause.
int fs_make_dirs(const char *path, mode_t mode, char **cause);

// Makes the entries of a directory durable. Returns 0, or -1 with *cause set.
int fs_sync_dir(const char *path, char **cause);

// Birth time of an open file in UTC microseconds, or 0 when its file system keeps none.
int64_t fs_birth_us(int fd);

enum fs_lease {
    FS_LEASE_CLOSED, // nobody has the file open for writing
    FS_LEASE_OPEN,   // a writer has it open
    FS_LEASE_ERROR,  // the file system grants no leases; errno says why
};

// Whether a writer has the file open, decided by a read lease that is released at once. `fd` must
// be open for reading only.
enum fs_lease fs_lease_probe(int fd);

// Refuses a directory that is not writable, lies on a network file system, or lacks birth times or
// (where `need_leases`) leases. `what` names it in the cause, as "storage.cache". Returns 0, or -1
// with *cause set.
int fs_check_local_dir(const char *path, const char *what, bool need_leases, char **cause);
