// Unix stream sockets at paths of any length: sun_path takes 107 bytes, so a longer path goes by
// way of its directory's descriptor.
#pragma once

// Both return a close-on-exec socket, or -1 with errno set.

// Non-blocking; anybody of the owner's user and group may connect (mode 0660).
int ctl_socket_listen(const char *path, int backlog);

// Blocking; waits `timeout_ms` at most for a place in the listener's queue, then fails with EAGAIN.
// With 0 it does not wait at all, and the socket is non-blocking.
int ctl_socket_connect(const char *path, int timeout_ms);
