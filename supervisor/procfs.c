// What /proc says of a process. See procfs.h.
#include "supervisor/procfs.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/core/timeutil.h"

enum {
    PROCFS_FIELDS_TO_UTIME = 11, // from the state, the first field after the name
    PROCFS_TEXT_MAX = 4096,
};

// Reads a decimal number and goes past it. Returns false when there is none.
static bool procfs_number(const char **text, int64_t *number)
{
    char *end;
    if (!isdigit((unsigned char)**text))
        return false;
    errno = 0;
    *number = strtoll(*text, &end, 10);
    *text = end;
    return errno == 0;
}

bool procfs_parse_stat(const char *text, int64_t *ticks)
{
    // The name may hold anything, spaces and parentheses too: the last one ends it.
    const char *at = strrchr(text, ')');
    for (int field = 0; at != NULL && field <= PROCFS_FIELDS_TO_UTIME; field++) {
        at = strchr(at, ' ');
        at = at ? at + 1 : NULL;
    }
    int64_t user, system;
    if (at == NULL || !procfs_number(&at, &user) || *at++ != ' ' || !procfs_number(&at, &system) ||
        *at != ' ' || __builtin_add_overflow(user, system, ticks))
        return false;
    return true;
}

bool procfs_parse_pss(const char *text, int64_t *size_bytes)
{
    static const char key[] = "\nPss:";
    const char *at = strstr(text, key);
    int64_t size_kib;
    if (at == NULL)
        return false;
    at += sizeof(key) - 1;
    at += strspn(at, " \t");
    return procfs_number(&at, &size_kib) && strncmp(at, " kB\n", 4) == 0 &&
           !__builtin_mul_overflow(size_kib, INT64_C(1024), size_bytes);
}

// Reads a file of the process. Returns false when it can not.
static bool procfs_read(pid_t pid, const char *name, char text[PROCFS_TEXT_MAX])
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, text, PROCFS_TEXT_MAX - 1);
    if (fd >= 0)
        close(fd);
    if (got <= 0)
        return false;
    text[got] = '\0';
    return true;
}

int64_t procfs_cpu_us(pid_t pid)
{
    char text[PROCFS_TEXT_MAX];
    int64_t ticks, per_second = sysconf(_SC_CLK_TCK);
    if (!procfs_read(pid, "stat", text) || !procfs_parse_stat(text, &ticks) ||
        ticks > INT64_MAX / US_PER_SECOND)
        return -1;
    return ticks * US_PER_SECOND / per_second;
}

int64_t procfs_pss_bytes(pid_t pid)
{
    char text[PROCFS_TEXT_MAX];
    int64_t size_bytes;
    return procfs_read(pid, "smaps_rollup", text) && procfs_parse_pss(text, &size_bytes)
               ? size_bytes
               : -1;
}
