// What keeps a camera from being recorded, as a code for machines and a text that says what to do.
// Pure.
#pragma once

#include <stdbool.h>

#include <jansson.h>

#include "lib/core/config.h"

struct probe_fault {
    const char *code; // a constant; NULL: all is well
    char *message;
};

// What the texts mention.
struct probe_fault_facts {
    const char *host; // with its port
    const char *path;
    const char *schemes; // of the login, as "Digest, Basic"; NULL when the camera did not say
    bool has_user;       // one was given
    const char *detail;  // somebody else's own words, masked; may be NULL
};

// The host and path of a stream's address, its secrets masked; the rest is nothing. Release both
// with probe_fault_place_fini().
struct probe_fault_facts probe_fault_place(const struct config_stream *stream);
void probe_fault_place_fini(struct probe_fault_facts *facts);

// By a code as ffmpeg's end has them ("refused", "timeout" …), or "not_rtsp".
void probe_fault_set(
    struct probe_fault *fault, const char *code, const struct probe_fault_facts *facts);

// By the status of an RTSP answer that is no success (RFC 2326, 7.1.1).
void probe_fault_status(
    struct probe_fault *fault, long status, const struct probe_fault_facts *facts);

void probe_fault_fini(struct probe_fault *fault);

// {"code", "message"}, or null when all is well.
json_t *probe_fault_json(const struct probe_fault *fault);

// A JSON string; bytes that are no UTF-8 become '?', and what is too long is cut.
json_t *probe_fault_text(const char *text);
