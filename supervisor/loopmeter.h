// How long the event loop's turns take: what happens while a turn goes on waits until its end.
#pragma once

#include <stdint.h>

#include <ev.h>

#include "lib/core/histogram.h"

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
