// keepframe-webui: plays and hands out footage over HTTP.
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/log.h"
#include "webui/service.h"

enum {
    MAIN_USAGE = 64, // EX_USAGE of sysexits.h
};

static const char usage[] =
    "usage: keepframe-webui run --runtime DIR [--debug]\n"
    "\n"
    "Plays and hands out footage over HTTP. Reads DIR/webui.json, which the supervisor\n"
    "writes, and tells where it listens in DIR/webui.address.\n"
    "\n"
    "      --runtime DIR  where the sockets are, as of the configuration's key runtime\n"
    "      --debug        say more in the log\n"
    "  -h, --help         print this and end\n"
    "      --version      print the version and end\n";

static int main_refuse(const char *reason, const char *what)
{
    fprintf(stderr, "keepframe-webui: %s%s\n%s", reason, what, usage);
    return MAIN_USAGE;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"runtime", required_argument, NULL, 'r'},
        {"debug", no_argument, NULL, 'd'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {0},
    };
    const char *runtime = NULL;
    bool debug = false;
    for (int option; (option = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        switch (option) {
        case 'r':
            runtime = optarg;
            break;
        case 'd':
            debug = true;
            break;
        case 'h':
            fputs(usage, stdout);
            return 0;
        case 'V':
            puts("keepframe-webui " KEEPFRAME_VERSION);
            return 0;
        default:
            fputs(usage, stderr);
            return MAIN_USAGE;
        }
    }
    if (argc - optind != 1 || strcmp(argv[optind], "run") != 0)
        return main_refuse("the one command is: ", "run");
    if (runtime == NULL)
        return main_refuse("--runtime DIR is missing", "");
    log_open("keepframe-webui", debug);
    return service_run(runtime);
}
