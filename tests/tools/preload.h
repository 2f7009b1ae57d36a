// What the preload libraries of the tests share. They call the kernel themselves instead of looking
// for the function that they stand in front of: so it does not matter who else stands there
// (AddressSanitizer, say), nor whether the loader is done yet.
#pragma once

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

_Static_assert(sizeof(long) == 8, "offsets are passed to the kernel in one register");

// Whether the C library has begun already, so that there are an environment and a program name.
// AddressSanitizer opens and reads files before.
static inline bool preload_is_begun(void)
{
    return *program_invocation_short_name != '\0';
}

// Whether this process is meant: the variable is unset or names the program.
static inline bool preload_is_meant(const char *variable)
{
    const char *name = getenv(variable);

    return !name || strcmp(name, program_invocation_short_name) == 0;
}

enum {
    PRELOAD_PATH_SIZE = 8192,
};

// The path of `fd`, or of `path` relative to it.
static inline void preload_path(char full[PRELOAD_PATH_SIZE], int fd, const char *path)
{
    char link[32];
    ssize_t length = 0;

    if (fd >= 0 && !(path && path[0] == '/')) {
        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        length = readlink(link, full, PRELOAD_PATH_SIZE / 2);
        length = length < 0 ? 0 : length;
    }
    snprintf(full + length, PRELOAD_PATH_SIZE - (size_t)length, "/%s", path ? path : "");
}

// Whether that path contains `pattern`.
static inline bool preload_matches(const char *pattern, int fd, const char *path)
{
    char full[PRELOAD_PATH_SIZE];

    preload_path(full, fd, path);
    return strstr(full, pattern) != NULL;
}
