// What a stream's ffmpegs use: processor time of all of them since the daemon began, memory of the
// one that runs.
#pragma once

#include <stdint.h>
#include <sys/types.h>

struct usage {
    int64_t ended_cpu_us;   // of those that have ended
    int64_t running_cpu_us; // of the one that runs, when it was looked at last
    int64_t resident_bytes; // its proportional set size; 0: not known
};

// Once a second while one runs. Looks at the time every five seconds and at the memory once a
// minute; `turn`, the second's number plus a number of the stream's own, spreads that.
void usage_tick(struct usage *usage, pid_t pid, uint64_t turn);

// It has ended and has used so much in all.
void usage_end(struct usage *usage, int64_t cpu_us);

// Never falls.
int64_t usage_cpu_us(const struct usage *usage);
