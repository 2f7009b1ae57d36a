// keepframe-webui: plays and hands out footage over HTTP.
#include <stdbool.h>
#include <stdlib.h>

#include "lib/core/log.h"
#include "lib/core/options.h"
#include "webui/service.h"

struct command_options {
    const char *runtime;
    const char *address_file;
    bool debug;
};

static int command_run(const struct command_options *options)
{
    return service_run(options->runtime, options->address_file);
}

static const struct options_command main_commands[] = {
    {"run", .help = "serve, until SIGTERM or SIGINT", .run = command_run},
    {.name = NULL},
};

#define TO(member) .offset = offsetof(struct command_options, member)

static const struct options_option main_options[] = {
    {"runtime", .argument = "DIR", TO(runtime),
        .help = "where the sockets are, as of the configuration's key\nruntime (/run/keepframe)"},
    {"address-file", .argument = "FILE", TO(address_file),
        .help = "where it tells its address (DIR/webui.address)"},
    {"debug", TO(debug), .help = "say more in the log"},
    {.name = NULL},
};

static const struct options_table main_table = {
    "keepframe-webui",
    main_commands,
    main_options,
    "Plays and hands out footage over HTTP. Reads DIR/webui.json, which the supervisor writes.\n"
    "See keepframe-webui(1).\n",
};

int main(int argc, char **argv)
{
    struct command_options options = {.runtime = "/run/keepframe"};
    char **arguments;
    int code;
    const struct options_command *command =
        options_parse(&main_table, argc, argv, &options, &arguments, &code);
    if (command == NULL)
        return code;
    log_open("keepframe-webui", options.debug);
    return command->run(&options);
}
