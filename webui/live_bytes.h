// Fragments of a stream that is followed as a body: read from their files, each with its times
// shifted to the clock of HLS (the run's, from the run's start in seconds since 1970 on), as the
// archive's segments have it.
#pragma once

#include "webui/live_fragment.h"
#include "webui/reply.h"

// Takes the parts, an array of at least one with references of its own.
struct reply_stream *live_bytes_new(struct live_part *parts, size_t count, bool sound);
