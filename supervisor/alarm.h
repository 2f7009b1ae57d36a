// Tells the hooks of a stream that it is down, or up again.
#pragma once

#include <stdint.h>

#include "supervisor/hooks.h"
#include "supervisor/stream.h"

// Once a second for each stream.
void alarm_look(struct hooks *hooks, struct stream *stream, int64_t now_us);
