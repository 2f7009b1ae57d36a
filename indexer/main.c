// keepframe-indexer: reads its arguments and runs the service.
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "indexer/service.h"
#include "lib/core/config.h"
#include "lib/core/log.h"

enum {
    EXIT_USAGE = 64,
    EXIT_CONFIG = 78,
};

static const char usage_text[] =
    "usage: keepframe-indexer run [-c FILE] [--data DIR] [--runtime DIR] [--debug]\n"
    "\n"
    "Files what the recorders write into the cache: parses, seals and indexes each finished\n"
    "segment, and keeps the disks within their limits. Started by `keepframe run`.\n"
    "\n"
    "  -c, --config FILE   the configuration (/etc/keepframe/keepframe.yaml)\n"
    "      --data DIR      default of database, cache, volume and runtime\n"
    "      --runtime DIR   where the control socket is made\n"
    "      --debug         log every step\n"
    "  -h, --help          this text\n"
    "      --version       the version\n";

struct options {
    struct config_source source;
    bool debug;
};

static int main_usage(const char *reason)
{
    if (reason != NULL)
        fprintf(stderr, "keepframe-indexer: %s\n", reason);
    fputs(usage_text, stderr);
    return EXIT_USAGE;
}

// Returns -1 when the program shall go on, else its exit status.
static int main_parse(int argc, char **argv, struct options *options)
{
    enum {
        OPTION_DATA = 256,
        OPTION_RUNTIME,
        OPTION_DEBUG,
        OPTION_VERSION,
    };
    static const struct option table[] = {
        {"config", required_argument, NULL, 'c'},
        {"data", required_argument, NULL, OPTION_DATA},
        {"runtime", required_argument, NULL, OPTION_RUNTIME},
        {"debug", no_argument, NULL, OPTION_DEBUG},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, OPTION_VERSION},
        {0},
    };
    for (int option; (option = getopt_long(argc, argv, "c:h", table, NULL)) != -1;) {
        switch (option) {
        case 'c':
            options->source.file = optarg;
            break;
        case OPTION_DATA:
            options->source.data = optarg;
            break;
        case OPTION_RUNTIME:
            options->source.runtime = optarg;
            break;
        case OPTION_DEBUG:
            options->debug = true;
            break;
        case 'h':
            fputs(usage_text, stdout);
            return EXIT_SUCCESS;
        case OPTION_VERSION:
            puts("keepframe-indexer " KEEPFRAME_VERSION);
            return EXIT_SUCCESS;
        default:
            return main_usage(NULL);
        }
    }
    if (optind != argc - 1 || strcmp(argv[optind], "run") != 0)
        return main_usage("the one command is: run");
    return -1;
}

int main(int argc, char **argv)
{
    struct options options = {.source.file = "/etc/keepframe/keepframe.yaml"};
    int status = main_parse(argc, argv, &options);
    if (status >= 0)
        return status;
    log_open("keepframe-indexer", options.debug);
    tzset();

    char *cause = NULL;
    struct config *config = config_load(&options.source, &cause);
    if (config == NULL) {
        log_err("%s", cause);
        free(cause);
        return EXIT_CONFIG;
    }
    struct service *service = service_new(&options.source, config, &cause);
    if (service == NULL) {
        log_err("%s", cause);
        free(cause);
        return EXIT_FAILURE;
    }
    service_run(service);
    service_free(service);
    return EXIT_SUCCESS;
}
