// GET /live/CAMERA/STREAM.mp4 and GET /live/mux: who may watch what, and how much of it.
#pragma once

#include "webui/route.h"

extern const struct query_rule live_stream_rules[];
extern const struct query_rule live_mux_rules[];

void live_handle_stream(struct worker *worker, const struct request *request, struct reply *reply);
void live_handle_mux(struct worker *worker, const struct request *request, struct reply *reply);
