// The commands that are not the daemon: each returns an exit code and writes to stdout, errors to
// stderr.
#pragma once

#include <stdbool.h>

#include "lib/core/config.h"

struct command_options {
    struct config_source source;
    const char *file; // -c, or NULL
    bool debug;
    bool as_json;
    bool print_commands;
    bool print_keys;
    char **arguments; // what stands behind the command; NULL ends them
};

int command_check_config(const struct command_options *options);
int command_status(const struct command_options *options);
int command_reload(const struct command_options *options);

// Each with CAMERA or CAMERA/STREAM as its argument.
int command_restart(const struct command_options *options);
int command_enable(const struct command_options *options);
int command_disable(const struct command_options *options);
