// A program's command line. See options.h.
#include "lib/core/options.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "lib/core/alloc.h"
#include "lib/core/buf.h"

enum {
    OPTIONS_MAX = 32,
    OPTIONS_LONG = 256,  // what getopt says for the first row; the next ones follow
    OPTIONS_VERSION = 1, // no character that anybody types
    OPTIONS_HELP_COLUMN = 30,
};

// Whether a list of words has that one.
static bool options_has_word(const char *list, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = list; (at = strstr(at, word)) != NULL; at += length) {
        bool begins = at == list || at[-1] == ' ';
        if (begins && (at[length] == ' ' || at[length] == '\0'))
            return true;
    }
    return false;
}

static void options_put_help(struct buf *out, size_t line_start, const char *help)
{
    size_t used = 0;
    for (size_t i = line_start; i < out->size; i++)
        used += (out->data[i] & 0xC0) != 0x80; // characters, not bytes
    if (used > OPTIONS_HELP_COLUMN - 2) {
        buf_put_u8(out, '\n');
        used = 0;
    }
    buf_printf(out, "%*s", OPTIONS_HELP_COLUMN - (int)used, "");
    for (; *help != '\0'; help++) {
        buf_put_u8(out, (uint8_t)*help);
        if (*help == '\n')
            buf_printf(out, "%*s", OPTIONS_HELP_COLUMN, "");
    }
    buf_put_u8(out, '\n');
}

static void options_put_option(struct buf *out, const struct options_option *option)
{
    size_t start = out->size;
    if (option->letter != 0)
        buf_printf(out, "  -%c, --%s", option->letter, option->name);
    else
        buf_printf(out, "      --%s", option->name);
    if (option->argument != NULL)
        buf_printf(out, " %s", option->argument);
    options_put_help(out, start, option->help);
}

static void options_put_command(
    struct buf *out, const struct options_table *table, const struct options_command *command)
{
    size_t start = out->size;
    buf_printf(out, "  %s", command->name);
    if (command->arguments != NULL)
        buf_printf(out, " %s", command->arguments);
    options_put_help(out, start, command->help);
    for (const struct options_option *option = table->options; option->name != NULL; option++) {
        if (option->commands != NULL && options_has_word(option->commands, command->name))
            options_put_option(out, option);
    }
}

static void options_print_usage(const struct options_table *table)
{
    static const struct options_option common[] = {
        {"help", 'h', .help = "print this and end"},
        {"version", .help = "print the version and end"},
    };
    struct buf out = BUF_INIT;
    buf_printf(&out, "usage: %s [OPTION…] COMMAND\n\n", table->program);
    for (const struct options_command *row = table->commands; row->name != NULL; row++)
        options_put_command(&out, table, row);
    buf_put_u8(&out, '\n');
    for (const struct options_option *row = table->options; row->name != NULL; row++) {
        if (row->commands == NULL)
            options_put_option(&out, row);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(common); i++)
        options_put_option(&out, &common[i]);
    printf("%s\n%s", buf_string(&out), table->notes);
    buf_fini(&out);
}

static int options_refuse(
    const struct options_table *table, const char *name, const char *what, const char *value)
{
    fprintf(stderr, "%s: %s%s%s%s\n", table->program, name ? name : "", name ? ": " : "", what,
        value ? value : "");
    fprintf(stderr, "`%s --help` shows the usage\n", table->program);
    return EX_USAGE;
}

static void options_set(
    const struct options_option *option, struct command_options *values, char *argument)
{
    char *target = (char *)values + option->offset;
    if (option->argument != NULL)
        *(const char **)(void *)target = argument;
    else
        *(bool *)(void *)target = true;
}

// Fills what getopt_long(3) wants to know. Returns the number of the table's options.
static int options_for_getopt(const struct options_table *table, struct option *rows, char *letters)
{
    int count = 0;
    for (; table->options[count].name != NULL && count < OPTIONS_MAX; count++) {
        const struct options_option *option = &table->options[count];
        int has_argument = option->argument ? required_argument : no_argument;
        rows[count] = (struct option){option->name, has_argument, NULL, OPTIONS_LONG + count};
        if (option->letter == 0)
            continue;
        *letters++ = option->letter;
        if (option->argument != NULL)
            *letters++ = ':';
    }
    *letters++ = 'h';
    *letters = '\0';
    rows[count] = (struct option){"help", no_argument, NULL, 'h'};
    rows[count + 1] = (struct option){"version", no_argument, NULL, OPTIONS_VERSION};
    rows[count + 2] = (struct option){0};
    return count;
}

static int options_row_of(const struct options_table *table, int count, int found)
{
    if (found >= OPTIONS_LONG)
        return found - OPTIONS_LONG;
    for (int i = 0; i < count; i++) {
        if (table->options[i].letter == found)
            return i;
    }
    return -1;
}

// Takes the options; marks those given. Returns -1 to go on, else an exit code.
static int options_take(const struct options_table *table, int argc, char **argv,
    struct command_options *values, bool *given)
{
    struct option rows[OPTIONS_MAX + 3];
    char letters[2 * OPTIONS_MAX + 2];
    int count = options_for_getopt(table, rows, letters);
    optind = 0; // getopt begins anew
    for (int found; (found = getopt_long(argc, argv, letters, rows, NULL)) != -1;) {
        int row = options_row_of(table, count, found);
        if (row >= 0) {
            options_set(&table->options[row], values, optarg);
            given[row] = true;
        } else if (found == 'h') {
            options_print_usage(table);
            return EXIT_SUCCESS;
        } else if (found == OPTIONS_VERSION) {
            printf("%s %s\n", table->program, KEEPFRAME_VERSION);
            return EXIT_SUCCESS;
        } else {
            fprintf(stderr, "`%s --help` shows the usage\n", table->program);
            return EX_USAGE;
        }
    }
    return -1;
}

// Whether the command takes the options that were given. Returns -1, or an exit code.
static int options_check_given(
    const struct options_table *table, const struct options_command *command, const bool *given)
{
    for (int i = 0; table->options[i].name != NULL; i++) {
        const struct options_option *option = &table->options[i];
        if (given[i] && option->commands && !options_has_word(option->commands, command->name))
            return options_refuse(table, command->name, "takes no option --", option->name);
    }
    return -1;
}

const struct options_command *options_parse(const struct options_table *table, int argc,
    char **argv, struct command_options *values, char ***arguments, int *code)
{
    bool given[OPTIONS_MAX] = {false};
    *code = options_take(table, argc, argv, values, given);
    if (*code >= 0)
        return NULL;
    if (optind == argc) {
        *code = options_refuse(table, NULL, "a command is missing", NULL);
        return NULL;
    }
    const struct options_command *command = table->commands;
    while (command->name != NULL && strcmp(command->name, argv[optind]) != 0)
        command++;
    int count = argc - optind - 1;
    if (command->name == NULL)
        *code = options_refuse(table, NULL, "there is no command ", argv[optind]);
    else if (count > command->arguments_max)
        *code = options_refuse(table, command->name, "too many arguments", NULL);
    else if (count < command->arguments_min)
        *code = options_refuse(table, command->name, "is missing: ", command->arguments);
    else
        *code = options_check_given(table, command, given);
    *arguments = argv + optind + 1;
    return *code < 0 ? command : NULL;
}
