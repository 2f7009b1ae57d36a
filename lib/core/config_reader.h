// What the parts of the configuration's reader share. Not for others: they use config.h.
#pragma once

#include <stddef.h>

#include "lib/core/config.h"
#include "lib/core/config_table.h"
#include "lib/core/config_tree.h"

struct config_reader {
    const struct config_source *source;
    struct config *config;
    struct config_recording defaults;
    struct config_node **trees; // as many as there are files
    size_t tree_count, tree_capacity;
    struct config_list owned;           // strings that struct config_access borrows
    const struct config_node **cameras; // the nodes of all cameras, to find doubles
    size_t camera_count, camera_capacity;
    size_t stream_capacity;
    char *cause; // of the first failure; nothing is applied after it
};

// What the keys of a mapping are stored in, by target.
struct config_place {
    void *base[CONFIG_TARGET_COUNT];
    const char *camera; // inside a camera: its name
};

// Stores the value of one key. On failure it sets reader->cause.
typedef void (*config_apply_fn)(struct config_reader *reader, const struct config_key *key,
    const struct config_node *node, const struct config_place *place);

#define config_fail(reader, node, ...) config_fail_at(reader, node, false, __VA_ARGS__)

#define config_fail_at(reader, node, at_key, ...)                                                  \
    do {                                                                                           \
        if ((reader)->cause == NULL)                                                               \
            (reader)->cause = config_node_cause((node), (at_key), __VA_ARGS__);                    \
    } while (0)

// Takes ownership of the item.
void config_list_add(struct config_list *list, char *item);
void config_list_fini(struct config_list *list);

// A scalar's text with the environment's values in it; the caller owns it. NULL after a failure.
char *config_text(struct config_reader *reader, const struct config_node *node);

// The path relative to the directory of the file that names it, made absolute; the caller owns it.
char *config_resolve(const char *file, const char *path);

void *config_target(const struct config_key *key, const struct config_place *place);

// Stores the defaults of one target.
void config_apply_defaults(enum config_target target, void *base);

// Walks a mapping along the table.
void config_apply_map(struct config_reader *reader, const struct config_node *map,
    enum config_scope scope, const struct config_place *place);

// Those that have a file of their own.
void config_apply_cameras(struct config_reader *reader, const struct config_key *key,
    const struct config_node *node, const struct config_place *place);
void config_apply_streams(struct config_reader *reader, const struct config_key *key,
    const struct config_node *node, const struct config_place *place);
void config_apply_secret(struct config_reader *reader, const struct config_key *key,
    const struct config_node *node, const struct config_place *place);
void config_apply_secret_file(struct config_reader *reader, const struct config_key *key,
    const struct config_node *node, const struct config_place *place);
void config_apply_volumes(struct config_reader *reader, const struct config_key *key,
    const struct config_node *node, const struct config_place *place);
void config_apply_hook(struct config_reader *reader, const struct config_key *key,
    const struct config_node *node, const struct config_place *place);
void config_apply_command(struct config_reader *reader, const struct config_key *key,
    const struct config_node *node, const struct config_place *place);
void config_apply_webhook(struct config_reader *reader, const struct config_key *key,
    const struct config_node *node, const struct config_place *place);
void config_apply_include(struct config_reader *reader, const struct config_key *key,
    const struct config_node *node, const struct config_place *place);
