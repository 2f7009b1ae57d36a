// An upgrade in place: SIGUSR2 has another program (the file that this one was started from, which
// may have been replaced) take over this process, with its pid, its children, their pipes, and all
// that is known of them (daemon_handover.h), so that no frame is lost.
//
// The new program shows first that it is able to, in a child that gets the state and the
// configuration and says yes or no; the loop goes on meanwhile. Then what cannot be handed over
// (a camera that is looked at, a client that waits) gets time to end. Whatever goes wrong before
// the exec leaves this program at work, and the log and `status` say so.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "supervisor/handover.h"

// The internal mode of the binary: `keepframe --check-handover ARGUMENTS-OF-THE-DAEMON`.
#define UPGRADE_CHECK_ARGUMENT "--check-handover"

struct daemon;
struct upgrade;

// `argv` is the daemon's own and must live as long.
struct upgrade *upgrade_new(struct daemon *daemon, char **argv);
void upgrade_free(struct upgrade *upgrade);

// Replaces the 30 s that the new program has to say whether it can take over.
void upgrade_set_patience(struct upgrade *upgrade, int64_t check_us);

// Begins one, unless one is under way.
void upgrade_begin(struct upgrade *upgrade);

// Whether the loop was ended so that upgrade_execute() be called: outside of it, no event that
// libev has taken from the kernel can be lost.
bool upgrade_is_due(const struct upgrade *upgrade);

// Becomes the new program. Returns when that could not be done; then all is as before.
void upgrade_execute(struct upgrade *upgrade);

// The descriptor that the program before has left for this one, or -1: this one starts afresh.
int upgrade_inherited(void);

// {"count", "failed", "time", "error"}: how many there were and how many came to nothing, when the
// last one ended, and why it came to nothing.
json_t *upgrade_status(const struct upgrade *upgrade);

// Counts the one that is being made.
json_t *upgrade_hand_over(const struct upgrade *upgrade);
void upgrade_take_over(struct handover_reader *reader, json_t *object, struct upgrade *upgrade);
