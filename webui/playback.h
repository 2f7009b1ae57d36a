// GET /video/CAMERA/STREAM.mp4: any range of a stream as one file.
#pragma once

#include "webui/route.h"

extern const struct query_rule playback_rules[];

void playback_handle(struct worker *worker, const struct request *request, struct reply *reply);
