// Whether all threads of the web interface still answer. The supervisor hears a heartbeat, and
// systemd's watchdog is fed, only as long as they do: a main loop that goes round serves nobody
// alone.
#pragma once

#include <stdint.h>

struct http;
struct io;
struct pulse;

struct pulse *pulse_new(struct io *io);

// In the main thread, every second: asks the HTTP thread and the I/O thread, and gives a heartbeat
// once both have answered the question before. `http` may be another one each time.
void pulse_tick(struct pulse *pulse, struct http *http, int64_t now_us);

// The I/O thread must have been stopped.
void pulse_free(struct pulse *pulse);
