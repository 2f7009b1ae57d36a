// Messages to the service manager (sd_notify(3)); all do nothing where none listens.
#pragma once

#include <stdint.h>

// Sends "READY=1" and the like.
void notify_send(const char *state);

// How often "WATCHDOG=1" is expected, in microseconds; 0 when it is not.
int64_t notify_watchdog_us(void);
