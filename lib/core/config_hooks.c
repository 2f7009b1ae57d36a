// Hooks: what is run when something happens to a stream. See config_reader.h. No message repeats a
// webhook's address: tokens stand in many.
#include "lib/core/config_reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/core/alloc.h"
#include "lib/core/config_value.h"

enum {
    CONFIG_HOOK_URL_LENGTH_MAX = 2048,
    CONFIG_HOOK_ARGUMENTS_MAX = 64,
};

void config_apply_hook(struct config_reader *reader, const struct config_key *key,
    const struct config_node *node, const struct config_place *place)
{
    struct config *config = reader->config;
    const struct config_hook **target = config_target(key, place);
    *target = NULL;
    if (node->is_null || (node->kind == CONFIG_NODE_MAPPING && node->count == 0))
        return;
    struct config_hook *hook = xcalloc(1, sizeof(*hook));
    ARRAY_RESERVE(config->hooks, config->hook_count, config->hook_capacity);
    config->hooks[config->hook_count++] = hook;
    config_apply_defaults(CONFIG_TARGET_HOOK, hook);
    const struct config_place inner = {.base = {[CONFIG_TARGET_HOOK] = hook}};
    config_apply_map(reader, node, key->inner, &inner);
    if (reader->cause == NULL && config_node_find(node, "command") == NULL &&
        config_node_find(node, "url") == NULL)
        config_fail(reader, node, "command: or url: is missing; {} stands for no hook");
    *target = hook;
}

// Tells who checks the configuration of a program that is not there; it may come later.
static void config_warn_missing(
    struct config_reader *reader, const struct config_node *node, const char *program)
{
    if (reader->source->flags & CONFIG_SECRETS && strchr(program, '/') && access(program, X_OK) < 0)
        config_list_add(&reader->config->warnings,
            config_node_cause(node, false, "%s can not be executed: %s", program, strerror(errno)));
}

void config_apply_command(struct config_reader *reader, const struct config_key *key,
    const struct config_node *node, const struct config_place *place)
{
    struct config_list *command = config_target(key, place);
    if (node->kind != CONFIG_NODE_SEQUENCE || node->count == 0) {
        config_fail(reader, node,
            "a list is expected here, as [/usr/local/bin/alarm, down]: no shell takes a line "
            "apart");
        return;
    }
    if (node->count > CONFIG_HOOK_ARGUMENTS_MAX) {
        config_fail(reader, node, "at most %d words are possible", CONFIG_HOOK_ARGUMENTS_MAX);
        return;
    }
    for (size_t i = 0; i < node->count && reader->cause == NULL; i++) {
        char *text = config_text(reader, node->children[i]);
        if (text == NULL)
            return;
        if (i > 0 || strchr(text, '/') == NULL) {
            config_list_add(command, text);
        } else {
            config_list_add(command, config_resolve(node->file, text));
            free(text);
        }
    }
    if (reader->cause == NULL && *command->items[0] == '\0')
        config_fail(reader, node->children[0], "the program's name is empty");
    if (reader->cause == NULL)
        config_warn_missing(reader, node->children[0], command->items[0]);
}

void config_apply_webhook(struct config_reader *reader, const struct config_key *key,
    const struct config_node *node, const struct config_place *place)
{
    char **url = config_target(key, place);
    if (!(reader->source->flags & CONFIG_SECRETS))
        return;
    char *text = config_text(reader, node);
    if (text == NULL)
        return;
    const char *reason = config_webhook_check(text);
    if (strlen(text) > CONFIG_HOOK_URL_LENGTH_MAX)
        config_fail(reader, node, "is longer than %d bytes", CONFIG_HOOK_URL_LENGTH_MAX);
    else if (reason != NULL)
        config_fail(reader, node, "%s", reason);
    free(*url);
    *url = text;
}
