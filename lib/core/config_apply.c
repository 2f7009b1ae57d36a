// Values of the tree into their structs, along the table of keys. See config_reader.h.
#include "lib/core/config_reader.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/core/alloc.h"
#include "lib/core/config_value.h"
#include "lib/core/timeutil.h"

void config_list_add(struct config_list *list, char *item)
{
    list->items = xreallocarray(list->items, list->count + 1, sizeof(*list->items));
    list->items[list->count++] = item;
}

void config_list_fini(struct config_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct config_list){0};
}

char *config_text(struct config_reader *reader, const struct config_node *node)
{
    if (node->kind != CONFIG_NODE_SCALAR) {
        config_fail(reader, node, "one value is expected here");
        return NULL;
    }
    if (node->is_null) {
        config_fail(reader, node, "has no value");
        return NULL;
    }
    char *reason = NULL;
    char *text = config_expand(node->text, &reason);
    if (text == NULL) {
        config_fail(reader, node, "%s", reason);
        free(reason);
    } else if (config_has_control(text)) {
        config_fail(reader, node, "control characters are not allowed");
        free(text);
        text = NULL;
    }
    return text;
}

char *config_resolve(const char *file, const char *path)
{
    if (*path == '/')
        return xstrdup(path);
    const char *slash = strrchr(file, '/');
    char *directory = slash ? xstrndup(file, (size_t)(slash - file) + 1) : xstrdup("");
    char *joined = xasprintf("%s%s", directory, path);
    free(directory);
    char *cwd = *joined == '/' ? NULL : get_current_dir_name();
    if (cwd != NULL) {
        char *absolute = xasprintf("%s/%s", cwd, joined);
        free(joined);
        joined = absolute;
    }
    free(cwd);
    return joined;
}

static void config_set_string(void *target, char *value)
{
    char **string = target;
    free(*string);
    *string = value;
}

// Stores a scalar of a plain type from its text. Returns NULL, or a reason (allocated).
static char *config_store(
    const struct config_key *key, const char *text, const char *file, void *target)
{
    char *reason = NULL;
    switch (key->type) {
    case CONFIG_TYPE_STRING:
        if (*text == '\0')
            return xstrdup("must not be empty");
        config_set_string(target, xstrdup(text));
        break;
    case CONFIG_TYPE_PATH:
    case CONFIG_TYPE_PROGRAM:
        if (*text == '\0')
            return xstrdup("must not be empty");
        if (key->type == CONFIG_TYPE_PROGRAM && strchr(text, '/') == NULL)
            config_set_string(target, xstrdup(text));
        else
            config_set_string(target, config_resolve(file, text));
        break;
    case CONFIG_TYPE_LISTEN: {
        char *listen = config_listen_parse(text, &reason);
        if (listen != NULL)
            config_set_string(target, listen);
        break;
    }
    case CONFIG_TYPE_DURATION: {
        int64_t value;
        char least[TIME_TEXT_SIZE], most[TIME_TEXT_SIZE];
        config_duration_format(key->min, least);
        config_duration_format(key->max, most);
        if (!config_duration_parse(text, &value))
            return xasprintf(
                "\"%s\" is not a duration: a whole number with ms, s, m, h or d", text);
        if (value < key->min || value > key->max)
            return xasprintf(
                "\"%s\" is out of range: from %s to %s are allowed", text, least, most);
        *(int64_t *)target = value;
        break;
    }
    case CONFIG_TYPE_AMOUNT:
        if (!config_amount_parse(text, target))
            return xasprintf("\"%s\" is neither a percentage below 100 nor a size: a whole number "
                             "with %%, B, KiB, MiB, GiB or TiB",
                text);
        break;
    case CONFIG_TYPE_SIZE: {
        struct config_amount amount;
        if (!config_amount_parse(text, &amount) || amount.is_percent)
            return xasprintf(
                "\"%s\" is not a size: a whole number with B, KiB, MiB, GiB or TiB", text);
        *(int64_t *)target = amount.value;
        break;
    }
    case CONFIG_TYPE_BOOL:
        if (!config_bool_parse(text, target))
            return xasprintf("\"%s\" is neither true nor false", text);
        break;
    default:
        abort();
    }
    return reason;
}

void *config_target(const struct config_key *key, const struct config_place *place)
{
    char *base = place->base[key->target];
    return base ? base + key->offset : NULL;
}

static void config_apply_scalar(struct config_reader *reader, const struct config_key *key,
    const struct config_node *node, const struct config_place *place)
{
    char *text = config_text(reader, node);
    if (text == NULL)
        return;
    char *reason = config_store(key, text, node->file, config_target(key, place));
    if (reason != NULL)
        config_fail(reader, node, "%s", reason);
    free(reason);
    free(text);
}

static char *config_choice_names(const struct config_choice *choice)
{
    struct buf names = BUF_INIT;
    for (; choice->name != NULL; choice++)
        buf_printf(&names, "%s%s", names.size ? ", " : "", choice->name);
    return buf_string(&names);
}

// Finds a choice by its word. Returns NULL, or a reason (allocated).
static char *config_choice_store(const struct config_key *key, const char *text, void *target)
{
    for (const struct config_choice *choice = key->choices; choice->name != NULL; choice++) {
        if (strcmp(choice->name, text) != 0)
            continue;
        if (target != NULL)
            *(int *)target = choice->value;
        return NULL;
    }
    char *names = config_choice_names(key->choices);
    char *reason = xasprintf("\"%s\" is not one of: %s", text, names);
    free(names);
    return reason;
}

static void config_apply_choice(struct config_reader *reader, const struct config_key *key,
    const struct config_node *node, const struct config_place *place)
{
    char *text = config_text(reader, node);
    if (text == NULL)
        return;
    char *reason = config_choice_store(key, text, config_target(key, place));
    if (reason != NULL)
        config_fail(reader, node, "%s", reason);
    free(reason);
    free(text);
}

static void config_apply_list(struct config_reader *reader, const struct config_key *key,
    const struct config_node *node, const struct config_place *place)
{
    if (node->kind != CONFIG_NODE_SEQUENCE) {
        config_fail(reader, node, "a list is expected here");
        return;
    }
    struct config_list *list = config_target(key, place);
    for (size_t i = 0; i < node->count && reader->cause == NULL; i++) {
        char *text = config_text(reader, node->children[i]);
        if (text != NULL)
            config_list_add(list, text);
    }
}

static const char *config_option_reason(const char *name)
{
    static const struct {
        const char *name;
        const char *reason;
    } own[] = {
        {"rtsp_transport", "use transport: for this"},
        {"timeout", "use timeout: for this"},
        {"allowed_media_types", "use audio: for this"},
    };
    name += *name == '-';
    if (*name == '\0' ||
        name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")] != 0)
        return "names and values must alternate, and this is not an option's name";
    for (size_t i = 0; i < ARRAY_LENGTH(own); i++) {
        if (strcmp(own[i].name, name) == 0)
            return own[i].reason;
    }
    return NULL;
}

static void config_apply_options(struct config_reader *reader, const struct config_key *key,
    const struct config_node *node, const struct config_place *place)
{
    config_apply_list(reader, key, node, place);
    const struct config_list *list = config_target(key, place);
    for (size_t i = 0; reader->cause == NULL && i < list->count; i += 2) {
        const char *reason = config_option_reason(list->items[i]);
        if (reason != NULL)
            config_fail(reader, node->children[i], "%s", reason);
    }
    if (reader->cause == NULL && list->count % 2 != 0)
        config_fail(reader, node, "names and values must alternate, and the last has no value");
}

// Keeps each origin as browsers write it.
static void config_apply_origins(struct config_reader *reader, const struct config_key *key,
    const struct config_node *node, const struct config_place *place)
{
    config_apply_list(reader, key, node, place);
    struct config_list *list = config_target(key, place);
    for (size_t i = 0; reader->cause == NULL && i < list->count; i++) {
        char *origin = config_origin_parse(list->items[i]);
        if (origin == NULL) {
            config_fail(reader, node->children[i],
                "\"%s\" is not an origin: scheme, host and port alone, as "
                "https://nvr.example.org or http://192.0.2.7:8123",
                list->items[i]);
            return;
        }
        free(list->items[i]);
        list->items[i] = origin;
    }
}

static void config_apply_inner(struct config_reader *reader, const struct config_key *key,
    const struct config_node *node, const struct config_place *place)
{
    if (!node->is_null)
        config_apply_map(reader, node, key->inner, place);
}

void config_apply_defaults(enum config_target target, void *base)
{
    for (const struct config_key *key = config_table; key->name != NULL; key++) {
        if (key->target != target || key->fallback == NULL)
            continue;
        void *place = (char *)base + key->offset;
        char *reason = key->type == CONFIG_TYPE_CHOICE
                           ? config_choice_store(key, key->fallback, place)
                           : config_store(key, key->fallback, "/", place);
        if (reason != NULL)
            abort(); // the table contradicts itself
    }
}

static const config_apply_fn config_apply_table[CONFIG_TYPE_COUNT] = {
    [CONFIG_TYPE_MAP] = config_apply_inner,
    [CONFIG_TYPE_VOLUMES] = config_apply_volumes,
    [CONFIG_TYPE_CAMERAS] = config_apply_cameras,
    [CONFIG_TYPE_STREAMS] = config_apply_streams,
    [CONFIG_TYPE_INCLUDE] = config_apply_include,
    [CONFIG_TYPE_STRING] = config_apply_scalar,
    [CONFIG_TYPE_PATH] = config_apply_scalar,
    [CONFIG_TYPE_PROGRAM] = config_apply_scalar,
    [CONFIG_TYPE_LISTEN] = config_apply_scalar,
    [CONFIG_TYPE_DURATION] = config_apply_scalar,
    [CONFIG_TYPE_AMOUNT] = config_apply_scalar,
    [CONFIG_TYPE_SIZE] = config_apply_scalar,
    [CONFIG_TYPE_BOOL] = config_apply_scalar,
    [CONFIG_TYPE_CHOICE] = config_apply_choice,
    [CONFIG_TYPE_LIST] = config_apply_list,
    [CONFIG_TYPE_OPTIONS] = config_apply_options,
    [CONFIG_TYPE_ORIGINS] = config_apply_origins,
    [CONFIG_TYPE_SECRET] = config_apply_secret,
    [CONFIG_TYPE_SECRET_FILE] = config_apply_secret_file,
    [CONFIG_TYPE_HOOK] = config_apply_hook,
    [CONFIG_TYPE_COMMAND] = config_apply_command,
    [CONFIG_TYPE_WEBHOOK] = config_apply_webhook,
};

static void config_fail_unknown(
    struct config_reader *reader, const struct config_node *node, enum config_scope scope)
{
    const char *near = config_table_suggest(node->key, scope);
    const char *place = config_table_place(node->key);
    if (scope == CONFIG_SCOPE_INCLUDED)
        config_fail_at(reader, node, true, "only cameras: may stand in an included file");
    else if (place != NULL)
        config_fail_at(reader, node, true, "is not allowed here; its place is %s", place);
    else if (near != NULL)
        config_fail_at(reader, node, true, "unknown key; did you mean \"%s\"?", near);
    else
        config_fail_at(reader, node, true, "unknown key");
}

void config_apply_map(struct config_reader *reader, const struct config_node *map,
    enum config_scope scope, const struct config_place *place)
{
    if (map->kind != CONFIG_NODE_MAPPING) {
        config_fail(reader, map, "keys with values are expected here");
        return;
    }
    for (size_t i = 0; i < map->count && reader->cause == NULL; i++) {
        const struct config_key *key = config_table_find(map->children[i]->key, scope);
        if (key == NULL)
            config_fail_unknown(reader, map->children[i], scope);
        else if (key->type == CONFIG_TYPE_PLANNED)
            config_fail_at(reader, map->children[i], true, "is not supported by this version");
    }
    for (const struct config_key *key = config_table; key->name && reader->cause == NULL; key++) {
        const struct config_node *node =
            key->scopes & scope ? config_node_find(map, key->name) : NULL;
        if (node != NULL)
            config_apply_table[key->type](reader, key, node, place);
    }
}
