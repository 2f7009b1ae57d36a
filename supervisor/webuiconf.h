// RUNTIME/webui.json: what the webui may know of the configuration. No URL, user or password.
#pragma once

#include "lib/core/config.h"

// Writes the file atomically, mode 0640. Returns 0, or -1 with *cause set.
int webuiconf_write(const struct config *config, char **cause);
