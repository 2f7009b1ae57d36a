// Writes the catalog: gathers rows and commits them together, once a second, in a thread of its own
// that owns the catalog's writing handle. What must be durable before something else happens says
// so by its done() callback.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "indexer/filing.h"
#include "lib/media/catalog_lock.h"

struct ev_loop;
struct committer;

enum commit_kind {
    COMMIT_SEGMENT,
    COMMIT_RUN,
    COMMIT_DISCARD,      // a row becomes garbage
    COMMIT_GARBAGE_DONE, // a file of the garbage is gone
    COMMIT_EXPIRE,       // forget runs and days of frames that nothing needs any more
    COMMIT_CALL,         // whatever apply() does
};

// One change. Who puts it in owns it again in done(), which is called in the loop once the change
// is durable; until then nobody else touches it.
struct commit {
    enum commit_kind kind;
    void (*done)(struct commit *commit);
    void *arg;

    // COMMIT_SEGMENT and COMMIT_RUN; the ids in `run` and `row` are filled in.
    char camera[SEGMENT_NAME_MAX];
    char stream[SEGMENT_NAME_MAX];
    struct catalog_run run;
    struct filing *filing;
    int64_t volume_id;
    bool known; // the catalog had that segment already

    struct catalog_segment segment; // COMMIT_DISCARD, the commit's own
    bool unless_locked;             // it stays when a lock of `camera` and `stream` holds it
    int64_t now_us;                 // at that time
    const char *reason;
    int64_t garbage_id; // COMMIT_GARBAGE_DONE
    int64_t before_us;  // COMMIT_EXPIRE: runs that ended before

    // COMMIT_CALL: called in the committer's thread, within its transaction, and again when that
    // failed as a whole. Anything but CATALOG_OK makes it fail.
    enum catalog_status (*apply)(struct catalog *catalog, struct commit *commit, char **cause);
    void (*drop)(struct commit *commit); // in place of done(), when it was given up

    struct commit *next; // the committer's own
};

// Takes the catalog over.
struct committer *committer_new(struct ev_loop *loop, struct catalog *catalog);

// Commits what waits, calls every done() that is due, and closes the catalog. What can not be
// committed is given to `drop`.
void committer_free(struct committer *committer, void (*drop)(struct commit *commit));

void committer_put(struct committer *committer, struct commit *commit);

// Has `fn` called in the loop after each round, before any done(), with the ledger's lines
// (catalog_ledger.h) of what has changed durably. For the start.
void committer_watch(
    struct committer *committer, void (*fn)(const struct buf *lines, void *arg), void *arg);

// Changes that are not durable yet, and why the last attempt failed (NULL when it did not).
size_t committer_pending(const struct committer *committer);
const char *committer_trouble(const struct committer *committer);

// Somebody waits for what was put in last: commits as soon as that can be, ten times a second at
// most.
void committer_hurry(struct committer *committer);

// For the loop's second: starts a commit when there is something to do and none is under way.
void committer_tick(struct committer *committer);
