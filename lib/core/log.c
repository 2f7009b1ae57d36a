// The log. See log.h.
#include "lib/core/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    LOG_LINE_MAX = 4096,
};

static const struct {
    const char *name;
    const char *journal_prefix;
} log_level_table[] = {
    [LOG_LEVEL_ERR] = {"error", "<3>"},
    [LOG_LEVEL_WARN] = {"warning", "<4>"},
    [LOG_LEVEL_INFO] = {"info", "<6>"},
    [LOG_LEVEL_DEBUG] = {"debug", "<7>"},
};

static const char *log_program = "keepframe";
static bool log_debug_enabled;
static bool log_to_journal;

void log_open(const char *program, bool debug)
{
    log_program = program;
    log_debug_enabled = debug;
    log_to_journal = getenv("JOURNAL_STREAM") != NULL && !isatty(STDERR_FILENO);
}

static size_t log_prefix(char *line, size_t size, enum log_level level)
{
    if (log_to_journal)
        return (size_t)snprintf(line, size, "%s", log_level_table[level].journal_prefix);
    struct timespec now;
    struct tm local;
    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &local);
    size_t length = strftime(line, size, "%Y-%m-%d %H:%M:%S", &local);
    length +=
        (size_t)snprintf(line + length, size - length, ".%03ld %s[%d] %s: ", now.tv_nsec / 1000000,
            log_program, (int)getpid(), log_level_table[level].name);
    return length;
}

void log_write(enum log_level level, const char *format, ...)
{
    if (level == LOG_LEVEL_DEBUG && !log_debug_enabled)
        return;
    int saved_errno = errno;
    char line[LOG_LINE_MAX];
    size_t start = log_prefix(line, sizeof(line), level);

    va_list args;
    va_start(args, format);
    int written = vsnprintf(line + start, sizeof(line) - start - 1, format, args);
    va_end(args);
    size_t length = start + (written < 0 ? 0 : (size_t)written);
    if (length > sizeof(line) - 2)
        length = sizeof(line) - 2;
    for (size_t i = start; i < length; i++) {
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = '?';
    }
    line[length++] = '\n';
    ssize_t ignored = write(STDERR_FILENO, line, length);
    (void)ignored;
    errno = saved_errno;
}
