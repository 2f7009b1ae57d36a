// The supervisor as a whole, handed over from one program to the one that takes its place in the
// same process: see handover.h for the format, upgrade.h for how that comes about.
#pragma once

#include "supervisor/daemon.h"
#include "supervisor/handover.h"

// Writes all that must live on into a sealed memfd. Returns its descriptor, or -1 with *cause set.
int daemon_hand_over(const struct daemon *daemon, struct handover_writer *writer, char **cause);

// Goes on where the one before was, with a configuration that may have changed meanwhile; it is
// applied as a reload applies it. `fd` is the memfd, taken. Signals are to be blocked, and are let
// in at the end. Returns an exit code; 0 to go on.
int daemon_resume(struct daemon *daemon, int fd, char **cause);

// The internal mode in which a new program shows that it would be able to: reads everything,
// configuration included, touches nothing, and answers on descriptor SPAWN_PROGRESS_FD with
// "yes VERSION" or "no CAUSE". Returns an exit code.
int daemon_check_handover(const struct config_source *source);
