// What the web interface is told by the supervisor: RUNTIME/webui.json. No camera's secret stands
// in it. A configuration is immutable and shared by references; a reload makes a new one.
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conf_stream {
    char *camera;
    char *stream;
    int64_t segment_us;
    int64_t latency_us;
    int64_t continuous_us; // how long footage is to be kept; 0: not known
    bool enabled;
};

struct conf {
    atomic_uint references;
    char *runtime; // the directory that it was read from
    char *node;
    char *database;
    char *cache;
    char *listen;
    char **cors; // origins whose pages may ask us
    size_t cors_count;
    char **volumes; // paths
    size_t volume_count;
    struct conf_stream *streams; // ascending by camera, then by name
    size_t stream_count;
};

// Reads RUNTIME/webui.json. Returns NULL with *cause set on failure, else with one reference, the
// caller's.
struct conf *conf_load(const char *runtime, char **cause);
void conf_retain(struct conf *conf);
void conf_release(struct conf *conf); // NULL is legal; in any thread

// The stream of that name, or NULL.
const struct conf_stream *conf_find(
    const struct conf *conf, const char *camera, const char *stream);
