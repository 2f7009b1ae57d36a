// keepframe: the supervisor. What it can be told on the command line, and who does it.
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "lib/core/alloc.h"
#include "lib/core/log.h"
#include "supervisor/command.h"
#include "supervisor/daemon.h"

static const char usage_text[] =
    "usage: keepframe [OPTION…] COMMAND\n"
    "\n"
    "  run                         record, until SIGTERM or SIGINT\n"
    "  check-config                check the configuration\n"
    "      --print-commands        and show the ffmpeg command of each stream\n"
    "      --print-keys            show all keys instead\n"
    "  status [CAMERA/STREAM]      how the streams are doing\n"
    "      --json                  as JSON\n"
    "  reload                      apply the changed configuration\n"
    "\n"
    "  -c, --config FILE           the configuration (/etc/keepframe/keepframe.yaml)\n"
    "      --data DIR              database DIR, cache DIR/cache, volume DIR/video, runtime\n"
    "                              DIR/run, where the configuration does not say otherwise\n"
    "      --runtime DIR           sockets and pid file, whatever the configuration says\n"
    "      --debug                 log more\n"
    "  -h, --help\n"
    "      --version\n"
    "\n"
    "See keepframe(1) and keepframe.yaml(5).\n";

enum {
    OPTION_DATA = 256,
    OPTION_RUNTIME,
    OPTION_DEBUG,
    OPTION_JSON,
    OPTION_PRINT_COMMANDS,
    OPTION_PRINT_KEYS,
    OPTION_VERSION,
};

static const struct option long_options[] = {
    {"config", required_argument, NULL, 'c'},
    {"data", required_argument, NULL, OPTION_DATA},
    {"runtime", required_argument, NULL, OPTION_RUNTIME},
    {"debug", no_argument, NULL, OPTION_DEBUG},
    {"json", no_argument, NULL, OPTION_JSON},
    {"print-commands", no_argument, NULL, OPTION_PRINT_COMMANDS},
    {"print-keys", no_argument, NULL, OPTION_PRINT_KEYS},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, OPTION_VERSION},
    {NULL, 0, NULL, 0},
};

static int command_run(const struct command_options *options)
{
    struct config_source source = options->source;
    source.flags = CONFIG_SECRETS;
    return daemon_run(&source);
}

static const struct {
    const char *name;
    int arguments_max;
    bool asks; // a daemon that runs
    int (*run)(const struct command_options *options);
} command_table[] = {
    {"run", 0, false, command_run},
    {"check-config", 0, false, command_check_config},
    {"status", 1, true, command_status},
    {"reload", 0, true, command_reload},
};

static int usage_error(const char *what, const char *name)
{
    fprintf(
        stderr, "keepframe: %s%s%s\n\n%s", what, name ? ": " : "", name ? name : "", usage_text);
    return EX_USAGE;
}

// Takes the options. Returns -1 to go on, else an exit code.
static int parse_options(int argc, char **argv, struct command_options *options, bool *debug)
{
    int option;
    while ((option = getopt_long(argc, argv, "c:h", long_options, NULL)) != -1) {
        switch (option) {
        case 'c':
            options->source.file = optarg;
            options->has_file = true;
            break;
        case OPTION_DATA:
            options->source.data = optarg;
            break;
        case OPTION_RUNTIME:
            options->source.runtime = optarg;
            break;
        case OPTION_DEBUG:
            *debug = true;
            break;
        case OPTION_JSON:
            options->as_json = true;
            break;
        case OPTION_PRINT_COMMANDS:
            options->print_commands = true;
            break;
        case OPTION_PRINT_KEYS:
            options->print_keys = true;
            break;
        case 'h':
            fputs(usage_text, stdout);
            return EXIT_SUCCESS;
        case OPTION_VERSION:
            puts("keepframe " KEEPFRAME_VERSION);
            return EXIT_SUCCESS;
        default:
            fprintf(stderr, "\n%s", usage_text);
            return EX_USAGE;
        }
    }
    return -1;
}

// Whether nobody named a configuration, and none is where it is looked for. Who asks a daemon needs
// none where an option says where it works.
static bool lacks_configuration(const struct command_options *options, bool asks)
{
    bool is_placed = options->source.runtime != NULL || (asks && options->source.data != NULL);
    return !options->has_file && !is_placed && !options->print_keys &&
           access(options->source.file, F_OK) < 0 && errno == ENOENT;
}

int main(int argc, char **argv)
{
    struct command_options options = {.source = {.file = "/etc/keepframe/keepframe.yaml"}};
    bool debug = false;
    int code = parse_options(argc, argv, &options, &debug);
    if (code >= 0)
        return code;
    log_open("keepframe", debug);
    if (optind == argc)
        return usage_error("a command is missing", NULL);
    for (size_t i = 0; i < ARRAY_LENGTH(command_table); i++) {
        if (strcmp(command_table[i].name, argv[optind]) != 0)
            continue;
        if (argc - optind - 1 > command_table[i].arguments_max)
            return usage_error("too many arguments for", argv[optind]);
        options.stream = argv[optind + 1];
        if (lacks_configuration(&options, command_table[i].asks)) {
            log_err("there is no %s; name your configuration with -c FILE", options.source.file);
            return EX_CONFIG;
        }
        return command_table[i].run(&options);
    }
    return usage_error("unknown command", argv[optind]);
}
