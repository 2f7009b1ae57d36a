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
    const char *username;      // of a camera to probe
    const char *password_file; // of a camera to probe
    char **arguments;          // what stands behind the command; NULL ends them
};

int command_check_config(const struct command_options *options);
int command_status(const struct command_options *options);
int command_reload(const struct command_options *options);

// Each with CAMERA or CAMERA/STREAM as its argument.
int command_restart(const struct command_options *options);
int command_enable(const struct command_options *options);
int command_disable(const struct command_options *options);
int command_probe(const struct command_options *options);

// The path of control.sock. Where no file was named, one that is not there or may not be read does
// not matter. The caller owns it; NULL with *cause set when the configuration can not be read.
char *command_socket(const struct command_options *options, char **cause);
