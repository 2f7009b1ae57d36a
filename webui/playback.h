// GET /video/CAMERA/STREAM.mp4: any range of a stream as one file; and its map, which tells when
// what of it was recorded.
#pragma once

#include "webui/layout.h"
#include "webui/route.h"

// Their places in the values of a request; the last two are those of a map alone.
enum {
    PLAYBACK_START,
    PLAYBACK_END,
    PLAYBACK_DURATION,
    PLAYBACK_AUDIO,
    PLAYBACK_GAPS,
    PLAYBACK_START_AT,
    PLAYBACK_DOWNLOAD,
    PLAYBACK_CODEC,
    PLAYBACK_LIMIT,
    PLAYBACK_CURSOR,
};

extern const struct query_rule playback_rules[];
extern const struct query_rule playback_map_rules[];

void playback_handle(struct worker *worker, const struct request *request, struct reply *reply);
void playback_map(struct worker *worker, const struct request *request, struct reply *reply);

// The file that a request asks for: a reference for the caller, or NULL with the reply filled.
struct layout *playback_layout(
    struct worker *worker, const struct request *request, struct reply *reply);
