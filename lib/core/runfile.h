// RUN.json: what the supervisor tells the others about one life of a recorder. It stands beside the
// run's segments as CACHE/CAMERA/STREAM/RUN.json, where RUN is the run's number.
#pragma once

#include <stdint.h>

struct runfile {
    char *camera;
    char *stream;
    int64_t
        run; // start of the run in epoch milliseconds; greater than every earlier run of the stream
    char *node;
    int64_t start_us;
    int64_t end_us; // 0 while the run lives
    char *reason;   // why it ended, NULL while it lives
    char *detail;   // last words of the recorder, secrets masked; may be NULL
};

void runfile_fini(struct runfile *runfile);

// Reads `path`. Returns 0, or -1 with *cause set; `runfile` then needs no fini.
int runfile_load(struct runfile *runfile, const char *path, char **cause);

// Writes `path` under a temporary name and renames it. Returns 0, or -1 with *cause set.
int runfile_store(const struct runfile *runfile, const char *path, char **cause);
