// What is to be probed. See probe_target.h.
#include "supervisor/probe_target.h"

#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/buf.h"
#include "lib/core/config_value.h"
#include "lib/core/percent.h"
#include "lib/core/timeutil.h"

enum {
    PROBE_TARGET_TIMEOUT_S = 5,
};

// JSON strings are UTF-8, passwords need not be: such values travel percent-encoded.
static json_t *probe_target_encode(const char *text)
{
    struct buf out = BUF_INIT;
    if (text == NULL)
        return json_null();
    for (; *text != '\0'; text++)
        buf_printf(&out, percent_is_plain(*text) ? "%c" : "%%%02X", (unsigned char)*text);
    json_t *json = json_string(buf_string(&out));
    buf_fini(&out);
    return json;
}

// The caller owns it; NULL where there is no string.
static char *probe_target_decode(const json_t *json)
{
    const char *text = json_string_value(json);
    struct buf out = BUF_INIT;
    if (text == NULL)
        return NULL;
    size_t length = strlen(text);
    for (size_t i = 0; i < length; i++) {
        int byte = percent_byte(text + i, length - i);
        buf_put_u8(&out, byte >= 0 ? (uint8_t)byte : (uint8_t)text[i]);
        i += byte >= 0 ? 2 : 0;
    }
    return buf_string(&out);
}

static json_t *probe_target_json(const struct config *config, const struct config_stream *stream)
{
    json_t *options = json_array();
    for (size_t i = 0; config != NULL && i < config->ffmpeg.input_options.count; i++)
        json_array_append_new(options, probe_target_encode(config->ffmpeg.input_options.items[i]));
    return json_pack("{s:s?, s:s?, s:o, s:o, s:o, s:i, s:i, s:I, s:o, s:o}", "camera",
        stream->camera, "stream", stream->name, "url", probe_target_encode(stream->url), "username",
        probe_target_encode(stream->username), "password", probe_target_encode(stream->password),
        "audio", (int)stream->recording.audio, "transport", (int)stream->recording.transport,
        "timeout_us", (json_int_t)stream->recording.timeout_us, "ffmpeg",
        probe_target_encode(config ? config->ffmpeg.path : "ffmpeg"), "input_options", options);
}

json_t *probe_target_stream(const struct config *config, const struct config_stream *stream)
{
    return probe_target_json(config, stream);
}

// Puts the address, without credentials, and the credentials into `stream`, which then holds
// pointers into `parsed` and the arguments. Returns a reason, a constant, when that is not
// possible.
static const char *probe_target_access(struct config_stream *stream, struct config_url *parsed,
    const char *url, const char *username, const char *password, const char **field)
{
    const char *reason;
    *field = "url";
    if (config_has_control(url))
        return "the address has control characters in it";
    if (config_url_parse(url, parsed, &reason) < 0)
        return reason;
    if (parsed->username != NULL && (username != NULL || password != NULL))
        return "a user stands in the address and is given apart as well; only one is possible";
    *field = "username";
    stream->url = parsed->url;
    stream->username = parsed->username ? parsed->username : (char *)username;
    stream->password = parsed->password ? parsed->password : (char *)password;
    if (stream->username != NULL &&
        (config_has_control(stream->username) || strchr(stream->username, ':') != NULL))
        return "a colon or a control character is not possible in a user name";
    if (stream->password != NULL && stream->username == NULL)
        return "there is a password, but no user name";
    *field = "password";
    if (stream->password != NULL && config_has_control(stream->password))
        return "the password has control characters in it";
    return NULL;
}

json_t *probe_target_url(const struct config *config, const char *url, const char *username,
    const char *password, const char *password_file, const char **field, char **cause)
{
    struct config_stream stream = {
        .recording = {.timeout_us = PROBE_TARGET_TIMEOUT_S * US_PER_SECOND}};
    struct config_url parsed = {0};
    json_t *json = NULL;
    if (config != NULL)
        stream.recording = config->defaults;
    const char *reason = probe_target_access(&stream, &parsed, url, username, password, field);
    if (reason != NULL) {
        *cause = xasprintf("%s: %s", *field, reason);
    } else {
        json = probe_target_json(config, &stream);
        json_object_set_new(json, "password_file", probe_target_encode(password_file));
    }
    config_url_fini(&parsed);
    return json;
}

int probe_target_read(const char *text, struct probe_target *target, char **cause)
{
    *target = (struct probe_target){0};
    json_t *json = json_loads(text, 0, NULL), *item;
    size_t index;
    target->stream.camera = probe_target_decode(json_object_get(json, "camera"));
    target->stream.name = probe_target_decode(json_object_get(json, "stream"));
    target->stream.url = probe_target_decode(json_object_get(json, "url"));
    target->stream.username = probe_target_decode(json_object_get(json, "username"));
    target->stream.password = probe_target_decode(json_object_get(json, "password"));
    target->stream.recording.audio =
        (enum config_audio)json_integer_value(json_object_get(json, "audio"));
    target->stream.recording.transport =
        (enum config_transport)json_integer_value(json_object_get(json, "transport"));
    target->stream.recording.timeout_us = json_integer_value(json_object_get(json, "timeout_us"));
    target->password_file = probe_target_decode(json_object_get(json, "password_file"));
    target->config.ffmpeg.path = probe_target_decode(json_object_get(json, "ffmpeg"));
    struct config_list *options = &target->config.ffmpeg.input_options;
    const json_t *list = json_object_get(json, "input_options");
    options->items = xcalloc(json_array_size(list) + 1, sizeof(char *));
    json_array_foreach(list, index, item) options->items[options->count++] =
        probe_target_decode(item);
    json_decref(json);
    if (target->stream.url != NULL && target->config.ffmpeg.path != NULL)
        return 0;
    *cause = xstrdup("the request can not be read");
    return -1;
}

void probe_target_fini(struct probe_target *target)
{
    free(target->stream.camera);
    free(target->stream.name);
    free(target->stream.url);
    free(target->stream.username);
    free(target->stream.password);
    free(target->password_file);
    free(target->config.ffmpeg.path);
    for (size_t i = 0; i < target->config.ffmpeg.input_options.count; i++)
        free(target->config.ffmpeg.input_options.items[i]);
    free(target->config.ffmpeg.input_options.items);
}
