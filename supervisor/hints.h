// Hints on settings of the system that cost footage or speed, each with what it costs and the
// command that changes it. The judge is pure: facts in, text out. docs/operations.md explains each.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct config;

// What was found out; 0, false or NULL where that was not possible: what is not known gets no hint.
struct hints_facts {
    size_t stream_count; // those that are recorded
    int64_t sync_us;     // recording.sync
    int64_t memory_bytes;
    int64_t dirty_limit_bytes;      // where who writes has to wait
    int64_t dirty_background_bytes; // where the kernel begins to write
    int64_t open_files;             // RLIMIT_NOFILE, the hard one
    int64_t processes;              // of our user, or of all
    int64_t inotify_watches;        // of our user
    int64_t inotify_instances;
    bool is_clock_loose;             // nothing keeps it right
    bool has_rotating_disk;          // under the cache or a volume
    const char *memory_cache;        // the cache, where that lies in memory
    const char *rotating_cache;      // where that lies on a disk that turns
    const char *strict_atime_volume; // a volume where each read writes the time of access
    const char *forbidden_path;      // what the installed service may not write
};

// Adds one line for each hint.
void hints_judge(const struct hints_facts *facts, struct buf *lines);

// Asks the system. The paths belong to the configuration.
void hints_read(const struct config *config, struct hints_facts *facts);

// Writes the hints to the log.
void hints_log(const struct config *config);

// Whether no time service keeps the clock right, as the kernel says; false where it can not be
// asked.
bool hints_is_clock_loose(void);
