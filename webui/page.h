// The page and its assets, which are built into the program.
#pragma once

#include "webui/route.h"

void page_handle(struct worker *worker, const struct request *request, struct reply *reply);
