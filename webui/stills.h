// GET /frame/CAMERA/STREAM.mp4: the key frame at or before a moment; and
// GET /timelapse/CAMERA/STREAM.mp4: a range of key frames in quick succession.
#pragma once

#include "webui/route.h"

extern const struct query_rule stills_frame_rules[];
extern const struct query_rule stills_timelapse_rules[];

void stills_frame(struct worker *worker, const struct request *request, struct reply *reply);
void stills_timelapse(struct worker *worker, const struct request *request, struct reply *reply);
