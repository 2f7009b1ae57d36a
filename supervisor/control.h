// The commands of control.sock.
#pragma once

#include <jansson.h>

#include "lib/core/ctl.h"
#include "supervisor/daemon.h"

// The function for ctl_server_open(); its argument is the daemon.
void control_request(struct ctl_request *request, void *daemon);
