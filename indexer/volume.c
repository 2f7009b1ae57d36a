// A volume. See volume.h.
#include "indexer/volume.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "lib/core/alloc.h"
#include "lib/core/fsutil.h"
#include "lib/core/log.h"

enum {
    VOLUME_SUFFIX_MAX = 1000,
    VOLUME_DIR_MODE = 0750,
    VOLUME_FILE_MODE = 0640,
    VOLUME_MARK_SIZE_MAX = 256,
};

// Copies grow under this name in the root, then get their own.
#define VOLUME_INCOMING ".keepframe-incoming"

#define VOLUME_PROBE ".keepframe-probe-link"

// --- The mark ---

static bool volume_uuid_valid(const char *text)
{
    return strlen(text) == VOLUME_UUID_SIZE - 1 &&
           strspn(text, "0123456789abcdef-") == VOLUME_UUID_SIZE - 1;
}

int volume_mark_read(const char *path, char uuid[VOLUME_UUID_SIZE], char **cause)
{
    char *file = xasprintf("%s/" VOLUME_MARK, path);
    size_t size;
    char *text = fs_read_file(file, VOLUME_MARK_SIZE_MAX, &size, cause);
    int result = -1;
    if (text == NULL && (errno == ENOENT || errno == ENOTDIR)) {
        free(*cause);
        *cause = NULL;
        result = 0;
    } else if (text != NULL) {
        text[strcspn(text, "\r\n")] = '\0';
        if (volume_uuid_valid(text)) {
            snprintf(uuid, VOLUME_UUID_SIZE, "%s", text);
            result = 1;
        } else {
            *cause = xasprintf("%s does not hold a volume's uuid", file);
        }
    }
    free(text);
    free(file);
    return result;
}

// RFC 9562, version 4.
static int volume_uuid_make(char uuid[VOLUME_UUID_SIZE])
{
    uint8_t random[16];
    if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
        return -1;
    random[6] = (uint8_t)((random[6] & 0x0f) | 0x40);
    random[8] = (uint8_t)((random[8] & 0x3f) | 0x80);
    size_t length = 0;
    for (size_t i = 0; i < sizeof(random); i++)
        length += (size_t)snprintf(uuid + length, VOLUME_UUID_SIZE - length, "%s%02x",
            i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", random[i]);
    return 0;
}

int volume_mark(const char *path, char uuid[VOLUME_UUID_SIZE], char **cause)
{
    if (fs_make_dirs(path, VOLUME_DIR_MODE, cause) < 0)
        return -1;
    if (volume_uuid_make(uuid) < 0) {
        *cause = xasprintf("no random numbers are to be had: %s", strerror(errno));
        return -1;
    }
    char *file = xasprintf("%s/" VOLUME_MARK, path);
    char *text = xasprintf("%s\n", uuid);
    int result = fs_write_file_durably(file, text, strlen(text), VOLUME_FILE_MODE, cause);
    free(text);
    free(file);
    return result;
}

// --- Opening ---

// Whether a file of the cache can be linked into the volume: tried, because neither device numbers
// nor mount points tell. Other volumes are tried at the same time, so that each has its own file.
static bool volume_try_link(const struct volume *volume, const char *cache)
{
    char *file = xasprintf("%s/" VOLUME_PROBE ".%s", cache, volume->uuid);
    unlinkat(volume->root, VOLUME_PROBE, 0); // left by a life that was cut short
    int fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    bool links = fd >= 0 && linkat(AT_FDCWD, file, volume->root, VOLUME_PROBE, 0) == 0;
    if (fd >= 0)
        close(fd);
    unlinkat(volume->root, VOLUME_PROBE, 0);
    unlink(file);
    free(file);
    return links;
}

struct volume *volume_open(const char *path, const char *uuid, const char *cache, char **cause)
{
    char found[VOLUME_UUID_SIZE];
    int marked = volume_mark_read(path, found, cause);
    if (marked < 0)
        return NULL;
    if (marked == 0) {
        *cause = xasprintf("%s has no " VOLUME_MARK ": is its disk mounted?", path);
        return NULL;
    }
    if (strcmp(found, uuid) != 0) {
        *cause = xasprintf(
            "%s is another volume: its mark says %s, the catalog knows %s here", path, found, uuid);
        return NULL;
    }
    struct stat info;
    int root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0 || fstat(root, &info) < 0) {
        *cause = xasprintf("%s: can not be opened: %s", path, strerror(errno));
        if (root >= 0)
            close(root);
        return NULL;
    }
    struct volume *volume = xcalloc(1, sizeof(*volume));
    volume->path = xstrdup(path);
    snprintf(volume->uuid, sizeof(volume->uuid), "%s", uuid);
    volume->root = root;
    volume->device = info.st_dev;
    volume->inode = info.st_ino;
    volume->links = volume_try_link(volume, cache);
    unlinkat(root, VOLUME_INCOMING, 0);
    return volume;
}

void volume_free(struct volume *volume)
{
    if (volume == NULL)
        return;
    close(volume->root);
    free(volume->path);
    free(volume);
}

static int volume_check_writable(const struct volume *volume, char **cause)
{
    if (faccessat(volume->root, ".", W_OK, AT_EACCESS) == 0)
        return 0;
    *cause = errno == EROFS
                 ? xasprintf("%s is mounted read-only", volume->path)
                 : xasprintf("%s can not be written to: %s", volume->path, strerror(errno));
    return -1;
}

int volume_check(const struct volume *volume, char **cause)
{
    char found[VOLUME_UUID_SIZE];
    struct stat info;
    int marked = volume_mark_read(volume->path, found, cause);
    if (marked < 0)
        return -1;
    if (marked == 1 && strcmp(found, volume->uuid) == 0 && stat(volume->path, &info) == 0 &&
        info.st_dev == volume->device && info.st_ino == volume->inode)
        return volume_check_writable(volume, cause);
    *cause = marked == 0 ? xasprintf("%s has no " VOLUME_MARK " any more: is its disk mounted?",
                               volume->path)
                         : xasprintf("%s is not the directory any more that it was", volume->path);
    return -1;
}

// --- Names ---

static int volume_fail(const struct volume *volume, const char *key, const char *what, char **cause)
{
    int saved_errno = errno;
    *cause = xasprintf("%s/%s: %s: %s", volume->path, key, what, strerror(saved_errno));
    errno = saved_errno;
    return -1;
}

static int volume_sync_dir(const struct volume *volume, const char *directory)
{
    int fd = openat(volume->root, *directory ? directory : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result = fd < 0 ? -1 : fsync(fd);
    int saved_errno = errno;
    if (fd >= 0)
        close(fd);
    errno = saved_errno;
    return result;
}

// Makes the directories above `key` and makes the entries of those that were made durable.
static int volume_make_dirs(const struct volume *volume, const char *key)
{
    char partial[SEGMENT_KEY_SIZE];
    snprintf(partial, sizeof(partial), "%s", key);
    size_t parent = 0;
    for (char *slash = strchr(partial, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdirat(volume->root, partial, VOLUME_DIR_MODE) == 0) {
            char kept = partial[parent];
            partial[parent] = '\0';
            int result = volume_sync_dir(volume, partial);
            partial[parent] = kept;
            if (result < 0) {
                int saved_errno = errno;
                unlinkat(volume->root, partial, AT_REMOVEDIR);
                errno = saved_errno;
                return -1;
            }
        } else if (errno != EEXIST) {
            return -1;
        }
        parent = (size_t)(slash - partial);
        *slash = '/';
    }
    return 0;
}

static int volume_sync_parent(const struct volume *volume, const char *key)
{
    char directory[SEGMENT_KEY_SIZE];
    snprintf(directory, sizeof(directory), "%s", key);
    char *slash = strrchr(directory, '/');
    directory[slash ? slash - directory : 0] = '\0';
    return volume_sync_dir(volume, directory);
}

// The name with its suffix: "…+0200.mp4" becomes "…+0200_2.mp4".
static void volume_suffix(const char *key, int suffix, char name[SEGMENT_KEY_SIZE])
{
    if (suffix == 1)
        snprintf(name, SEGMENT_KEY_SIZE, "%s", key);
    else
        snprintf(name, SEGMENT_KEY_SIZE, "%.*s_%d.mp4", (int)(strlen(key) - strlen(".mp4")), key,
            suffix);
}

// Tries names until one is free. `place` puts the file: 0, or -1 with errno EEXIST when the name is
// taken; `same` says whether what stands there is this very footage.
struct volume_placing {
    const struct volume *volume;
    int (*place)(const struct volume_placing *placing, const char *name);
    bool (*same)(const struct volume_placing *placing, const char *name);
    const char *path; // of the cache file, when linking
    uint64_t size;    // of the copy
};

static int volume_place(
    const struct volume_placing *placing, char key[SEGMENT_KEY_SIZE], char **cause)
{
    const struct volume *volume = placing->volume;
    char name[SEGMENT_KEY_SIZE];
    for (int suffix = 1; suffix <= VOLUME_SUFFIX_MAX; suffix++) {
        volume_suffix(key, suffix, name);
        int result = placing->place(placing, name);
        if (result < 0 && errno == ENOENT && volume_make_dirs(volume, name) == 0)
            result = placing->place(placing, name);
        if (result < 0 && errno != EEXIST)
            return volume_fail(volume, name, "can not be filed", cause);
        if (result < 0 && !placing->same(placing, name))
            continue;
        snprintf(key, SEGMENT_KEY_SIZE, "%s", name);
        if (volume_sync_parent(volume, key) == 0)
            return 0;
        // A second sync could be a success without the name being on the disk: it is made anew.
        volume_fail(volume, key, "its directory can not be synced", cause);
        int saved_errno = errno;
        unlinkat(volume->root, key, 0);
        errno = saved_errno;
        return -1;
    }
    errno = EEXIST;
    return volume_fail(volume, key, "can not be filed", cause);
}

// --- Linking ---

static int volume_place_link(const struct volume_placing *placing, const char *name)
{
    return linkat(AT_FDCWD, placing->path, placing->volume->root, name, 0);
}

static bool volume_same_link(const struct volume_placing *placing, const char *name)
{
    struct stat ours, there;
    return stat(placing->path, &ours) == 0 &&
           fstatat(placing->volume->root, name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
           ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

int volume_link(
    const struct volume *volume, const char *path, char key[SEGMENT_KEY_SIZE], char **cause)
{
    const struct volume_placing placing = {
        .volume = volume, .place = volume_place_link, .same = volume_same_link, .path = path};
    return volume_place(&placing, key, cause);
}

// --- Copying ---

static int volume_place_copy(const struct volume_placing *placing, const char *name)
{
    int root = placing->volume->root;
    int result = renameat2(root, VOLUME_INCOMING, root, name, RENAME_NOREPLACE);
    if (result == 0 || (errno != EINVAL && errno != ENOSYS))
        return result;
    // A file system without that call. Nobody else makes names here.
    if (faccessat(root, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
        errno = EEXIST;
        return -1;
    }
    return renameat(root, VOLUME_INCOMING, root, name);
}

static bool volume_same_bytes(int left, int right, uint64_t size)
{
    uint8_t a[16384], b[16384];
    for (uint64_t done = 0; done < size;) {
        size_t count = size - done < sizeof(a) ? (size_t)(size - done) : sizeof(a);
        if (pread(left, a, count, (off_t)done) != (ssize_t)count ||
            pread(right, b, count, (off_t)done) != (ssize_t)count || memcmp(a, b, count) != 0)
            return false;
        done += count;
    }
    return true;
}

// The sealed form carries the identity, so equal bytes are the same footage.
static bool volume_same_copy(const struct volume_placing *placing, const char *name)
{
    int root = placing->volume->root;
    struct stat info;
    int ours = openat(root, VOLUME_INCOMING, O_RDONLY | O_CLOEXEC);
    int there = openat(root, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    bool same = ours >= 0 && there >= 0 && fstat(there, &info) == 0 &&
                (uint64_t)info.st_size == placing->size &&
                volume_same_bytes(ours, there, placing->size);
    if (ours >= 0)
        close(ours);
    if (there >= 0)
        close(there);
    return same;
}

// Gives the filled incoming file its name.
static int volume_place_incoming(
    const struct volume *volume, uint64_t size, char key[SEGMENT_KEY_SIZE], char **cause)
{
    const struct volume_placing placing = {
        .volume = volume, .place = volume_place_copy, .same = volume_same_copy, .size = size};
    return volume_place(&placing, key, cause);
}

static int volume_make_incoming(const struct volume *volume, char **cause)
{
    int copy = openat(
        volume->root, VOLUME_INCOMING, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, VOLUME_FILE_MODE);
    return copy < 0 ? volume_fail(volume, VOLUME_INCOMING, "can not be made", cause) : copy;
}

// Closes the incoming file; it is still there after an error, or when it was a double.
static void volume_end_incoming(const struct volume *volume, int copy)
{
    int saved_errno = errno;
    close(copy);
    unlinkat(volume->root, VOLUME_INCOMING, 0);
    errno = saved_errno;
}

int volume_copy(const struct volume *volume, int fd, const struct seal_plan *plan,
    char key[SEGMENT_KEY_SIZE], char **cause)
{
    int copy = volume_make_incoming(volume, cause);
    if (copy < 0)
        return -1;
    int result = seal_copy(fd, copy, plan, cause);
    if (result == 0)
        result = volume_place_incoming(volume, plan->size, key, cause);
    volume_end_incoming(volume, copy);
    return result;
}

int volume_copy_plain(
    const struct volume *volume, int fd, uint64_t size, char key[SEGMENT_KEY_SIZE], char **cause)
{
    int copy = volume_make_incoming(volume, cause);
    if (copy < 0)
        return -1;
    int result = fs_copy_readable(fd, copy, size);
    if (result < 0 || (result = fdatasync(copy)) < 0)
        volume_fail(volume, key, "can not be written", cause);
    else
        result = volume_place_incoming(volume, size, key, cause);
    volume_end_incoming(volume, copy);
    return result;
}

// --- Asking ---

bool volume_has(
    const struct volume *volume, const char *key, dev_t device, ino_t inode, uint64_t size)
{
    struct stat info;
    if (fstatat(volume->root, key, &info, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(info.st_mode))
        return false;
    return (info.st_dev == device && info.st_ino == inode) || (uint64_t)info.st_size == size;
}

int volume_space(const struct volume *volume, struct retention_space *space, char **cause)
{
    struct statvfs info;
    if (fstatvfs(volume->root, &info) < 0) {
        *cause = xasprintf("%s: its free space can not be read: %s", volume->path, strerror(errno));
        return -1;
    }
    *space = (struct retention_space){
        .total_bytes = (uint64_t)info.f_blocks * info.f_frsize,
        .available_bytes = (uint64_t)info.f_bavail * info.f_frsize,
        .total_files = info.f_files,
        .available_files = info.f_favail,
    };
    return 0;
}

// --- Deleting ---

static void volume_delete_one(const struct volume *volume, struct volume_deletion *deletion)
{
    struct stat info;
    if (fstatat(volume->root, deletion->key, &info, AT_SYMLINK_NOFOLLOW) == 0 && info.st_nlink == 1)
        deletion->freed = (uint64_t)info.st_blocks * 512;
    deletion->gone = unlinkat(volume->root, deletion->key, 0) == 0;
    if (deletion->gone)
        return;
    deletion->freed = 0;
    if (errno == ENOENT || errno == ENOTDIR)
        deletion->gone = deletion->missing = true;
    else
        log_err("%s/%s can not be deleted: %s", volume->path, deletion->key, strerror(errno));
}

// Removes the directories of a key that are empty now and syncs the first one that stays. Returns
// 0, or -1 when that fails.
static int volume_settle_dirs(const struct volume *volume, const char *key)
{
    char directory[SEGMENT_KEY_SIZE];
    snprintf(directory, sizeof(directory), "%s", key);
    for (char *slash; (slash = strrchr(directory, '/')) != NULL;) {
        *slash = '\0';
        if (unlinkat(volume->root, directory, AT_REMOVEDIR) < 0 && errno != ENOENT)
            return volume_sync_dir(volume, directory);
    }
    return volume_sync_dir(volume, "");
}

static bool volume_same_directory(const char *left, const char *right)
{
    const char *left_end = strrchr(left, '/'), *right_end = strrchr(right, '/');
    return left_end && right_end && left_end - left == right_end - right &&
           memcmp(left, right, (size_t)(left_end - left)) == 0;
}

static int volume_compare_deletions(const void *left, const void *right)
{
    return strcmp(
        ((const struct volume_deletion *)left)->key, ((const struct volume_deletion *)right)->key);
}

void volume_delete(const struct volume *volume, struct volume_deletion *deletions, size_t count)
{
    if (count > 1)
        qsort(deletions, count, sizeof(*deletions), volume_compare_deletions);
    for (size_t i = 0; i < count; i++)
        volume_delete_one(volume, &deletions[i]);
    for (size_t first = 0, next; first < count; first = next) {
        for (next = first + 1; next < count; next++) {
            if (!volume_same_directory(deletions[first].key, deletions[next].key))
                break;
        }
        if (volume_settle_dirs(volume, deletions[first].key) == 0)
            continue;
        log_err("%s/%s: its directory can not be synced: %s", volume->path, deletions[first].key,
            strerror(errno));
        for (size_t i = first; i < next; i++)
            deletions[i].gone = false;
    }
}
