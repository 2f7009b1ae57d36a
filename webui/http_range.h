// Conditional and range requests (RFC 9110, 13 and 14), decided from header texts alone.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct http_conditions {
    const char *range; // each NULL when the request has no such header
    const char *if_range;
    const char *if_match;
    const char *if_none_match;
    const char *if_modified_since;
    const char *if_unmodified_since;
};

struct http_entity {
    const char *etag;   // strong, with its quotes
    int64_t modified_s; // epoch seconds; 0: not known
    uint64_t size;
};

struct http_outcome {
    unsigned status; // 200, 206, 304, 412 or 416
    uint64_t offset; // of what is sent, for 200 and 206
    uint64_t length;
};

// `head`: ranges are for GET alone (14.2). Several ranges are answered with the whole, as are those
// that are not written as they must be.
void http_decide(const struct http_conditions *conditions, const struct http_entity *entity,
    bool head, struct http_outcome *outcome);

enum {
    HTTP_DATE_SIZE = 32,
};

// "Sun, 06 Nov 1994 08:49:37 GMT" (5.6.7).
void http_format_date(int64_t time_s, char text[HTTP_DATE_SIZE]);
bool http_parse_date(const char *text, int64_t *time_s);
