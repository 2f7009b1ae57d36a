// The runs of a stream on disk, one file for each: the one that goes on, and ended ones whose end
// could not be written yet.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/core/runfile.h"
#include "supervisor/reason.h"

struct stream_run {
    struct runfile open; // open.run is 0 while none is
    struct runfile *unnoted;
    size_t unnoted_count;
    size_t unnoted_capacity;
};

// Opens a run in the stream's directory (CACHE/CAMERA/STREAM), which is made if need be. Returns 0,
// or -1 with *cause set.
int stream_run_open(struct stream_run *run, const char *directory, const char *node, char **cause);

// Ends the open run, if there is one. A failure is logged and tried again by stream_run_retry().
void stream_run_close(
    struct stream_run *run, const char *directory, enum reason reason, const char *words);

// Tries again what a full disk, say, has refused.
void stream_run_retry(struct stream_run *run, const char *directory);

// Tries a last time.
void stream_run_fini(struct stream_run *run, const char *directory);
