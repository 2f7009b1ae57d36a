// Runs on disk: their numbers, their names in CACHE/CAMERA/STREAM/, and the end of those whose
// supervisor died.
#pragma once

#include <stdint.h>

#include "lib/core/runfile.h"

// The number of a new run: `now_ms`, or what makes it greater than every earlier one of the stream
// (the files of the directory and its .last-run tell), whatever the clock does. It is recorded
// before it is returned. Returns 0 with *cause set on failure.
int64_t run_reserve(const char *directory, int64_t now_ms, char **cause);

// "DIRECTORY/RUN.json" and "DIRECTORY/RUN-NNNNNN.mp4". New strings, the caller's.
char *run_file_path(const char *directory, int64_t run);
char *run_segment_path(const char *directory, int64_t run, int64_t number);

// What the names tell of a run of that directory (CACHE/CAMERA/STREAM). The caller owns it.
struct runfile run_named(const char *directory, int64_t run, const char *node);

// Ends all runs of the cache that have no end, with the reason `supervisor_died` and the time of
// the last write to one of their files, and removes half-written run files. What can not be read or
// written is logged; a run file that a power cut has left blank is written anew from its name and
// `node`. Returns how many runs it ended.
int run_end_stale(const char *cache, const char *node);
