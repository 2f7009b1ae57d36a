// The running web interface: signals on the main thread, the HTTP thread, the I/O thread.
#pragma once

// Serves what `runtime`/webui.json says, and waits for that file where it is not there yet. The
// address goes into `address_file`, or into `runtime`/webui.address where that is NULL. Runs until
// SIGTERM or SIGINT. Returns the exit code: 0, 1 for a failure, 78 for a configuration that can not
// be used (also: an address that can not be listened on).
int service_run(const char *runtime, const char *address_file);
