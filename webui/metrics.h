// GET /metrics: how everything is doing, in Prometheus' text format. Whatever is asked of a program
// that does not answer is absent, and keepframe_program_up says which one that is.
#pragma once

#include "webui/route.h"

void metrics_handle(struct worker *worker, const struct request *request, struct reply *reply);
