// keepframe-indexer: reads its arguments and runs the service.
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "indexer/reconcile_command.h"
#include "indexer/reindex.h"
#include "indexer/service.h"
#include "indexer/verify.h"
#include "lib/core/alloc.h"
#include "lib/core/config.h"
#include "lib/core/ctl.h"
#include "lib/core/log.h"
#include "lib/core/options.h"

#define MAIN_CONFIG "/etc/keepframe/keepframe.yaml"

struct command_options {
    struct config_source source;
    bool debug;
    bool dry_run;
    bool force;
    const char *unseal;
    const char *output;
    char **arguments; // the command's own
};

static struct config *command_load(const struct command_options *options)
{
    char *cause = NULL;
    struct config *config = config_load(&options->source, &cause);
    if (config == NULL)
        log_err("%s", cause);
    free(cause);
    return config;
}

static int command_run(const struct command_options *options)
{
    char *cause = NULL;
    struct config *config = command_load(options);
    if (config == NULL)
        return EX_CONFIG;
    struct service *service = service_new(&options->source, config, &cause);
    if (service == NULL) {
        log_err("%s", cause);
        free(cause);
        return EXIT_FAILURE;
    }
    service_run(service);
    service_free(service);
    return EXIT_SUCCESS;
}

static int command_reconcile(const struct command_options *options)
{
    struct config *config = command_load(options);
    if (config == NULL)
        return EX_CONFIG;
    int code = reconcile_command(config, options->dry_run, options->force);
    config_free(config);
    return code;
}

static int command_reindex(const struct command_options *options)
{
    struct config *config = command_load(options);
    if (config == NULL)
        return EX_CONFIG;
    int code = reindex_run(config);
    config_free(config);
    return code;
}

static int command_verify(const struct command_options *options)
{
    const char *name = options->arguments[0];
    if ((options->unseal == NULL) != (options->output == NULL) || (options->unseal && name)) {
        log_err("verify: --unseal ID and -o FILE go together, and without CAMERA");
        return EX_USAGE;
    }
    struct config *config = command_load(options);
    if (config == NULL)
        return EX_CONFIG;
    int code = options->unseal ? verify_unseal(config, options->unseal, options->output)
                               : verify_run(config, name);
    config_free(config);
    return code;
}

// Asks the running indexer. The path is made absolute here: it is meant from where one stands.
static json_t *command_volume_ask(const struct config *config, const char *directory, char **cause)
{
    char path[PATH_MAX];
    if (realpath(directory, path) == NULL)
        snprintf(path, sizeof(path), "%s", directory); // the answer says what is wrong with it
    json_t *request = json_pack("{s:s, s:s}", "command", "volume_add", "path", path);
    char *server = xasprintf("%s/indexer.sock", config->runtime);
    json_t *result = request ? ctl_call(server, request, CTL_COMMAND_TIMEOUT_MS, cause) : NULL;
    if (request == NULL)
        *cause = xstrdup("the path is not UTF-8 text");
    json_decref(request);
    free(server);
    return result;
}

static int command_volume(const struct command_options *options)
{
    json_t *hint;
    size_t index;
    char *cause = NULL;
    if (strcmp(options->arguments[0], "add") != 0) {
        log_err("volume: \"%s\" is not known; use: volume add PATH", options->arguments[0]);
        return EX_USAGE;
    }
    struct config *config = command_load(options);
    if (config == NULL)
        return EX_CONFIG;
    json_t *result = command_volume_ask(config, options->arguments[1], &cause);
    config_free(config);
    if (result == NULL) {
        log_err("volume add: %s", cause);
        free(cause);
        return EXIT_FAILURE;
    }
    const char *path = "", *uuid = "", *device = "";
    json_unpack(result, "{s:s, s:s, s:s}", "path", &path, "uuid", &uuid, "device", &device);
    printf("%s is volume %s, on device %s\n", path, uuid, device);
    json_array_foreach(json_object_get(result, "hints"), index, hint)
        printf("%s\n", json_string_value(hint));
    json_decref(result);
    return EXIT_SUCCESS;
}

static const struct options_command main_commands[] = {
    {"run", .help = "file what is recorded, until SIGTERM or SIGINT", .run = command_run},
    {"reconcile", .help = "have the running indexer hold catalog and volumes against each other",
        .run = command_reconcile},
    {"reindex", .help = "make the catalog anew from the bare volumes", .run = command_reindex},
    {"verify", "[CAMERA[/STREAM]]", 0, 1, "read filed footage again and name the damaged moments",
        .run = command_verify},
    {"volume", "add PATH", 2, 2, "make a directory one of the catalog's volumes",
        .run = command_volume},
    {.name = NULL},
};

#define TO(member) .offset = offsetof(struct command_options, member)

static const struct options_option main_options[] = {
    {"config", 'c', "FILE", TO(source.file), .help = "the configuration (" MAIN_CONFIG ")"},
    {"data", .argument = "DIR", TO(source.data),
        .help = "default of database, cache, volume and runtime"},
    {"runtime", .argument = "DIR", TO(source.runtime), .help = "where the control socket is made"},
    {"dry-run", .commands = "reconcile", TO(dry_run), .help = "only tell what would be changed"},
    {"force", .commands = "reconcile", TO(force),
        .help = "even if more than half of a volume's files are gone"},
    {"unseal", .argument = "ID", .commands = "verify", TO(unseal),
        .help = "write one segment as the recorder wrote it instead"},
    {"output", 'o', "FILE", "verify", TO(output), .help = "where to; it must not be there yet"},
    {"debug", TO(debug), .help = "log every step"},
    {.name = NULL},
};

static const struct options_table main_table = {
    "keepframe-indexer",
    main_commands,
    main_options,
    "Files what the recorders write into the cache: parses, seals and indexes each finished\n"
    "segment, and keeps the disks within their limits. Started by `keepframe run`.\n"
    "See keepframe-indexer(1).\n",
};

int main(int argc, char **argv)
{
    struct command_options options = {.source.file = MAIN_CONFIG};
    int code;
    const struct options_command *command =
        options_parse(&main_table, argc, argv, &options, &options.arguments, &code);
    if (command == NULL)
        return code;
    log_open("keepframe-indexer", options.debug);
    tzset();
    return command->run(&options);
}
