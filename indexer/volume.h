// A volume: the directory tree in which the archive lies, known by the mark in its root. The small
// interface through which everything reaches it: put a segment, delete, ask for room. All of it
// blocks and runs in the volume's worker.
//
// The root is held open, so that nothing is ever written below a mount point whose disk is gone.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "indexer/retention.h"
#include "indexer/seal.h"
#include "lib/media/segment_id.h"

enum {
    VOLUME_UUID_SIZE = 37,
};

#define VOLUME_MARK ".keepframe-volume"
#define VOLUME_QUARANTINE ".quarantine"

struct volume {
    char *path;
    char uuid[VOLUME_UUID_SIZE];
    int root; // descriptor of its directory
    dev_t device;
    ino_t inode;
    bool links; // whether a file of the cache can be linked into it
};

// Reads the mark of the directory `path`. Returns 1, or 0 when there is none (or no directory), or
// -1 with *cause set.
int volume_mark_read(const char *path, char uuid[VOLUME_UUID_SIZE], char **cause);

// Makes the directory where it is missing, and marks it with a new uuid. Returns 0, or -1 with
// *cause set.
int volume_mark(const char *path, char uuid[VOLUME_UUID_SIZE], char **cause);

// Opens the volume that must carry `uuid` at `path`, finds out whether CACHE shares its file system
// and removes what an interrupted copy left. Returns NULL with *cause set on failure.
struct volume *volume_open(const char *path, const char *uuid, const char *cache, char **cause);
void volume_free(struct volume *volume);

// Whether the volume is still what stands at its path (a disk may be unmounted, another mounted),
// and may be written to.
// Returns 0, or -1 with *cause set.
int volume_check(const struct volume *volume, char **cause);

// Files a segment under `key` and makes its directory entries durable: links the sealed file `path`
// in, or copies the open file `fd` while sealing it, or copies its first `size` bytes as they are.
// A name that exists gets a suffix (in `key`); one that is this very footage, filed by a life that
// was cut short, is taken as it is. Return 0, or -1 with *cause and errno set.
int volume_link(
    const struct volume *volume, const char *path, char key[SEGMENT_KEY_SIZE], char **cause);
int volume_copy(const struct volume *volume, int fd, const struct seal_plan *plan,
    char key[SEGMENT_KEY_SIZE], char **cause);
int volume_copy_plain(
    const struct volume *volume, int fd, uint64_t size, char key[SEGMENT_KEY_SIZE], char **cause);

// Whether `key` is there: the very file of that device and inode, or a copy of `size` bytes.
bool volume_has(
    const struct volume *volume, const char *key, dev_t device, ino_t inode, uint64_t size);

int volume_space(const struct volume *volume, struct retention_space *space, char **cause);

// Unlinks files and makes that durable; directories that become empty go too, the root stays.
struct volume_deletion {
    int64_t id; // the caller's: the order changes
    char *key;
    bool gone;      // it is not there any more, durably
    bool missing;   // it was not there before
    uint64_t freed; // bytes of the file system that came free
};
void volume_delete(const struct volume *volume, struct volume_deletion *deletions, size_t count);
