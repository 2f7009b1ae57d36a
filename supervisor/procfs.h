// What /proc says of a process: the processor time and the memory that it has used.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

// Takes user and system time out of /proc/PID/stat (proc(5)): clock ticks. Returns false when the
// text is not what it should be.
bool procfs_parse_stat(const char *text, int64_t *ticks);

// Takes the proportional set size out of /proc/PID/smaps_rollup. Returns false when there is none.
bool procfs_parse_pss(const char *text, int64_t *size_bytes);

// The processor time so far in microseconds, to the clock tick; -1 when there is no such process.
int64_t procfs_cpu_us(pid_t pid);

// The proportional set size in bytes, or -1. Takes the kernel nearly a millisecond.
int64_t procfs_pss_bytes(pid_t pid);
