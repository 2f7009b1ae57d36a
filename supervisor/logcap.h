// The last lines that a child has said: bounded, repeated lines counted. Lines come in masked.
#pragma once

#include <stddef.h>

#include <jansson.h>

#include "supervisor/handover.h"

struct logcap;

struct logcap *logcap_new(void);
void logcap_free(struct logcap *log);

// Adds a line. Addresses ("@ 0x55ee…") and blanks at its end are dropped. A line that differs from
// one of the last few in its numbers only repeats that one (but numbers of three digits are status
// codes): it takes its place as the newest line. Returns how often it has been said.
unsigned logcap_add(struct logcap *log, const char *line);

size_t logcap_count(const struct logcap *log);

// The line at `index`, 0 the oldest, as it was said last; *repeats is how often it was said.
const char *logcap_line(const struct logcap *log, size_t index, unsigned *repeats);

// The newest line, or NULL.
const char *logcap_last(const struct logcap *log);

typedef void (*logcap_repeat_fn)(void *arg, const char *line, unsigned times);

// Calls the function for each line that has been repeated since it was first said, or since this
// was last called, with how often.
void logcap_tell_repeats(struct logcap *log, logcap_repeat_fn tell, void *arg);

// Goes on after an exec of ours. `log` must be empty.
json_t *logcap_hand_over(const struct logcap *log);
void logcap_take_over(struct handover_reader *reader, json_t *list, struct logcap *log);
