// Signs of life. See heartbeat.h.
#include "lib/core/heartbeat.h"

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/core/timeutil.h"

// The number that the variable holds, or -1.
static int heartbeat_inherited(void)
{
    const char *text = getenv(HEARTBEAT_VARIABLE);
    char *end = NULL;
    long number = text ? strtol(text, &end, 10) : -1;
    bool is_number = text != NULL && end != text && *end == '\0';
    return is_number && number > STDERR_FILENO && number <= INT_MAX ? (int)number : -1;
}

void heartbeat_open(struct heartbeat *heartbeat)
{
    struct stat info;
    int fd = heartbeat_inherited();
    // A variable that was left over from another time may name something else by now.
    if (fd >= 0 && (fstat(fd, &info) < 0 || !S_ISFIFO(info.st_mode)))
        fd = -1;
    if (fd >= 0 &&
        (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 || fcntl(fd, F_SETFL, O_WRONLY | O_NONBLOCK) < 0))
        fd = -1;
    *heartbeat = (struct heartbeat){.fd = fd, .beat_us = -US_PER_SECOND};
}

void heartbeat_beat(struct heartbeat *heartbeat, int64_t now_us)
{
    static const char line[] = "beat\n";
    if (heartbeat->fd < 0 || now_us - heartbeat->beat_us < US_PER_SECOND)
        return;
    heartbeat->beat_us = now_us;
    // Who does not listen hears nothing: a full pipe or one without a reader is not our business.
    ssize_t ignored = write(heartbeat->fd, line, sizeof(line) - 1);
    (void)ignored;
}

void heartbeat_close(struct heartbeat *heartbeat)
{
    if (heartbeat->fd >= 0)
        close(heartbeat->fd);
    heartbeat->fd = -1;
}
