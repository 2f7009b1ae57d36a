// Tells the supervisor of segments that have been filed, for its hooks. It never makes the loop
// wait: what the supervisor does not take (it is away, or slow) is dropped and counted.
#pragma once

#include <stdint.h>

#include <ev.h>
#include <jansson.h>

struct announce;
struct filing;
struct indexer;

// `path` is that of the supervisor's control.sock.
struct announce *announce_new(struct ev_loop *loop, const char *path);
void announce_free(struct announce *announce);

struct announce_segment {
    const char *camera;
    const char *stream;
    const char *id;   // CAMERA/STREAM/RUN-NNNNNN
    const char *path; // of the file
    int64_t start_us;
    int64_t end_us;
    uint64_t bytes;
};

void announce_put(struct announce *announce, const struct announce_segment *segment);

// The same of a segment whose row has been committed, if its stream has a hook for that.
void announce_filed(struct indexer *indexer, const struct filing *filing);

// {"sent", "dropped", "waiting"}
json_t *announce_status(const struct announce *announce);
