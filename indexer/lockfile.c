// DATABASE/lock. See lockfile.h.
#include "indexer/lockfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "lib/core/alloc.h"

enum {
    LOCKFILE_MODE = 0640,
};

int lockfile_take(const char *database, char **cause)
{
    char *path = xasprintf("%s/lock", database);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, LOCKFILE_MODE);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0) {
        *cause = errno == EWOULDBLOCK
                     ? xasprintf("%s is locked: another indexer works on this catalog", path)
                     : xasprintf("%s: can not be locked: %s", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        fd = -1;
    }
    free(path);
    return fd;
}
