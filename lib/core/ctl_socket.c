// Unix stream sockets at paths of any length. See ctl_socket.h.
#include "lib/core/ctl_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/core/alloc.h"

// Fills the address. Returns a descriptor to keep until it has been used, -1 when none is needed,
// or -2 with errno set.
static int ctl_socket_address(const char *path, struct sockaddr_un *address)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    size_t length = strlen(path);
    if (length < sizeof(address->sun_path)) {
        memcpy(address->sun_path, path, length + 1);
        return -1;
    }
    const char *slash = strrchr(path, '/');
    char *directory = slash ? xstrndup(path, (size_t)(slash - path) + 1) : xstrdup(".");
    int fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    free(directory);
    if (fd < 0)
        return -2;
    int written = snprintf(address->sun_path, sizeof(address->sun_path), "/proc/self/fd/%d/%s", fd,
        slash ? slash + 1 : path);
    if (written < (int)sizeof(address->sun_path))
        return fd;
    close(fd);
    errno = ENAMETOOLONG;
    return -2;
}

static int ctl_socket_open(const char *path, int flags, int timeout_ms,
    int (*use)(int fd, const struct sockaddr *address, socklen_t size))
{
    struct sockaddr_un address;
    int directory = ctl_socket_address(path, &address);
    if (directory == -2)
        return -1;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    struct timeval timeout = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
    if (fd >= 0 && timeout_ms > 0)
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
    // bind(2) gives the new socket the descriptor's mode (less the umask), so it is never open to
    // more than it should be.
    if (fd >= 0 &&
        (fchmod(fd, 0660) < 0 || use(fd, (struct sockaddr *)&address, sizeof(address)) < 0)) {
        int saved_errno = errno;
        close(fd);
        fd = -1;
        errno = saved_errno;
    }
    int saved_errno = errno;
    if (directory >= 0)
        close(directory);
    errno = saved_errno;
    return fd;
}

int ctl_socket_connect(const char *path, int timeout_ms)
{
    return ctl_socket_open(path, timeout_ms > 0 ? 0 : SOCK_NONBLOCK, timeout_ms, connect);
}

int ctl_socket_listen(const char *path, int backlog)
{
    int fd = ctl_socket_open(path, SOCK_NONBLOCK, 0, bind);
    if (fd >= 0 && (chmod(path, 0660) < 0 || listen(fd, backlog) < 0)) {
        int saved_errno = errno;
        close(fd);
        unlink(path);
        errno = saved_errno;
        return -1;
    }
    return fd;
}
