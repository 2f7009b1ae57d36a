// What is to be probed: an address with its credentials, and what the configuration says about it.
// It travels as JSON to the probing child, over a pipe.
#pragma once

#include <stdbool.h>

#include <jansson.h>

#include "lib/core/config.h"

struct probe_target {
    struct config config;        // of it only `ffmpeg` is used
    struct config_stream stream; // camera and name are NULL where only an address is known
    char *password_file;         // for the answer; NULL when it is not known
};

// A configured stream. A new reference.
json_t *probe_target_stream(const struct config *config, const struct config_stream *stream);

// An address that may carry a user and a password of its own. The others may be NULL; without a
// configuration the defaults count. Returns NULL with *cause set, which repeats none of them, and
// *field the argument at fault.
json_t *probe_target_url(const struct config *config, const char *url, const char *username,
    const char *password, const char *password_file, const char **field, char **cause);

// Reads what the two above have made. Returns 0, or -1 with *cause set. Release with
// probe_target_fini() in any case.
int probe_target_read(const char *text, struct probe_target *target, char **cause);
void probe_target_fini(struct probe_target *target);
