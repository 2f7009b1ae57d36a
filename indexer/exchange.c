// The exchange of catalogs. See exchange.h.
#include "indexer/exchange.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/core/alloc.h"
#include "lib/core/fsutil.h"
#include "lib/core/log.h"
#include "lib/core/timeutil.h"

enum {
    EXCHANGE_DIR_MODE = 0750,
};

#define EXCHANGE_NEW "rebuild"
#define EXCHANGE_WHOLE "rebuild.whole"
#define EXCHANGE_ENTER "rebuild.enter"

static int exchange_fail(const char *path, const char *what, char **cause)
{
    *cause = xasprintf("%s: %s: %s", path, what, strerror(errno));
    return -1;
}

// Whether a file belongs to the catalog: copies that were made before a migration too.
static bool exchange_is_ours(const char *name)
{
    return strncmp(name, "catalog.db", 10) == 0 ||
           (strncmp(name, "frames-", 7) == 0 && strstr(name, ".db") != NULL);
}

// The index of a write-ahead log is worth nothing without its processes.
static bool exchange_is_index(const char *name)
{
    size_t length = strlen(name);
    return length > 4 && strcmp(name + length - 4, "-shm") == 0;
}

// Calls `fn` for the catalog's files in a directory.
typedef int (*exchange_fn)(const char *directory, const char *name, void *arg, char **cause);

static int exchange_each(const char *directory, exchange_fn fn, void *arg, char **cause)
{
    DIR *dir = opendir(directory);
    if (dir == NULL)
        return exchange_fail(directory, "can not be listed", cause);
    int result = 0;
    for (struct dirent *entry; result == 0 && (entry = readdir(dir)) != NULL;) {
        if (exchange_is_ours(entry->d_name))
            result = fn(directory, entry->d_name, arg, cause);
    }
    closedir(dir);
    return result;
}

static int exchange_remove(const char *directory, const char *name, void *arg, char **cause)
{
    (void)arg;
    char *path = xasprintf("%s/%s", directory, name);
    int result = unlink(path);
    if (result < 0)
        exchange_fail(path, "can not be removed", cause);
    free(path);
    return result;
}

static int exchange_move(const char *directory, const char *name, void *arg, char **cause)
{
    if (exchange_is_index(name))
        return exchange_remove(directory, name, NULL, cause);
    char *from = xasprintf("%s/%s", directory, name);
    char *to = xasprintf("%s/%s", *(char *const *)arg, name);
    int result = rename(from, to);
    if (result < 0)
        exchange_fail(from, "can not be moved", cause);
    free(from);
    free(to);
    return result;
}

// Makes a new file durable, and the database directory's owner its owner: root may have made it.
static int exchange_settle(const char *directory, const char *name, void *arg, char **cause)
{
    const struct stat *owner = arg;
    char *path = xasprintf("%s/%s", directory, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    int result = fd < 0 ? -1 : fsync(fd);
    if (result == 0 && geteuid() == 0)
        result = fchown(fd, owner->st_uid, owner->st_gid);
    if (result < 0)
        exchange_fail(path, "can not be made durable", cause);
    if (fd >= 0)
        close(fd);
    free(path);
    return result;
}

static int exchange_rename(
    const char *database, const char *from_name, const char *to_name, char **cause)
{
    char *from = xasprintf("%s/%s", database, from_name);
    char *to = xasprintf("%s/%s", database, to_name);
    int result = rename(from, to);
    if (result < 0)
        exchange_fail(from, "can not be renamed", cause);
    else
        result = fs_sync_dir(database, cause);
    free(from);
    free(to);
    return result;
}

// --- The two halves ---

static int exchange_count(const char *directory, const char *name, void *arg, char **cause)
{
    (void)directory, (void)name, (void)cause;
    ++*(size_t *)arg;
    return 0;
}

// The old files go out, into a directory that keeps them.
static int exchange_out(const char *database, char **kept, char **cause)
{
    size_t count = 0;
    *kept = NULL;
    if (exchange_each(database, exchange_count, &count, cause) < 0)
        return -1;
    struct stat owner;
    char now[TIME_TEXT_SIZE];
    time_format_utc(time_now_us(), now);
    char *place = xasprintf("%s/before-reindex-%s", database, now);
    int result = 0;
    if (count > 0) {
        if (mkdir(place, EXCHANGE_DIR_MODE) < 0 || stat(database, &owner) < 0 ||
            (geteuid() == 0 && chown(place, owner.st_uid, owner.st_gid) < 0))
            result = exchange_fail(place, "can not be made", cause);
        if (result == 0)
            result = exchange_each(database, exchange_move, &place, cause);
        if (result == 0)
            result = fs_sync_dir(place, cause);
    }
    if (result == 0)
        result = exchange_rename(database, EXCHANGE_WHOLE, EXCHANGE_ENTER, cause);
    if (result == 0 && count > 0)
        *kept = place;
    else
        free(place);
    return result;
}

static int exchange_in(const char *database, char **cause)
{
    char *place = xasprintf("%s/" EXCHANGE_ENTER, database);
    int result = exchange_each(place, exchange_move, &database, cause);
    if (result == 0 && rmdir(place) < 0)
        result = exchange_fail(place, "can not be removed", cause);
    free(place);
    return result == 0 ? fs_sync_dir(database, cause) : -1;
}

static bool exchange_has(const char *database, const char *name)
{
    char *path = xasprintf("%s/%s", database, name);
    bool there = access(path, F_OK) == 0;
    free(path);
    return there;
}

static int exchange_discard(const char *database, char **cause)
{
    char *place = xasprintf("%s/" EXCHANGE_NEW, database);
    int result = exchange_each(place, exchange_remove, NULL, cause);
    if (result == 0 && rmdir(place) < 0)
        result = exchange_fail(place, "can not be removed", cause);
    free(place);
    return result;
}

// --- What is asked for ---

int exchange_resume(const char *database, char **cause)
{
    char *kept = NULL;
    int result = 0;
    if (exchange_has(database, EXCHANGE_NEW))
        result = exchange_discard(database, cause);
    if (result == 0 && exchange_has(database, EXCHANGE_WHOLE))
        result = exchange_out(database, &kept, cause);
    if (result == 0 && exchange_has(database, EXCHANGE_ENTER)) {
        log_info("%s: the exchange for the rebuilt catalog is completed", database);
        result = exchange_in(database, cause);
    }
    free(kept);
    return result;
}

char *exchange_begin(const char *database, char **cause)
{
    if (exchange_resume(database, cause) < 0)
        return NULL;
    char *place = xasprintf("%s/" EXCHANGE_NEW, database);
    if (mkdir(place, EXCHANGE_DIR_MODE) == 0)
        return place;
    exchange_fail(place, "can not be made", cause);
    free(place);
    return NULL;
}

int exchange_finish(const char *database, char **kept, char **cause)
{
    struct stat owner;
    *kept = NULL;
    char *place = xasprintf("%s/" EXCHANGE_NEW, database);
    int result = stat(database, &owner);
    if (result < 0)
        exchange_fail(database, "can not be read", cause);
    if (result == 0)
        result = exchange_each(place, exchange_settle, &owner, cause);
    if (result == 0)
        result = fs_sync_dir(place, cause);
    free(place);
    if (result == 0)
        result = exchange_rename(database, EXCHANGE_NEW, EXCHANGE_WHOLE, cause);
    if (result == 0)
        result = exchange_out(database, kept, cause);
    return result == 0 ? exchange_in(database, cause) : -1;
}
