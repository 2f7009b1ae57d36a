// What of the configuration is handed over. See reload_handover.h.
#include "supervisor/reload_handover.h"

#include <stdlib.h>

#include "lib/core/alloc.h"

static const char *const reload_audio_names[] = {
    [CONFIG_AUDIO_AUTO] = "auto",
    [CONFIG_AUDIO_COPY] = "copy",
    [CONFIG_AUDIO_AAC] = "aac",
    [CONFIG_AUDIO_OFF] = "off",
};
static const struct handover_names reload_audios = {
    reload_audio_names, ARRAY_LENGTH(reload_audio_names)};

static const char *const reload_transport_names[] = {
    [CONFIG_TRANSPORT_TCP] = "tcp",
    [CONFIG_TRANSPORT_UDP] = "udp",
    [CONFIG_TRANSPORT_AUTO] = "auto",
};
static const struct handover_names reload_transports = {
    reload_transport_names, ARRAY_LENGTH(reload_transport_names)};

static const struct handover_field reload_stream_fields[] = {
    HANDOVER_VALUE(struct config_stream, camera),
    HANDOVER_VALUE(struct config_stream, name),
    HANDOVER_VALUE(struct config_stream, url),
    HANDOVER_VALUE(struct config_stream, username),
    HANDOVER_VALUE(struct config_stream, password),
    HANDOVER_VALUE(struct config_stream, recording.segment_us),
    HANDOVER_VALUE(struct config_stream, recording.timeout_us),
    HANDOVER_NAMED(struct config_stream, recording.audio, &reload_audios),
    HANDOVER_NAMED(struct config_stream, recording.transport, &reload_transports),
    HANDOVER_VALUE(struct config_stream, recording.enabled),
};
static const struct handover_table reload_stream_table =
    HANDOVER_TABLE(struct config_stream, reload_stream_fields);

static const struct handover_field reload_config_fields[] = {
    HANDOVER_VALUE(struct config, node),
    HANDOVER_VALUE(struct config, runtime),
    HANDOVER_VALUE(struct config, storage.database),
    HANDOVER_VALUE(struct config, storage.cache),
    HANDOVER_VALUE(struct config, ffmpeg.path),
};
static const struct handover_table reload_config_table =
    HANDOVER_TABLE(struct config, reload_config_fields);

static json_t *reload_list_hand_over(const struct config_list *list)
{
    json_t *array = json_array();
    for (size_t i = 0; i < list->count; i++)
        json_array_append_new(array, json_pack("{s:o}", "text", handover_text(list->items[i])));
    return array;
}

json_t *reload_hand_over(const struct config *config)
{
    json_t *volumes = json_array(), *streams = json_array();
    for (size_t i = 0; i < config->storage.volume_count; i++)
        json_array_append_new(
            volumes, json_pack("{s:o}", "text", handover_text(config->storage.volumes[i].path)));
    for (size_t i = 0; i < config->stream_count; i++)
        json_array_append_new(streams, handover_write(&reload_stream_table, &config->streams[i]));
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "fields",
        handover_write(&reload_config_table, config), "volumes", volumes, "input_options",
        reload_list_hand_over(&config->ffmpeg.input_options), "output_options",
        reload_list_hand_over(&config->ffmpeg.output_options), "streams", streams);
}

// The texts of a list: new, in a new array, `*count` of them.
static char **reload_texts_take_over(
    struct handover_reader *reader, json_t *object, const char *key, size_t *count)
{
    json_t *array = handover_take(reader, object, key, JSON_ARRAY);
    *count = json_array_size(array);
    char **texts = xcalloc(*count, sizeof(*texts));
    for (size_t i = 0; i < *count; i++) {
        json_t *item = json_array_get(array, i);
        texts[i] = handover_take_name(reader, item, "text");
        handover_end(reader, item);
    }
    return texts;
}

static void reload_streams_take_over(
    struct handover_reader *reader, json_t *object, struct config *config)
{
    json_t *array = handover_take(reader, object, "streams", JSON_ARRAY);
    config->streams = xcalloc(json_array_size(array), sizeof(*config->streams));
    for (size_t i = 0; i < json_array_size(array); i++) {
        struct config_stream *stream = &config->streams[config->stream_count++];
        handover_read(reader, json_array_get(array, i), &reload_stream_table, stream);
        stream->camera = stream->camera ? stream->camera : xstrdup("");
        stream->name = stream->name ? stream->name : xstrdup("");
        if (i > 0 && config_stream_compare(stream - 1, stream) >= 0)
            handover_fail(reader, "the state's streams are not in order");
    }
}

struct config *reload_take_over(struct handover_reader *reader, json_t *object)
{
    struct config *config = xcalloc(1, sizeof(*config));
    size_t count;
    handover_read(
        reader, handover_take(reader, object, "fields", JSON_OBJECT), &reload_config_table, config);
    char **paths = reload_texts_take_over(reader, object, "volumes", &count);
    config->storage.volumes = xcalloc(count, sizeof(*config->storage.volumes));
    config->storage.volume_count = count;
    for (size_t i = 0; i < count; i++)
        config->storage.volumes[i].path = paths[i];
    free(paths);
    config->ffmpeg.input_options.items = reload_texts_take_over(
        reader, object, "input_options", &config->ffmpeg.input_options.count);
    config->ffmpeg.output_options.items = reload_texts_take_over(
        reader, object, "output_options", &config->ffmpeg.output_options.count);
    reload_streams_take_over(reader, object, config);
    handover_end(reader, object);
    return config;
}
