// Prometheus' text format (exposition format 0.0.4): one metric after the other, each with its help
// and type before its first sample.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/core/buf.h"

#define PROMTEXT_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

enum promtext_type {
    PROMTEXT_COUNTER,
    PROMTEXT_GAUGE,
    PROMTEXT_HISTOGRAM,
};

struct promtext {
    struct buf *out;
    const char *name;
    enum promtext_type type;
    const char *help;
    bool begun; // help and type are written
};

struct promtext_label {
    const char *name;  // NULL: not there
    const char *value; // any text
};

enum {
    PROMTEXT_LABELS_MAX = 3,
};

// Begins a metric of that name; `help` is one sentence. Nothing is written before its first sample.
void promtext_begin(struct promtext *text, struct buf *out, const char *name,
    enum promtext_type type, const char *help);

// Writes a sample. Unused labels are zeroed.
void promtext_put(
    struct promtext *text, const struct promtext_label labels[PROMTEXT_LABELS_MAX], double value);

// Writes a histogram: `counts` has the observations of each bucket alone, one more than there are
// bounds. `label` stands in every sample, or is zeroed.
void promtext_put_histogram(struct promtext *text, struct promtext_label label,
    const double *bounds, const double *counts, size_t bound_count, double sum);
