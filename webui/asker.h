// Puts commands to the supervisor that may take half a minute, each in a thread of its own, so that
// neither the HTTP thread nor the I/O thread waits for it. A bounded number at once; more are
// refused, none is queued.
#pragma once

#include <stdbool.h>

#include <jansson.h>

#include "webui/reply.h"

enum {
    ASKER_AT_ONCE_MAX = 4,
    ASKER_TIMEOUT_MS = 32000,
};

struct asker;

// `runtime` is the directory of control.sock. Returns NULL with *cause set on failure.
struct asker *asker_new(const char *runtime, char **cause);

// Puts the command (takes the reference). Returns true when done(arg) will be called, exactly once,
// in another thread, with *reply filled; until then the reply is the asker's. Returns false, with
// *reply filled, when it is refused.
bool asker_put(
    struct asker *asker, json_t *command, struct reply *reply, void (*done)(void *arg), void *arg);

// Gives up all that is being asked now; when it returns, each done() has been called.
void asker_cancel(struct asker *asker);

// The same, and refuses all that comes later.
void asker_stop(struct asker *asker);

// Stops it, too.
void asker_free(struct asker *asker);
