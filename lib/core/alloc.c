// Memory and strings that are always there. See alloc.h.
#include "lib/core/alloc.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/log.h"

static void *alloc_check(void *pointer, size_t size)
{
    if (pointer == NULL) {
        log_err("out of memory: %zu bytes were asked for; the process ends", size);
        abort();
    }
    return pointer;
}

void *xmalloc(size_t size)
{
    return alloc_check(malloc(size ? size : 1), size);
}

void *xcalloc(size_t count, size_t size)
{
    return alloc_check(calloc(count ? count : 1, size ? size : 1), count * size);
}

void *xreallocarray(void *pointer, size_t count, size_t size)
{
    return alloc_check(reallocarray(pointer, count ? count : 1, size ? size : 1), count * size);
}

char *xstrdup(const char *string)
{
    return alloc_check(strdup(string), strlen(string) + 1);
}

char *xstrndup(const char *string, size_t length_max)
{
    return alloc_check(strndup(string, length_max), length_max);
}

char *xvasprintf(const char *format, va_list args)
{
    char *string = NULL;
    if (vasprintf(&string, format, args) < 0)
        string = NULL;
    return alloc_check(string, 0);
}

char *xasprintf(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *string = xvasprintf(format, args);
    va_end(args);
    return string;
}
