// Puts commands to the supervisor and the indexer that may take half a minute, each in a thread of
// its own, so that neither the HTTP thread nor the I/O thread waits for it. A bounded number at
// once for each of the two; more are refused, none is queued.
#pragma once

#include <stdbool.h>

#include <jansson.h>

#include "webui/reply.h"

enum asker_peer {
    ASKER_SUPERVISOR,
    ASKER_INDEXER,
    ASKER_PEERS,
};

enum {
    ASKER_SUPERVISOR_MAX = 4, // at once
    ASKER_INDEXER_MAX = 16,
    ASKER_TIMEOUT_MS = 32000,
};

struct asker;

// Makes the reply of a command's result; takes the reference.
typedef void (*asker_answer_fn)(json_t *result, struct reply *reply);

// `runtime` is the directory of the sockets. Returns NULL with *cause set on failure.
struct asker *asker_new(const char *runtime, char **cause);

struct asker_question {
    enum asker_peer peer;
    json_t *command;        // taken
    asker_answer_fn answer; // NULL: the result as it is
};

// Puts a command. Returns true when done(arg) will be called, exactly once, in another thread, with
// *reply filled; until then the reply is the asker's. Returns false, with *reply filled, when it is
// refused.
bool asker_put(struct asker *asker, const struct asker_question *question, struct reply *reply,
    void (*done)(void *arg), void *arg);

// Gives up all that is being asked now; when it returns, each done() has been called.
void asker_cancel(struct asker *asker);

// The same, and refuses all that comes later.
void asker_stop(struct asker *asker);

// Stops it, too.
void asker_free(struct asker *asker);
