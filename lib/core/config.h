// The configuration: YAML read through one table of keys (config_table.c) into an immutable struct.
// Parse a new one, compare, swap; never edit one in place. Durations are microseconds, sizes are
// bytes.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum config_audio {
    CONFIG_AUDIO_AUTO,
    CONFIG_AUDIO_COPY,
    CONFIG_AUDIO_AAC,
    CONFIG_AUDIO_OFF,
};

enum config_transport {
    CONFIG_TRANSPORT_TCP,
    CONFIG_TRANSPORT_UDP,
    CONFIG_TRANSPORT_AUTO,
};

enum config_mode {
    CONFIG_MODE_CONTINUOUS,
    CONFIG_MODE_EVENTS,
};

enum config_hash {
    CONFIG_HASH_NONE,
    CONFIG_HASH_SHA256,
};

enum config_webui {
    CONFIG_WEBUI_SUPERVISED,
    CONFIG_WEBUI_EXTERNAL,
};

// A limit that is either a share of a file system or an absolute size.
struct config_amount {
    bool is_percent;
    int64_t value; // per cent, or bytes
};

struct config_list {
    char **items;
    size_t count;
};

// What is run when something happens: a command, a webhook, or both.
struct config_hook {
    struct config_list command; // program and arguments; empty when there is none
    char *url;                  // of the webhook; NULL when none, or without CONFIG_SECRETS
    int64_t timeout_us;
    int64_t hold_off_us; // of on_stream_down
};

// The keys that stand in `recording:`, and flat in a camera and in a stream.
struct config_recording {
    int64_t segment_us;
    int64_t timeout_us;
    int64_t latency_us;
    enum config_audio audio;
    enum config_transport transport;
    bool enabled;
    struct {
        enum config_mode mode;
        int64_t continuous_us;
        int64_t events_us; // 0: as continuous_us
        int64_t pre_us;
        int64_t post_us;
        int64_t max_bytes; // 0: no limit
    } retain;
    // NULL where there is none; the configuration owns them, streams share what they inherit.
    const struct config_hook *on_stream_down;
    const struct config_hook *on_stream_up;
    const struct config_hook *on_segment;
};

struct config_stream {
    char *camera;
    char *name;
    char *url;      // as written, without credentials; NULL without CONFIG_SECRETS
    char *username; // NULL when none, or without CONFIG_SECRETS
    char *password; // NULL when none, or without CONFIG_SECRETS
    struct config_recording recording;
};

struct config_volume {
    char *path;
    struct config_amount min_free;
};

struct config {
    char *file; // the main file's path
    char *node;
    char *runtime;
    struct {
        char *database;
        char *cache;
        struct config_volume *volumes;
        size_t volume_count;
    } storage;
    struct {
        int64_t sync_us;
        enum config_hash hash; // of filed segments
    } recording;
    struct {
        char *path;
        struct config_list input_options;
        struct config_list output_options;
    } ffmpeg;
    struct {
        char *listen;            // "ADDRESS:PORT"
        struct config_list cors; // origins, as a browser writes them
    } http;
    enum config_webui webui;
    struct config_recording defaults; // for streams that are not configured any more
    struct config_stream *streams;    // ascending by camera, then by name
    size_t stream_count;
    struct config_hook **hooks; // all that streams point at
    size_t hook_count, hook_capacity;
    struct config_list warnings; // for the log, each complete with its place
};

enum {
    CONFIG_SECRETS = 1 << 0, // read URLs, user names and passwords too
};

struct config_source {
    const char *file; // -c FILE
    const char *data; // --data DIR, or NULL: sets the defaults of database, cache, volume, runtime
    const char *runtime; // --runtime DIR, or NULL: wins over the file, which wins over --data
    bool webui_external; // webui: external, where the file says nothing
    unsigned flags;
};

// Reads the configuration. Returns NULL with *cause set ("file:line:column: key: reason" where a
// place is at fault) on failure; nothing is half applied. Release with config_free().
struct config *config_load(const struct config_source *source, char **cause);
void config_free(struct config *config);

// The order of a configuration's streams, for qsort(3) and the like.
int config_stream_compare(const void *a, const void *b);

// The stream of that name, or NULL.
const struct config_stream *config_stream_find(
    const struct config *config, const char *camera, const char *stream);
