// The log: one line an event on stderr. Under journald each line carries its priority
// (sd-daemon(3)), elsewhere the local time, the program and the level stand before it. Lines are
// written whole, with one write(2), so those of several processes and threads never mix.
#pragma once

#include <stdarg.h>
#include <stdbool.h>

enum log_level {
    LOG_LEVEL_ERR,
    LOG_LEVEL_WARN,
    LOG_LEVEL_INFO,
    LOG_LEVEL_DEBUG,
};

// Names the program in each line. `program` must outlive the log. Not thread safe: call it first.
void log_open(const char *program, bool debug);

// Control characters in the finished text (a camera or a client may have sent them) become '?'.
void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_err(...) log_write(LOG_LEVEL_ERR, __VA_ARGS__)
#define log_warn(...) log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)
