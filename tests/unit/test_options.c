// The command line: what a table of commands and options accepts, and what it refuses.
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/core/options.h"

struct command_options {
    const char *file;
    const char *user;
    bool loud;
    bool as_json;
};

static const struct options_command commands[] = {
    {"run", .help = "work"},
    {"status", "[NAME]", 0, 1, "tell", .flags = 7},
    {"probe", "NAME…", 1, 2, .help = "look"},
    {.name = NULL},
};

#define TO(member) .offset = offsetof(struct command_options, member)

static const struct options_option options[] = {
    {"config", 'c', "FILE", TO(file), .help = "the file"},
    {"loud", TO(loud), .help = "say\nmore"},
    {"json", .commands = "status probe", TO(as_json), .help = "as JSON"},
    {"user", .argument = "NAME-OF-THE-USER", .commands = "probe", TO(user), .help = "who"},
    {.name = NULL},
};

static const struct options_table table = {"tool", commands, options, "The end.\n"};

// What was printed while a command line was parsed, and what came of it.
struct outcome {
    const struct options_command *command;
    struct command_options values;
    char **arguments;
    int code;
    char text[4096];
};

static char *words[16];

static void parse(struct outcome *outcome, const char *first, ...)
{
    int count = 0;
    va_list args;
    words[count++] = (char *)"tool";
    va_start(args, first);
    for (const char *word = first; word != NULL; word = va_arg(args, const char *))
        words[count++] = (char *)word;
    va_end(args);
    words[count] = NULL;
    *outcome = (struct outcome){0};
    FILE *file = tmpfile();
    fflush(stdout);
    int saved[2] = {dup(STDOUT_FILENO), dup(STDERR_FILENO)};
    dup2(fileno(file), STDOUT_FILENO);
    dup2(fileno(file), STDERR_FILENO);
    outcome->command =
        options_parse(&table, count, words, &outcome->values, &outcome->arguments, &outcome->code);
    fflush(stdout);
    dup2(saved[0], STDOUT_FILENO);
    dup2(saved[1], STDERR_FILENO);
    close(saved[0]);
    close(saved[1]);
    ssize_t size = pread(fileno(file), outcome->text, sizeof(outcome->text) - 1, 0);
    assert_true(size >= 0);
    fclose(file);
}

static void test_options_stand_before_and_behind_the_command(void **state)
{
    (void)state;
    struct outcome outcome;
    parse(&outcome, "-c", "a.yaml", "status", "--loud", "yard/main", "--json", NULL);
    assert_string_equal(outcome.command->name, "status");
    assert_int_equal(outcome.command->flags, 7);
    assert_string_equal(outcome.values.file, "a.yaml");
    assert_true(outcome.values.loud && outcome.values.as_json);
    assert_string_equal(outcome.arguments[0], "yard/main");
    assert_null(outcome.arguments[1]);
    assert_string_equal(outcome.text, "");
}

static void test_what_is_not_given_stays_as_it_was(void **state)
{
    (void)state;
    struct outcome outcome;
    parse(&outcome, "status", NULL);
    assert_non_null(outcome.command);
    assert_null(outcome.values.file);
    assert_false(outcome.values.loud || outcome.values.as_json);
    assert_null(outcome.arguments[0]);
}

static void test_a_lone_dash_is_an_argument_and_two_end_the_options(void **state)
{
    (void)state;
    struct outcome outcome;
    parse(&outcome, "probe", "-", "--user=me", NULL);
    assert_string_equal(outcome.arguments[0], "-");
    assert_string_equal(outcome.values.user, "me");
    parse(&outcome, "probe", "--", "--loud", NULL);
    assert_string_equal(outcome.arguments[0], "--loud");
    assert_false(outcome.values.loud);
}

static void assert_refused(const struct outcome *outcome, const char *reason)
{
    assert_null(outcome->command);
    assert_int_equal(outcome->code, 64);
    assert_non_null(strstr(outcome->text, reason));
    assert_non_null(strstr(outcome->text, "--help"));
}

static void test_mistakes_are_named(void **state)
{
    (void)state;
    struct outcome outcome;
    parse(&outcome, NULL);
    assert_refused(&outcome, "a command is missing");
    parse(&outcome, "fly", NULL);
    assert_refused(&outcome, "there is no command fly");
    parse(&outcome, "status", "a", "b", NULL);
    assert_refused(&outcome, "status: too many arguments");
    parse(&outcome, "probe", NULL);
    assert_refused(&outcome, "probe: is missing: NAME");
    parse(&outcome, "run", "--json", NULL);
    assert_refused(&outcome, "run: takes no option --json");
    parse(&outcome, "status", "--user", "me", NULL);
    assert_refused(&outcome, "status: takes no option --user");
    parse(&outcome, "run", "--nonsense", NULL);
    assert_refused(&outcome, "--nonsense");
    parse(&outcome, "run", "-c", NULL);
    assert_refused(&outcome, "requires an argument");
}

static void test_help_shows_both_tables(void **state)
{
    (void)state;
    struct outcome outcome;
    parse(&outcome, "run", "--help", NULL);
    assert_null(outcome.command);
    assert_int_equal(outcome.code, 0);
    assert_string_equal(outcome.text, "usage: tool [OPTION…] COMMAND\n"
                                      "\n"
                                      "  run                         work\n"
                                      "  status [NAME]               tell\n"
                                      "      --json                  as JSON\n"
                                      "  probe NAME…                 look\n"
                                      "      --json                  as JSON\n"
                                      "      --user NAME-OF-THE-USER\n"
                                      "                              who\n"
                                      "\n"
                                      "  -c, --config FILE           the file\n"
                                      "      --loud                  say\n"
                                      "                              more\n"
                                      "  -h, --help                  print this and end\n"
                                      "      --version               print the version and end\n"
                                      "\n"
                                      "The end.\n");
}

static void test_version_is_the_programs(void **state)
{
    (void)state;
    struct outcome outcome;
    parse(&outcome, "--version", NULL);
    assert_int_equal(outcome.code, 0);
    assert_string_equal(outcome.text, "tool " KEEPFRAME_VERSION "\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options_stand_before_and_behind_the_command),
        cmocka_unit_test(test_what_is_not_given_stays_as_it_was),
        cmocka_unit_test(test_a_lone_dash_is_an_argument_and_two_end_the_options),
        cmocka_unit_test(test_mistakes_are_named),
        cmocka_unit_test(test_help_shows_both_tables),
        cmocka_unit_test(test_version_is_the_programs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
