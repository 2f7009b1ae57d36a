// A YAML file as a tree. See config_tree.h.
#include "lib/core/config_tree.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "lib/core/alloc.h"
#include "lib/core/buf.h"
#include "lib/core/fsutil.h"

enum {
    CONFIG_FILE_SIZE_MAX = 8 * 1024 * 1024,
    CONFIG_DEPTH_MAX = 16,
};

struct config_builder {
    const char *file;
    yaml_parser_t yaml;
    struct config_node *root;
    struct config_node *open; // the innermost collection that is not yet ended
    char *key;                // of the mapping `open`, read and waiting for its value
    yaml_mark_t key_mark;
    int depth;
    char *cause;
};

void config_tree_free(struct config_node *root)
{
    if (root == NULL)
        return;
    for (size_t i = 0; i < root->count; i++)
        config_tree_free(root->children[i]);
    free(root->children);
    free(root->key);
    free(root->text);
    free(root);
}

const struct config_node *config_node_find(const struct config_node *mapping, const char *key)
{
    for (size_t i = 0; i < mapping->count; i++) {
        if (strcmp(mapping->children[i]->key, key) == 0)
            return mapping->children[i];
    }
    return NULL;
}

// A key that does not look like one may be a value whose ':' lacks its space, so it may hold a
// password: it is not repeated.
static bool config_key_printable(const char *key)
{
    size_t length = strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
    return length > 0 && length <= 64 && key[length] == '\0';
}

static void config_node_path(const struct config_node *node, struct buf *path)
{
    if (node->parent == NULL)
        return;
    config_node_path(node->parent, path);
    if (node->key == NULL) {
        buf_printf(path, "[%zu]", node->index);
        return;
    }
    const char *key = config_key_printable(node->key) ? node->key : "(no key name)";
    buf_printf(path, "%s%s", path->size ? "." : "", key);
}

char *config_node_cause(const struct config_node *node, bool at_key, const char *format, ...)
{
    struct buf path = BUF_INIT;
    config_node_path(node, &path);
    va_list args;
    va_start(args, format);
    char *reason = xvasprintf(format, args);
    va_end(args);
    at_key = at_key && node->key != NULL;
    char *cause = xasprintf("%s:%d:%d: %s%s%s", node->file, at_key ? node->key_line : node->line,
        at_key ? node->key_column : node->column, buf_string(&path), path.size ? ": " : "", reason);
    free(reason);
    buf_fini(&path);
    return cause;
}

static void config_builder_fail(
    struct config_builder *builder, const yaml_mark_t *mark, const char *reason)
{
    if (builder->cause == NULL)
        builder->cause =
            xasprintf("%s:%zu:%zu: %s", builder->file, mark->line + 1, mark->column + 1, reason);
}

static void config_builder_fail_yaml(struct config_builder *builder)
{
    const yaml_parser_t *yaml = &builder->yaml;
    bool in_reader = yaml->error == YAML_READER_ERROR;
    char *reason = xasprintf("not valid YAML: %s%s%s", yaml->problem ? yaml->problem : "no memory",
        yaml->context ? " " : "", yaml->context ? yaml->context : "");
    config_builder_fail(builder, in_reader ? &yaml->mark : &yaml->problem_mark, reason);
    free(reason);
}

static void config_builder_attach(struct config_builder *builder, struct config_node *node)
{
    struct config_node *open = builder->open;
    node->parent = open;
    if (open == NULL) {
        builder->root = node;
        return;
    }
    node->key = builder->key;
    node->key_line = (int)builder->key_mark.line + 1;
    node->key_column = (int)builder->key_mark.column + 1;
    builder->key = NULL;
    ARRAY_RESERVE(open->children, open->count, open->capacity);
    node->index = open->count;
    open->children[open->count++] = node;
}

static struct config_node *config_builder_add(
    struct config_builder *builder, enum config_node_kind kind, const yaml_event_t *event)
{
    struct config_node *node = xcalloc(1, sizeof(*node));
    node->kind = kind;
    node->file = builder->file;
    node->line = (int)event->start_mark.line + 1;
    node->column = (int)event->start_mark.column + 1;
    config_builder_attach(builder, node);
    return node;
}

static void config_builder_scalar(struct config_builder *builder, const yaml_event_t *event)
{
    const char *text = (const char *)event->data.scalar.value;
    if (strlen(text) != event->data.scalar.length) {
        config_builder_fail(builder, &event->start_mark, "a NUL character is not allowed");
        return;
    }
    if (builder->open != NULL && builder->open->kind == CONFIG_NODE_MAPPING &&
        builder->key == NULL) {
        builder->key = xstrdup(text);
        builder->key_mark = event->start_mark;
        return;
    }
    struct config_node *node = config_builder_add(builder, CONFIG_NODE_SCALAR, event);
    node->text = xstrdup(text);
    node->is_null = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
                    (*text == '\0' || strcmp(text, "~") == 0 || strcasecmp(text, "null") == 0);
}

static void config_builder_begin(
    struct config_builder *builder, enum config_node_kind kind, const yaml_event_t *event)
{
    if (builder->open != NULL && builder->open->kind == CONFIG_NODE_MAPPING &&
        builder->key == NULL) {
        config_builder_fail(builder, &event->start_mark, "a key must be a plain word");
        return;
    }
    if (++builder->depth > CONFIG_DEPTH_MAX) {
        config_builder_fail(builder, &event->start_mark, "nested too deeply");
        return;
    }
    builder->open = config_builder_add(builder, kind, event);
}

static bool config_event_is_special(const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return event->data.scalar.anchor != NULL || event->data.scalar.tag != NULL;
    case YAML_SEQUENCE_START_EVENT:
        return event->data.sequence_start.anchor != NULL || event->data.sequence_start.tag != NULL;
    case YAML_MAPPING_START_EVENT:
        return event->data.mapping_start.anchor != NULL || event->data.mapping_start.tag != NULL;
    default:
        return event->type == YAML_ALIAS_EVENT;
    }
}

// Takes one event. Returns false at the end of the stream.
static bool config_builder_event(struct config_builder *builder, const yaml_event_t *event)
{
    if (config_event_is_special(event)) {
        config_builder_fail(builder, &event->start_mark,
            "YAML anchors, aliases and tags are not supported; what cameras have in common "
            "stands under recording:");
        return false;
    }
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (builder->root != NULL)
            config_builder_fail(
                builder, &event->start_mark, "a second YAML document is not allowed");
        break;
    case YAML_SCALAR_EVENT:
        config_builder_scalar(builder, event);
        break;
    case YAML_SEQUENCE_START_EVENT:
        config_builder_begin(builder, CONFIG_NODE_SEQUENCE, event);
        break;
    case YAML_MAPPING_START_EVENT:
        config_builder_begin(builder, CONFIG_NODE_MAPPING, event);
        break;
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        builder->depth--;
        builder->open = (struct config_node *)builder->open->parent;
        break;
    default:
        break;
    }
    return builder->cause == NULL && event->type != YAML_STREAM_END_EVENT;
}

static int config_node_compare_keys(const void *a, const void *b)
{
    const struct config_node *left = *(struct config_node *const *)a;
    const struct config_node *right = *(struct config_node *const *)b;
    int order = strcmp(left->key, right->key);
    return order ? order : (left->index > right->index) - (left->index < right->index);
}

// Finds a key that a mapping has twice. Returns a cause, or NULL.
static char *config_tree_check_keys(const struct config_node *node)
{
    char *cause = NULL;
    if (node->kind == CONFIG_NODE_MAPPING && node->count > 1) {
        struct config_node **sorted =
            xreallocarray(NULL, node->count, sizeof(struct config_node *));
        memcpy(sorted, node->children, node->count * sizeof(struct config_node *));
        qsort(sorted, node->count, sizeof(struct config_node *), config_node_compare_keys);
        for (size_t i = 1; i < node->count && cause == NULL; i++) {
            if (strcmp(sorted[i]->key, sorted[i - 1]->key) == 0)
                cause = config_node_cause(sorted[i], true,
                    "is here twice; the first stands in line %d", sorted[i - 1]->key_line);
        }
        free(sorted);
    }
    for (size_t i = 0; i < node->count && cause == NULL; i++)
        cause = config_tree_check_keys(node->children[i]);
    return cause;
}

static void config_builder_check(struct config_builder *builder)
{
    if (builder->cause != NULL)
        return;
    const struct config_node *root = builder->root;
    if (root == NULL || root->is_null)
        builder->cause = xasprintf("%s:1:1: the file is empty", builder->file);
    else if (root->kind != CONFIG_NODE_MAPPING)
        builder->cause =
            config_node_cause(root, false, "the file must consist of lines such as \"key: value\"");
    else
        builder->cause = config_tree_check_keys(root);
}

struct config_node *config_tree_parse(const char *file, const char *data, size_t size, char **cause)
{
    struct config_builder builder = {.file = file};
    if (!yaml_parser_initialize(&builder.yaml)) {
        *cause = xasprintf("%s: the YAML parser can not be set up", file);
        return NULL;
    }
    yaml_parser_set_input_string(&builder.yaml, (const unsigned char *)data, size);
    for (bool more = true; more;) {
        yaml_event_t event;
        if (!yaml_parser_parse(&builder.yaml, &event)) {
            config_builder_fail_yaml(&builder);
            break;
        }
        more = config_builder_event(&builder, &event);
        yaml_event_delete(&event);
    }
    config_builder_check(&builder);
    yaml_parser_delete(&builder.yaml);
    free(builder.key);
    if (builder.cause != NULL) {
        config_tree_free(builder.root);
        *cause = builder.cause;
        return NULL;
    }
    return builder.root;
}

struct config_node *config_tree_read(const char *file, char **cause)
{
    size_t size;
    char *data = fs_read_file(file, CONFIG_FILE_SIZE_MAX, &size, cause);
    if (data == NULL)
        return NULL;
    struct config_node *root = config_tree_parse(file, data, size, cause);
    explicit_bzero(data, size);
    free(data);
    return root;
}
