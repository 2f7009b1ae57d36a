// How long the event loop's turns take: what happens while a turn goes on waits until its end.
#pragma once

#include <stdint.h>

#include <ev.h>
#include <jansson.h>

#include "lib/core/histogram.h"
#include "supervisor/handover.h"

struct loopmeter {
    struct ev_loop *loop;
    ev_check check;
    ev_prepare prepare;
    int64_t awake_us;       // monotonic, when the current turn began; 0 before the first
    struct histogram delay; // seconds
};

// Measures from now on; does not keep the loop alive.
void loopmeter_start(struct loopmeter *meter, struct ev_loop *loop);
void loopmeter_stop(struct loopmeter *meter);

// Goes on after an exec of ours; it must have been started. What was measured within other bounds
// is forgotten.
json_t *loopmeter_hand_over(const struct loopmeter *meter);
void loopmeter_take_over(struct handover_reader *reader, json_t *object, struct loopmeter *meter);
