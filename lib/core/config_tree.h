// A YAML file as a tree that knows where each of its nodes stands, so that every complaint can
// name file, line, column and key. Anchors, aliases and tags are refused, depth and size bounded.
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum config_node_kind {
    CONFIG_NODE_SCALAR,
    CONFIG_NODE_SEQUENCE,
    CONFIG_NODE_MAPPING,
};

struct config_node {
    enum config_node_kind kind;
    const char *file; // borrowed from the caller of config_tree_read()
    int line, column; // from 1
    const struct config_node *parent;
    size_t index; // among the parent's children
    char *key;    // its name in the parent mapping, else NULL
    int key_line, key_column;
    char *text;   // of a scalar
    bool is_null; // nothing, ~ or null
    struct config_node **children;
    size_t count, capacity;
};

// Reads a file. `file` must outlive the tree. Returns NULL with *cause set on failure; an empty
// file is one.
struct config_node *config_tree_read(const char *file, char **cause);

// Reads from memory in the same way.
struct config_node *config_tree_parse(
    const char *file, const char *data, size_t size, char **cause);
void config_tree_free(struct config_node *root);

const struct config_node *config_node_find(const struct config_node *mapping, const char *key);

// The complaint "file:line:column: key: reason" about a node, at its value or (with `at_key`) at
// its key. The caller owns the text.
char *config_node_cause(const struct config_node *node, bool at_key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
