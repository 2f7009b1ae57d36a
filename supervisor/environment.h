// The environment of the children.
#pragma once

#include <stdbool.h>

#include "lib/core/config.h"

// A copy of ours without what is meant for us alone (the service manager's socket) and, with
// `without_secrets`, without every variable that holds one of the configuration's passwords, or
// that stands in the address of a hook or in what a camera is asked for.
// Release with environment_free().
char **environment_new(const struct config *config, bool without_secrets);
void environment_free(char **environment);
