// Which POST comes from a page of ours, or from no page at all: another site's page can make a
// browser send one, but neither as JSON (without asking first, which is refused) nor under our
// name. Pure.
#pragma once

#include <stdbool.h>
#include <stdint.h>

// What a POST says of itself; NULL where a header is missing.
struct http_post {
    const char *content_type;
    const char *content_length;
    const char *transfer_encoding;
    const char *origin;
    const char *host;
    const char *fetch_site; // Sec-Fetch-Site
    bool is_allowed;        // its origin is one of http.cors
};

// Whether "application/json", whatever parameters follow.
bool http_guard_type(const char *content_type);

// Whether the request comes from the page at `host`, from one that may, or from no page.
bool http_guard_origin(const struct http_post *post);

// The status to refuse the request with, *code and *message saying why; 0 when it may go on. Bodies
// have a length, of at most `size_max`.
unsigned http_guard_check(
    const struct http_post *post, uint64_t size_max, const char **code, const char **message);

// The same for a request that changes something and has no body.
unsigned http_guard_bare(const struct http_post *request, const char **code, const char **message);
