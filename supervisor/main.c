// keepframe: the supervisor. What it can be told on the command line, and who does it.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "lib/core/alloc.h"
#include "lib/core/log.h"
#include "lib/core/options.h"
#include "supervisor/command.h"
#include "supervisor/daemon.h"
#include "supervisor/daemon_handover.h"
#include "supervisor/probe_child.h"
#include "supervisor/upgrade.h"
#include "supervisor/webhook.h"

#define MAIN_CONFIG "/etc/keepframe/keepframe.yaml"

enum {
    MAIN_ASKS = 1 << 0,  // a command that asks a daemon
    MAIN_LOOKS = 1 << 1, // a command that finds out by itself whether it needs a configuration
};

static char **main_argv;          // as it came: getopt_long(3) puts it in another order
static bool main_checks_handover; // it is no daemon, but a child of one that is to be upgraded

static int command_run(const struct command_options *options)
{
    struct config_source source = options->source;
    source.flags = CONFIG_SECRETS;
    return main_checks_handover ? daemon_check_handover(&source) : daemon_run(&source, main_argv);
}

static const struct options_command main_commands[] = {
    {"run", .help = "record, until SIGTERM or SIGINT", .run = command_run},
    {"check-config", .help = "check the configuration", .run = command_check_config},
    {"status", "[CAMERA/STREAM]", 0, 1, "how the streams are doing", MAIN_ASKS, command_status},
    {"reload", .help = "apply the changed configuration", .flags = MAIN_ASKS,
        .run = command_reload},
    {"restart", "CAMERA[/STREAM]", 1, 1, "end and start again what is recorded", MAIN_ASKS,
        command_restart},
    {"disable", "CAMERA[/STREAM]", 1, 1,
        "record it no more, until `enable` or a restart of keepframe", MAIN_ASKS, command_disable},
    {"enable", "CAMERA[/STREAM]", 1, 1, "undo that", MAIN_ASKS, command_enable},
    {"probe", "CAMERA[/STREAM]|URL|-", 1, 1,
        "look at a camera: can it be recorded, and how? The URL\n"
        "without user and password; \"-\" reads it from stdin",
        MAIN_LOOKS, command_probe},
    {.name = NULL},
};

#define TO(member) .offset = offsetof(struct command_options, member)

static const struct options_option main_options[] = {
    {"print-commands", .commands = "check-config", TO(print_commands),
        .help = "and show the ffmpeg command of each stream"},
    {"print-keys", .commands = "check-config", TO(print_keys), .help = "show all keys instead"},
    {"json", .commands = "status probe", TO(as_json), .help = "as JSON"},
    {"username", .argument = "NAME", .commands = "probe", TO(username), .help = "to log in with"},
    {"password-file", .argument = "FILE", .commands = "probe", TO(password_file),
        .help = "where the password stands"},
    {"external-webui", .commands = "run", TO(source.webui_external),
        .help = "leave keepframe-webui to a service of its own, where the\n"
                "configuration does not say otherwise"},
    {"config", 'c', "FILE", TO(file), .help = "the configuration (" MAIN_CONFIG ")"},
    {"data", .argument = "DIR", TO(source.data),
        .help = "database DIR, cache DIR/cache, volume DIR/video, runtime\n"
                "DIR/run, where the configuration does not say otherwise"},
    {"runtime", .argument = "DIR", TO(source.runtime),
        .help = "sockets and pid file, whatever the configuration says"},
    {"debug", TO(debug), .help = "log more"},
    {.name = NULL},
};

static const struct options_table main_table = {
    "keepframe",
    main_commands,
    main_options,
    "See keepframe(1) and keepframe.yaml(5).\n",
};

// Whether nobody named a configuration, and none is where it is looked for. Who asks a daemon needs
// none where an option says where it works.
static bool main_lacks_configuration(const struct command_options *options, bool asks)
{
    bool is_placed = options->source.runtime != NULL || (asks && options->source.data != NULL);
    return options->file == NULL && !is_placed && !options->print_keys &&
           access(options->source.file, F_OK) < 0 && errno == ENOENT;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], WEBHOOK_COMMAND) == 0)
        return webhook_main();
    if (argc == 2 && strcmp(argv[1], PROBE_CHILD_ARGUMENT) == 0)
        return probe_child_main();
    main_checks_handover = argc > 1 && strcmp(argv[1], UPGRADE_CHECK_ARGUMENT) == 0;
    if (main_checks_handover) {
        argv[1] = argv[0];
        argc--;
        argv++;
    }
    main_argv = xcalloc((size_t)argc + 1, sizeof(*main_argv));
    memcpy(main_argv, argv, (size_t)argc * sizeof(*main_argv));
    struct command_options options = {0};
    int code;
    const struct options_command *command =
        options_parse(&main_table, argc, argv, &options, &options.arguments, &code);
    if (command == NULL)
        return code;
    log_open("keepframe", options.debug);
    options.source.file = options.file ? options.file : MAIN_CONFIG;
    if (!(command->flags & MAIN_LOOKS) &&
        main_lacks_configuration(&options, command->flags & MAIN_ASKS)) {
        log_err("there is no %s; name your configuration with -c FILE", options.source.file);
        return EX_CONFIG;
    }
    return command->run(&options);
}
