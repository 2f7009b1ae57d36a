// A program's command line: one table of commands, one of options. Parsing, the errors and the
// text of --help come from the tables, so they can not disagree. Every program has --help and
// --version.
#pragma once

#include <stddef.h>

// What a program's options set. Each program defines its own.
struct command_options;

struct options_command {
    const char *name;
    const char *arguments; // as the usage shows them: "[CAMERA/STREAM]"; NULL: none
    int arguments_min;
    int arguments_max;
    const char *help;                                  // a line feed begins a new line
    unsigned flags;                                    // the program's own business
    int (*run)(const struct command_options *options); // returns the exit code
};

struct options_option {
    const char *name;     // the long one
    char letter;          // the short one; 0: none
    const char *argument; // as the usage shows it: "FILE"; NULL: a switch
    const char *commands; // what it goes with, as "status probe"; NULL: every command
    const char *help;
    size_t offset; // in struct command_options: of a `const char *`, or of a switch's `bool`
};

// Both lists end with a row without a name.
struct options_table {
    const char *program;
    const struct options_command *commands;
    const struct options_option *options;
    const char *notes; // the last lines of the usage
};

// Sets what the command line says in *values, and *arguments to the command's own arguments, which
// end with NULL. Returns the command; or NULL with *code set to an exit code when all is said
// already: help, version, a mistake.
const struct options_command *options_parse(const struct options_table *table, int argc,
    char **argv, struct command_options *values, char ***arguments, int *code);
