// The commands that are not the daemon: each returns an exit code and writes to stdout, errors to
// stderr.
#pragma once

#include <stdbool.h>

#include "lib/core/config.h"

struct command_options {
    struct config_source source;
    bool has_file; // -c was given
    bool as_json;
    bool print_commands;
    bool print_keys;
    const char *stream; // CAMERA/STREAM, or NULL
};

int command_check_config(const struct command_options *options);
int command_status(const struct command_options *options);
int command_reload(const struct command_options *options);
