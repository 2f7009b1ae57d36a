// The last lines that a child has said: bounded, repeated lines counted. Lines come in masked.
#pragma once

#include <stddef.h>

struct logcap;

struct logcap *logcap_new(void);
void logcap_free(struct logcap *log);

// Adds a line. Addresses ("@ 0x55ee…") and blanks at its end are dropped, so that the same
// complaint of another run is the same line. Returns how often the line has now been said in a row.
unsigned logcap_add(struct logcap *log, const char *line);

size_t logcap_count(const struct logcap *log);

// The line at `index`, 0 the oldest; *repeats is how often it was said in a row.
const char *logcap_line(const struct logcap *log, size_t index, unsigned *repeats);

// The newest line, or NULL.
const char *logcap_last(const struct logcap *log);
