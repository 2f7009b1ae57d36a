// `keepframe-indexer reconcile`. See reconcile_command.h.
#include "indexer/reconcile_command.h"

#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "lib/core/alloc.h"
#include "lib/core/config.h"
#include "lib/core/ctl.h"
#include "lib/core/log.h"

enum {
    RECONCILE_COMMAND_TIMEOUT_MS = 30000,
};

static long long reconcile_number(const json_t *result, const char *key)
{
    return (long long)json_integer_value(json_object_get(result, key));
}

static int reconcile_print(const json_t *result)
{
    bool dry = json_is_true(json_object_get(result, "dry_run"));
    bool braked = json_is_true(json_object_get(result, "braked"));
    const char *trouble = json_string_value(json_object_get(result, "trouble"));
    printf("%lld directories\n", reconcile_number(result, "directories"));
    printf("%lld files without a row%s\n", reconcile_number(result, dry ? "files" : "indexed"),
        dry ? "" : ": indexed");
    printf("%lld rows without their file%s\n", reconcile_number(result, "missing"),
        dry      ? ""
        : braked ? ": left as they are, more than half would go (see --force)"
                 : ": missing footage now");
    printf("%lld other names, left alone\n", reconcile_number(result, "unknown"));
    if (trouble != NULL)
        log_err("%s", trouble);
    return trouble == NULL && (dry || !braked) ? EXIT_SUCCESS : EXIT_FAILURE;
}

int reconcile_command(const struct config *config, bool dry_run, bool force)
{
    char *cause = NULL, *path = xasprintf("%s/indexer.sock", config->runtime);
    json_t *request =
        json_pack("{s:s, s:b, s:b}", "command", "reconcile", "dry_run", dry_run, "force", force);
    json_t *result = ctl_call(path, request, RECONCILE_COMMAND_TIMEOUT_MS, &cause);
    while (result != NULL && json_is_true(json_object_get(result, "running"))) {
        json_decref(result);
        json_object_set_new(request, "command", json_string("reconcile_wait"));
        result = ctl_call(path, request, RECONCILE_COMMAND_TIMEOUT_MS, &cause);
    }
    int code = EXIT_FAILURE;
    if (result != NULL)
        code = reconcile_print(result);
    else
        log_err("the indexer can not be asked: %s", cause);
    json_decref(result);
    json_decref(request);
    free(cause);
    free(path);
    return code;
}
