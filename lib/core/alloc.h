// Memory and strings that are always there: running out of memory ends the process in one place,
// so no caller has a branch for it. Release with free().
#pragma once

#include <stdarg.h>
#include <stddef.h>

// Zero bytes yield a unique pointer, never NULL.
void *xmalloc(size_t size);
void *xcalloc(size_t count, size_t size);

// The product count × size is checked for overflow.
void *xreallocarray(void *pointer, size_t count, size_t size);

char *xstrdup(const char *string);
char *xstrndup(const char *string, size_t length_max);

// A new string made by printf's rules; the caller owns it.
char *xasprintf(const char *format, ...) __attribute__((format(printf, 1, 2)));
char *xvasprintf(const char *format, va_list args) __attribute__((format(printf, 1, 0)));

// Grows an array so that one more element fits: doubles *capacity when *array holds `count`.
#define ARRAY_RESERVE(array, count, capacity)                                                      \
    do {                                                                                           \
        if ((count) >= (capacity)) {                                                               \
            (capacity) = (capacity) ? (capacity)*2 : 16;                                           \
            (array) = xreallocarray((array), (capacity), sizeof(*(array)));                        \
        }                                                                                          \
    } while (0)

#define ARRAY_LENGTH(array) (sizeof(array) / sizeof((array)[0]))
