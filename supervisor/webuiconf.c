// RUNTIME/webui.json. See webuiconf.h.
#include "supervisor/webuiconf.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "lib/core/alloc.h"
#include "lib/core/fsutil.h"

static json_t *webuiconf_volumes(const struct config *config)
{
    json_t *volumes = json_array();
    for (size_t i = 0; i < config->storage.volume_count; i++)
        json_array_append_new(volumes, json_pack("{s:s}", "path", config->storage.volumes[i].path));
    return volumes;
}

static json_t *webuiconf_streams(const struct config *config)
{
    json_t *streams = json_array();
    for (size_t i = 0; i < config->stream_count; i++) {
        const struct config_stream *stream = &config->streams[i];
        const struct config_recording *recording = &stream->recording;
        json_array_append_new(streams,
            json_pack("{s:s, s:s, s:I, s:I, s:I, s:b}", "camera", stream->camera, "stream",
                stream->name, "segment_us", (json_int_t)recording->segment_us, "latency_us",
                (json_int_t)recording->latency_us, "continuous_us",
                (json_int_t)recording->retain.continuous_us, "enabled", recording->enabled));
    }
    return streams;
}

static json_t *webuiconf_texts(const struct config_list *list)
{
    json_t *texts = json_array();
    for (size_t i = 0; i < list->count; i++)
        json_array_append_new(texts, json_string(list->items[i]));
    return texts;
}

int webuiconf_write(const struct config *config, char **cause)
{
    json_t *root = json_pack("{s:i, s:s, s:s, s:s, s:s, s:o, s:o, s:o}", "version", 1, "node",
        config->node, "database", config->storage.database, "cache", config->storage.cache,
        "listen", config->http.listen, "cors", webuiconf_texts(&config->http.cors), "volumes",
        webuiconf_volumes(config), "streams", webuiconf_streams(config));
    char *text = root ? json_dumps(root, JSON_INDENT(1)) : NULL;
    char *path = xasprintf("%s/webui.json", config->runtime);
    int result = -1;
    if (text == NULL)
        *cause = xasprintf("%s: a path in the configuration is not UTF-8 text", path);
    else
        result = fs_write_file(path, text, strlen(text), 0640, cause);
    free(path);
    free(text);
    json_decref(root);
    return result;
}
