// The JSON API: what footage there is, and whether all is well.
#pragma once

#include "webui/route.h"

extern const struct query_rule api_segments_rules[];

void api_health(struct worker *worker, const struct request *request, struct reply *reply);
void api_cameras(struct worker *worker, const struct request *request, struct reply *reply);
void api_camera(struct worker *worker, const struct request *request, struct reply *reply);
void api_segments(struct worker *worker, const struct request *request, struct reply *reply);

// In api_probe.c.
json_t *api_probe(const struct request *request, struct reply *reply);
