// Looking at a camera: whether it can be recorded, and how. The work is done by a child of ours
// (probe_child.h), so nothing here blocks; a bounded number of them at once.
#pragma once

#include <stdbool.h>

#include <ev.h>
#include <jansson.h>

enum {
    PROBE_AT_ONCE_MAX = 4,
};

struct probes;

// Gets the answer (docs/api.md describes it; its "ok" says whether the camera can be recorded),
// exactly once for each probe_start() that returned 0. The reference is the callee's.
typedef void (*probe_done_fn)(void *arg, json_t *report);

// `loop` must be libev's default loop. *environment is what the children get, looked up at each
// start (NULL: ours).
struct probes *probes_new(struct ev_loop *loop, char *const *const *environment);

// Ends what runs; each is told so.
void probes_free(struct probes *probes);

// Begins to probe a target (probe_target.h); takes the reference. The answer comes within 30 s.
// Returns 0, or -1 with *code and *cause set: "busy" when too many run already, else it can not be
// started.
int probe_start(struct probes *probes, json_t *target, probe_done_fn done, void *arg,
    const char **code, char **cause);

// Whether none runs; and the end of those that do, each of which is told `why`.
bool probes_are_idle(const struct probes *probes);
void probes_end(struct probes *probes, const char *why);
