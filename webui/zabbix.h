// What Zabbix asks: which streams there are, and all figures in one answer, from which dependent
// items take theirs. The shape is described in docs/api.md; a figure that is not known is absent,
// never null.
#pragma once

#include "webui/route.h"

void zabbix_discovery(struct worker *worker, const struct request *request, struct reply *reply);
void zabbix_items(struct worker *worker, const struct request *request, struct reply *reply);
