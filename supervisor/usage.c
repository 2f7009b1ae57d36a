// What a stream's ffmpegs use. See usage.h.
#include "supervisor/usage.h"

#include "supervisor/procfs.h"

enum {
    USAGE_CPU_TURNS = 5,
    USAGE_MEMORY_TURNS = 60,
};

static int64_t usage_max(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

void usage_tick(struct usage *usage, pid_t pid, uint64_t turn)
{
    if (turn % USAGE_CPU_TURNS == 0)
        usage->running_cpu_us = usage_max(usage->running_cpu_us, procfs_cpu_us(pid));
    if (turn % USAGE_MEMORY_TURNS == 0)
        usage->resident_bytes = usage_max(0, procfs_pss_bytes(pid));
}

void usage_end(struct usage *usage, int64_t cpu_us)
{
    usage->ended_cpu_us += usage_max(cpu_us, usage->running_cpu_us);
    usage->running_cpu_us = usage->resident_bytes = 0;
}

int64_t usage_cpu_us(const struct usage *usage)
{
    return usage->ended_cpu_us + usage->running_cpu_us;
}
