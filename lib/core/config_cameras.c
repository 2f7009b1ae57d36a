// Cameras and their streams: inheritance, and how they are reached. See config_reader.h. No
// message repeats an address, a user name or a password.
#include "lib/core/config_reader.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/core/alloc.h"
#include "lib/core/config_value.h"
#include "lib/core/fsutil.h"
#include "lib/core/percent.h"

enum {
    CONFIG_PASSWORD_SIZE_MAX = 4096,
    CONFIG_ACCESS_LENGTH_MAX = 127, // ffmpeg cuts a longer user:password, percent-encoded
};

// Keeps a string until the reader ends.
static const char *config_reader_own(struct config_reader *reader, char *string)
{
    config_list_add(&reader->owned, string);
    return string;
}

void config_apply_secret(struct config_reader *reader, const struct config_key *key,
    const struct config_node *node, const struct config_place *place)
{
    if (!(reader->source->flags & CONFIG_SECRETS)) {
        *(const char **)config_target(key, place) = "";
        return;
    }
    char *text = config_text(reader, node);
    if (text == NULL)
        return;
    if (*text == '\0')
        config_fail(reader, node, "must not be empty");
    if (strcmp(key->name, "username") == 0 && strchr(text, ':') != NULL)
        config_fail(reader, node, "a colon is not possible in a user name");
    *(const char **)config_target(key, place) = config_reader_own(reader, text);
}

static void config_warn_readable(
    struct config_reader *reader, const struct config_node *node, const char *path)
{
    struct stat info;
    if (stat(path, &info) == 0 && info.st_mode & S_IROTH)
        config_list_add(&reader->config->warnings,
            config_node_cause(node, false, "every user of this machine can read %s (mode %04o)",
                path, (unsigned)info.st_mode & 07777));
}

void config_apply_secret_file(struct config_reader *reader, const struct config_key *key,
    const struct config_node *node, const struct config_place *place)
{
    if (config_node_find(node->parent, "password") != NULL) {
        config_fail_at(reader, node, true, "password is given too; only one of them is allowed");
        return;
    }
    if (!(reader->source->flags & CONFIG_SECRETS)) {
        *(const char **)config_target(key, place) = "";
        return;
    }
    char *text = config_text(reader, node);
    if (text == NULL)
        return;
    char *path = config_resolve(node->file, text);
    free(text);
    char *cause = NULL;
    size_t size = 0;
    char *password = fs_read_file(path, CONFIG_PASSWORD_SIZE_MAX, &size, &cause);
    if (password != NULL) {
        config_warn_readable(reader, node, path);
        config_reader_own(reader, password);
        if (size > 0 && password[size - 1] == '\n')
            password[--size] = '\0';
        if (size == 0)
            config_fail(reader, node, "%s holds no password", path);
        else if (strlen(password) != size || config_has_control(password))
            config_fail(reader, node,
                "%s holds control characters; one line with the password is expected", path);
        *(const char **)config_target(key, place) = password;
    } else {
        config_fail(reader, node, "%s", cause);
    }
    free(cause);
    free(path);
}

static bool config_check_name(
    struct config_reader *reader, const struct config_node *node, const char *what)
{
    if (config_name_valid(node->key))
        return true;
    config_fail_at(reader, node, true,
        "the %s's name must consist of a-z, 0-9, _ and -, begin with a letter or a digit and have "
        "at most 63 characters",
        what);
    return false;
}

static char *config_copy(const char *string)
{
    return string ? xstrdup(string) : NULL;
}

// How many bytes the text takes once percent-encoded.
static size_t config_encoded_length(const char *text)
{
    size_t length = 0;
    for (; *text != '\0'; text++)
        length += percent_is_plain(*text) ? 1 : 3;
    return length;
}

// Moves the credentials that stand in the URL to where they belong, and checks the whole.
static void config_resolve_access(
    struct config_reader *reader, const struct config_node *node, struct config_access *access)
{
    struct config_url url;
    const char *reason;
    const struct config_node *at = config_node_find(node, "url");
    at = at ? at : node;
    if (config_url_parse(access->url, &url, &reason) < 0) {
        config_fail(reader, at, "%s", reason);
        return;
    }
    if (url.username != NULL && (access->username != NULL || access->password != NULL))
        config_fail(reader, at,
            "there is a user in the URL and username: or password: as well; only one is allowed");
    access->url = config_reader_own(reader, url.url);
    if (url.username != NULL)
        access->username = config_reader_own(reader, url.username);
    if (url.password != NULL)
        access->password = config_reader_own(reader, url.password);
    if (access->password != NULL && access->username == NULL)
        config_fail(reader, node, "there is a password, but username: is missing");
    if (access->username != NULL && access->password == NULL)
        config_list_add(&reader->config->warnings,
            config_node_cause(node, false,
                "there is a user name, but neither password: nor password_file:; a camera that "
                "asks for one will refuse it"));
    size_t length = access->username ? config_encoded_length(access->username) : 0;
    length += access->password ? config_encoded_length(access->password) + 1 : 0;
    if (length > CONFIG_ACCESS_LENGTH_MAX)
        config_fail(reader, node,
            "user name and password are too long for ffmpeg: percent-encoded they take %zu bytes, "
            "%d are possible",
            length, CONFIG_ACCESS_LENGTH_MAX);
}

static void config_add_stream(struct config_reader *reader, const struct config_node *node,
    const struct config_place *place, const char *name)
{
    struct config_access access = *(struct config_access *)place->base[CONFIG_TARGET_ACCESS];
    if (access.url == NULL) {
        config_fail_at(reader, node, true, "url: is missing");
        return;
    }
    bool has_secrets = reader->source->flags & CONFIG_SECRETS;
    if (has_secrets)
        config_resolve_access(reader, node, &access);
    if (reader->cause != NULL)
        return;
    struct config *config = reader->config;
    ARRAY_RESERVE(config->streams, config->stream_count, reader->stream_capacity);
    config->streams[config->stream_count++] = (struct config_stream){
        .camera = xstrdup(place->camera),
        .name = xstrdup(name),
        .url = has_secrets ? config_copy(access.url) : NULL,
        .username = has_secrets ? config_copy(access.username) : NULL,
        .password = has_secrets ? config_copy(access.password) : NULL,
        .recording = *(struct config_recording *)place->base[CONFIG_TARGET_RECORDING],
    };
}

void config_apply_streams(struct config_reader *reader, const struct config_key *key,
    const struct config_node *node, const struct config_place *place)
{
    if (node->kind != CONFIG_NODE_MAPPING || node->count == 0) {
        config_fail(reader, node, "streams with their names are expected here, as main: {url: …}");
        return;
    }
    for (size_t i = 0; i < node->count && reader->cause == NULL; i++) {
        const struct config_node *child = node->children[i];
        if (!config_check_name(reader, child, "stream"))
            return;
        struct config_access access = *(struct config_access *)place->base[CONFIG_TARGET_ACCESS];
        struct config_recording recording =
            *(struct config_recording *)place->base[CONFIG_TARGET_RECORDING];
        struct config_place inner = {
            .base = {[CONFIG_TARGET_ACCESS] = &access, [CONFIG_TARGET_RECORDING] = &recording},
            .camera = place->camera,
        };
        config_apply_map(reader, child, key->inner, &inner);
        if (reader->cause == NULL)
            config_add_stream(reader, child, &inner, child->key);
    }
}

static void config_apply_camera(
    struct config_reader *reader, const struct config_key *key, const struct config_node *node)
{
    if (!config_check_name(reader, node, "camera"))
        return;
    ARRAY_RESERVE(reader->cameras, reader->camera_count, reader->camera_capacity);
    reader->cameras[reader->camera_count++] = node;
    struct config_access access = {0};
    struct config_recording recording = reader->defaults;
    struct config_place inner = {
        .base = {[CONFIG_TARGET_ACCESS] = &access, [CONFIG_TARGET_RECORDING] = &recording},
        .camera = node->key,
    };
    const struct config_node *url = NULL, *streams = NULL;
    if (node->kind == CONFIG_NODE_MAPPING) {
        url = config_node_find(node, "url");
        streams = config_node_find(node, "streams");
    }
    if (url != NULL && streams != NULL) {
        config_fail_at(reader, url, true, "a camera has either url: or streams:, not both");
        return;
    }
    config_apply_map(reader, node, key->inner, &inner);
    if (reader->cause == NULL && streams == NULL)
        config_add_stream(reader, node, &inner, "main");
}

void config_apply_cameras(struct config_reader *reader, const struct config_key *key,
    const struct config_node *node, const struct config_place *place)
{
    (void)place;
    if (node->kind != CONFIG_NODE_MAPPING) {
        config_fail(reader, node, "cameras with their names are expected here; {} stands for none");
        return;
    }
    if (node->count == 0)
        config_list_add(
            &reader->config->warnings, config_node_cause(node, false, "there is no camera in it"));
    for (size_t i = 0; i < node->count && reader->cause == NULL; i++)
        config_apply_camera(reader, key, node->children[i]);
}
