// The piece of configuration with which a camera is recorded. Pure.
#pragma once

#include <stdbool.h>

#include "lib/core/buf.h"

struct probe_stanza {
    const char *camera; // NULL: a name is made from the address
    const char *stream; // NULL: main
    const char *url;    // without user and password
    const char *username;
    bool has_password;
    const char *password_file; // where the password stands; NULL: a usual place
    const char *transport;     // only where it must be said, else NULL
};

// Appends YAML text, `cameras:` with one camera.
void probe_stanza_put(struct buf *out, const struct probe_stanza *stanza);

// Appends a text as one YAML scalar that keepframe reads back as it was.
void probe_stanza_put_scalar(struct buf *out, const char *text);
