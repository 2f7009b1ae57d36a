// What of a stream is handed over to the supervisor that takes its place: all of it, its ffmpeg
// included, but for the configuration, which is read anew.
#pragma once

#include <jansson.h>

#include "supervisor/handover.h"
#include "supervisor/stream.h"

// The plain fields of a stream, for the tests: no other field may be forgotten.
extern const struct handover_table stream_handover_table;

json_t *stream_hand_over(struct handover_writer *writer, const struct stream *stream);

// Makes a stream as it was, without a configuration, and not in the queue for starts. `camera` and
// `name` are copied.
struct stream *stream_take_over(struct handover_reader *reader, json_t *object,
    struct stream_host *host, const char *camera, const char *name);
