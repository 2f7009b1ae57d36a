// The addresses of Cameraleech, for installations whose monitoring asks them: a list of cameras and
// one figure an address, as a bare number. A camera's figures are those of its stream "main", or of
// its only or first stream where none is called so.
#pragma once

#include "webui/route.h"

void cameraleech_cameras(struct worker *worker, const struct request *request, struct reply *reply);

// Which figure is asked for is the last word of the path.
void cameraleech_figure(struct worker *worker, const struct request *request, struct reply *reply);
