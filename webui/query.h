// The query part of a request, read strictly by a table of the parameters that its route knows: an
// unknown, doubled, missing or bad one is an error that names it.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum query_type {
    QUERY_TIME,     // RFC 3339 with offset, or epoch seconds: UTC microseconds
    QUERY_DURATION, // 90s, 10m, 1h, 1500ms, 1d, or seconds with decimals: microseconds, > 0
    QUERY_FLAG,     // 0 or 1
    QUERY_CHOICE,   // index into `choices`
    QUERY_INTEGER,  // within `min` and `max`
    QUERY_TEXT,
    QUERY_RAW, // of any length, not unescaped: `raw` and `raw_length`
};

enum {
    QUERY_PARAMETERS_MAX = 12,
    QUERY_TEXT_SIZE = 128,
};

struct query_rule {
    const char *name; // NULL ends a table
    enum query_type type;
    bool required;
    int64_t fallback; // what `number` is when it is not given
    int64_t min;
    int64_t max;
    const char *const *choices; // NULL ends them
};

struct query_value {
    bool given;
    int64_t number;
    char text[QUERY_TEXT_SIZE];
    const char *raw; // within the query; lives as long as that
    size_t raw_length;
};

struct query_error {
    const char *code; // "unknown_parameter" and so on
    char field[64];
    char message[192];
};

// Reads the text behind '?' (NULL: there is none) into values[], which stand in the order of the
// rules. Returns false with `error` filled on failure.
bool query_parse(const char *query, const struct query_rule *rules,
    struct query_value values[QUERY_PARAMETERS_MAX], struct query_error *error);

// Undoes percent-encoding of the `length` bytes at `text` into `out` (a NUL is put behind them);
// with `plus` a '+' becomes a space. Returns false when it does not fit, a '%' is not followed by
// two hex digits, or a control character would come out.
bool query_unescape(const char *text, size_t length, bool plus, char *out, size_t out_size);
