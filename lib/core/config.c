// The configuration: reads the files, walks them along the table of keys. See config.h.
#include "lib/core/config.h"

#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/core/alloc.h"
#include "lib/core/config_reader.h"

void config_apply_volumes(struct config_reader *reader, const struct config_key *key,
    const struct config_node *node, const struct config_place *place)
{
    (void)place;
    if (node->kind != CONFIG_NODE_SEQUENCE || node->count == 0) {
        config_fail(reader, node, "a list is expected here, as [{path: /srv/video}]");
        return;
    }
    struct config *config = reader->config;
    config->storage.volumes = xcalloc(node->count, sizeof(struct config_volume));
    config->storage.volume_count = node->count;
    for (size_t i = 0; i < node->count && reader->cause == NULL; i++) {
        struct config_volume *volume = &config->storage.volumes[i];
        config_apply_defaults(CONFIG_TARGET_VOLUME, volume);
        struct config_place inner = {.base = {[CONFIG_TARGET_VOLUME] = volume}};
        config_apply_map(reader, node->children[i], key->inner, &inner);
        if (volume->path == NULL)
            config_fail(reader, node->children[i], "path: is missing");
        for (size_t j = 0; j < i && volume->path != NULL; j++) {
            if (strcmp(config->storage.volumes[j].path, volume->path) == 0)
                config_fail(
                    reader, node->children[i], "path: is the same as that of volumes[%zu]", j);
        }
    }
}

static struct config_node *config_read_tree(struct config_reader *reader, const char *file)
{
    struct config_node *tree = config_tree_read(file, &reader->cause);
    if (tree != NULL) {
        ARRAY_RESERVE(reader->trees, reader->tree_count, reader->tree_capacity);
        reader->trees[reader->tree_count++] = tree;
    }
    return tree;
}

static bool config_is_read(const struct config_reader *reader, const char *file)
{
    for (size_t i = 0; i < reader->tree_count; i++) {
        if (strcmp(reader->trees[i]->file, file) == 0)
            return true;
    }
    return false;
}

// Whether an error ends the search: a directory that is not there is no match, and no match is
// fine.
static int config_glob_error(const char *path, int error)
{
    (void)path;
    return error != ENOENT && error != ENOTDIR;
}

static void config_include_glob(struct config_reader *reader, const struct config_node *node)
{
    char *text = config_text(reader, node);
    if (text == NULL)
        return;
    char *pattern = config_resolve(node->file, text);
    free(text);
    glob_t found;
    int result = glob(pattern, 0, config_glob_error, &found);
    if (result != 0 && result != GLOB_NOMATCH)
        config_fail(reader, node, "%s: its directory can not be read", pattern);
    for (size_t i = 0; result == 0 && i < found.gl_pathc && reader->cause == NULL; i++) {
        if (config_is_read(reader, found.gl_pathv[i]))
            continue;
        char *file = xstrdup(found.gl_pathv[i]);
        config_list_add(&reader->owned, file);
        const struct config_node *tree = config_read_tree(reader, file);
        struct config_place place = {0};
        if (tree != NULL)
            config_apply_map(reader, tree, CONFIG_SCOPE_INCLUDED, &place);
    }
    globfree(&found);
    free(pattern);
}

void config_apply_include(struct config_reader *reader, const struct config_key *key,
    const struct config_node *node, const struct config_place *place)
{
    (void)key;
    (void)place;
    if (node->kind != CONFIG_NODE_SEQUENCE) {
        config_include_glob(reader, node);
        return;
    }
    for (size_t i = 0; i < node->count && reader->cause == NULL; i++)
        config_include_glob(reader, node->children[i]);
}

static int config_camera_compare(const void *a, const void *b)
{
    const struct config_node *left = *(const struct config_node *const *)a;
    const struct config_node *right = *(const struct config_node *const *)b;
    return strcmp(left->key, right->key);
}

// Finds a camera that two files define (one file can not: its doubles are found while reading).
static void config_check_doubles(struct config_reader *reader)
{
    if (reader->camera_count < 2)
        return;
    qsort(
        reader->cameras, reader->camera_count, sizeof(struct config_node *), config_camera_compare);
    for (size_t i = 1; i < reader->camera_count; i++) {
        const struct config_node *one = reader->cameras[i - 1], *other = reader->cameras[i];
        if (strcmp(one->key, other->key) == 0)
            config_fail_at(reader, other, true, "is here twice; the other stands in %s:%d",
                one->file, one->key_line);
    }
}

int config_stream_compare(const void *a, const void *b)
{
    const struct config_stream *left = a, *right = b;
    int order = strcmp(left->camera, right->camera);
    return order ? order : strcmp(left->name, right->name);
}

static void config_set_path(char **target, const char *directory, const char *name)
{
    char *path = xasprintf("%s%s%s", directory, *name ? "/" : "", name);
    free(*target);
    *target = config_resolve("", path);
    free(path);
}

static void config_set_defaults(struct config_reader *reader)
{
    struct config *config = reader->config;
    config_apply_defaults(CONFIG_TARGET_CONFIG, config);
    config_apply_defaults(CONFIG_TARGET_RECORDING, &reader->defaults);
    if (reader->source->webui_external)
        config->webui = CONFIG_WEBUI_EXTERNAL;
    const char *data = reader->source->data;
    if (data != NULL) {
        config_set_path(&config->storage.database, data, "");
        config_set_path(&config->storage.cache, data, "cache");
        config_set_path(&config->runtime, data, "run");
    }
    char host[HOST_NAME_MAX + 1] = "";
    if (gethostname(host, sizeof(host) - 1) < 0 || *host == '\0')
        memcpy(host, "keepframe", sizeof("keepframe"));
    config->node = xstrdup(host);
}

// What can only be decided when all keys are read.
static void config_finish(struct config_reader *reader)
{
    struct config *config = reader->config;
    config_check_doubles(reader);
    if (reader->source->runtime != NULL)
        config_set_path(&config->runtime, reader->source->runtime, "");
    if (config->storage.volumes == NULL) {
        const char *data = reader->source->data;
        config->storage.volumes = xcalloc(1, sizeof(struct config_volume));
        config->storage.volume_count = 1;
        config_apply_defaults(CONFIG_TARGET_VOLUME, config->storage.volumes);
        config_set_path(
            &config->storage.volumes->path, data ? data : "/var/lib/keepframe", "video");
    }
    if (config->stream_count > 1)
        qsort(config->streams, config->stream_count, sizeof(struct config_stream),
            config_stream_compare);
}

static void config_read(struct config_reader *reader)
{
    struct config *config = reader->config;
    const struct config_node *root = config_read_tree(reader, config->file);
    if (root == NULL)
        return;
    struct config_place place = {.base = {
                                     [CONFIG_TARGET_CONFIG] = config,
                                     [CONFIG_TARGET_RECORDING] = &reader->defaults,
                                 }};
    config_apply_map(reader, root, CONFIG_SCOPE_ROOT, &place);
    if (config_node_find(root, "cameras") == NULL && config_node_find(root, "include") == NULL)
        config_fail(reader, root, "cameras: is missing; {} stands for none");
    config_finish(reader);
}

struct config *config_load(const struct config_source *source, char **cause)
{
    struct config *config = xcalloc(1, sizeof(*config));
    config->file = xstrdup(source->file);
    struct config_reader reader = {.source = source, .config = config};
    config_set_defaults(&reader);
    config_read(&reader);
    config->defaults = reader.defaults;
    for (size_t i = 0; i < reader.tree_count; i++)
        config_tree_free(reader.trees[i]);
    free(reader.trees);
    free(reader.cameras);
    config_list_fini(&reader.owned);
    if (reader.cause == NULL)
        return config;
    *cause = reader.cause;
    config_free(config);
    return NULL;
}

void config_free(struct config *config)
{
    if (config == NULL)
        return;
    for (size_t i = 0; i < config->stream_count; i++) {
        struct config_stream *stream = &config->streams[i];
        free(stream->camera);
        free(stream->name);
        free(stream->url);
        free(stream->username);
        free(stream->password);
    }
    free(config->streams);
    for (size_t i = 0; i < config->storage.volume_count; i++)
        free(config->storage.volumes[i].path);
    free(config->storage.volumes);
    free(config->storage.database);
    free(config->storage.cache);
    free(config->http.listen);
    free(config->ffmpeg.path);
    config_list_fini(&config->http.cors);
    config_list_fini(&config->ffmpeg.input_options);
    config_list_fini(&config->ffmpeg.output_options);
    for (size_t i = 0; i < config->hook_count; i++) {
        config_list_fini(&config->hooks[i]->command);
        free(config->hooks[i]->url);
        free(config->hooks[i]);
    }
    free(config->hooks);
    config_list_fini(&config->warnings);
    free(config->node);
    free(config->runtime);
    free(config->file);
    free(config);
}

const struct config_stream *config_stream_find(
    const struct config *config, const char *camera, const char *stream)
{
    const struct config_stream key = {.camera = (char *)camera, .name = (char *)stream};
    return config->stream_count == 0 ? NULL
                                     : bsearch(&key, config->streams, config->stream_count,
                                           sizeof(struct config_stream), config_stream_compare);
}
