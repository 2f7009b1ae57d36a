// Reads RUNTIME/webui.json. See conf.h.
#include "webui/conf.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "lib/core/alloc.h"
#include "lib/core/fsutil.h"
#include "lib/media/segment_id.h"

enum {
    CONF_VERSION = 1,
    CONF_SIZE_MAX = 16 * 1024 * 1024,
};

static int conf_stream_compare(const void *left, const void *right)
{
    const struct conf_stream *a = left, *b = right;
    int order = strcmp(a->camera, b->camera);
    return order ? order : strcmp(a->stream, b->stream);
}

// Takes a text member. Returns 0, or -1 with *cause set.
static int conf_take_text(char **text, const json_t *root, const char *key, char **cause)
{
    const char *value = json_string_value(json_object_get(root, key));
    if (value == NULL || *value == '\0') {
        *cause = xasprintf("\"%s\" is missing", key);
        return -1;
    }
    *text = xstrdup(value);
    return 0;
}

static int conf_take_volumes(struct conf *conf, const json_t *list, char **cause)
{
    size_t index;
    const json_t *item;
    conf->volumes = xcalloc(json_array_size(list) + 1, sizeof(conf->volumes[0]));
    json_array_foreach(list, index, item)
    {
        if (conf_take_text(&conf->volumes[index], item, "path", cause) < 0)
            return -1;
        conf->volume_count++;
    }
    return 0;
}

// Absent: none.
static void conf_take_cors(struct conf *conf, const json_t *list)
{
    size_t index;
    const json_t *item;
    conf->cors = xcalloc(json_array_size(list) + 1, sizeof(conf->cors[0]));
    json_array_foreach(list, index, item)
    {
        if (json_is_string(item))
            conf->cors[conf->cors_count++] = xstrdup(json_string_value(item));
    }
}

static int conf_take_stream(struct conf_stream *stream, const json_t *item, char **cause)
{
    if (conf_take_text(&stream->camera, item, "camera", cause) < 0 ||
        conf_take_text(&stream->stream, item, "stream", cause) < 0)
        return -1;
    if (!segment_name_valid(stream->camera) || !segment_name_valid(stream->stream)) {
        *cause = xasprintf("\"%s/%s\" is not a stream's name", stream->camera, stream->stream);
        return -1;
    }
    stream->segment_us = json_integer_value(json_object_get(item, "segment_us"));
    stream->latency_us = json_integer_value(json_object_get(item, "latency_us"));
    stream->continuous_us = json_integer_value(json_object_get(item, "continuous_us"));
    stream->enabled = !json_is_false(json_object_get(item, "enabled"));
    return 0;
}

static int conf_take_streams(struct conf *conf, const json_t *list, char **cause)
{
    size_t index;
    const json_t *item;
    conf->streams = xcalloc(json_array_size(list) + 1, sizeof(conf->streams[0]));
    json_array_foreach(list, index, item)
    {
        conf->stream_count++;
        if (conf_take_stream(&conf->streams[index], item, cause) < 0)
            return -1;
    }
    qsort(conf->streams, conf->stream_count, sizeof(conf->streams[0]), conf_stream_compare);
    return 0;
}

static int conf_take(struct conf *conf, const json_t *root, char **cause)
{
    if (json_integer_value(json_object_get(root, "version")) != CONF_VERSION) {
        *cause = xasprintf("its version is not known to this program");
        return -1;
    }
    if (conf_take_text(&conf->node, root, "node", cause) < 0 ||
        conf_take_text(&conf->database, root, "database", cause) < 0 ||
        conf_take_text(&conf->cache, root, "cache", cause) < 0 ||
        conf_take_text(&conf->listen, root, "listen", cause) < 0 ||
        conf_take_volumes(conf, json_object_get(root, "volumes"), cause) < 0)
        return -1;
    conf_take_cors(conf, json_object_get(root, "cors"));
    return conf_take_streams(conf, json_object_get(root, "streams"), cause);
}

struct conf *conf_load(const char *runtime, char **cause)
{
    char *path = xasprintf("%s/webui.json", runtime);
    struct conf *conf = NULL;
    json_t *root = NULL;
    size_t size;
    char *reason = NULL;
    char *text = fs_read_file(path, CONF_SIZE_MAX, &size, cause);
    if (text == NULL)
        goto out;
    json_error_t error;
    root = json_loadb(text, size, 0, &error);
    if (root == NULL) {
        *cause = xasprintf("%s:%d: %s", path, error.line, error.text);
        goto out;
    }
    conf = xcalloc(1, sizeof(*conf));
    atomic_init(&conf->references, 1);
    conf->runtime = xstrdup(runtime);
    if (conf_take(conf, root, &reason) < 0) {
        *cause = xasprintf("%s: %s", path, reason);
        conf_release(conf);
        conf = NULL;
    }
out:
    json_decref(root);
    free(reason);
    free(text);
    free(path);
    return conf;
}

void conf_retain(struct conf *conf)
{
    atomic_fetch_add(&conf->references, 1);
}

void conf_release(struct conf *conf)
{
    if (conf == NULL || atomic_fetch_sub(&conf->references, 1) != 1)
        return;
    for (size_t i = 0; i < conf->cors_count; i++)
        free(conf->cors[i]);
    for (size_t i = 0; i < conf->volume_count; i++)
        free(conf->volumes[i]);
    for (size_t i = 0; i < conf->stream_count; i++) {
        free(conf->streams[i].camera);
        free(conf->streams[i].stream);
    }
    free(conf->cors);
    free(conf->volumes);
    free(conf->streams);
    free(conf->runtime);
    free(conf->node);
    free(conf->database);
    free(conf->cache);
    free(conf->listen);
    free(conf);
}

const struct conf_stream *conf_find(const struct conf *conf, const char *camera, const char *stream)
{
    const struct conf_stream key = {.camera = (char *)camera, .stream = (char *)stream};
    return conf->stream_count == 0
               ? NULL
               : bsearch(&key, conf->streams, conf->stream_count, sizeof(key), conf_stream_compare);
}
