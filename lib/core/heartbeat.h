// Signs of life from a program to the supervisor that started it: a line a second on a descriptor
// that it inherited. To be called from the program's main loop alone, so that a loop that hangs is
// silent. A program that was started by hand has nobody to tell, and says nothing.
#pragma once

#include <stdint.h>

// The environment variable that holds the descriptor's number.
#define HEARTBEAT_VARIABLE "KEEPFRAME_HEARTBEAT"

struct heartbeat {
    int fd; // -1: nobody listens
    int64_t beat_us;
};

// Takes the descriptor over: what we start ourselves does not inherit it.
void heartbeat_open(struct heartbeat *heartbeat);

// Says that the loop goes round, once a second at most. Never blocks.
void heartbeat_beat(struct heartbeat *heartbeat, int64_t now_us);

void heartbeat_close(struct heartbeat *heartbeat);
