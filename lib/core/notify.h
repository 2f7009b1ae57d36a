// Messages to the service manager (sd_notify(3)); all do nothing where none listens.
#pragma once

// Sends "READY=1" and the like.
void notify_send(const char *state);

// Sends "WATCHDOG=1" where that is expected (WatchdogSec=). For the main loop's tick alone: who
// calls it elsewhere hides a loop that hangs.
void notify_alive(void);
