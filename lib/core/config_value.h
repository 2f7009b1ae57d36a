// Single values of the configuration as text: durations, sizes, listening addresses, RTSP URLs,
// environment references, names. Pure: no files, and the environment is only read where the
// function says so. A `reason` is a constant or allocated text without the value itself where the
// value may be a secret.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/core/config.h"
#include "lib/core/timeutil.h"

// "60s", "250ms", "14d", "0". False for anything else, and when it overflows.
bool config_duration_parse(const char *text, int64_t *duration_us);

// The shortest text that config_duration_parse() reads back to the same value, in whole
// milliseconds.
void config_duration_format(int64_t duration_us, char text[TIME_TEXT_SIZE]);

// "5%" (up to 99%) or a size: "500GiB", "0".
bool config_amount_parse(const char *text, struct config_amount *amount);

bool config_bool_parse(const char *text, bool *value);

// Whether a camera or a stream may be called so: [a-z0-9][a-z0-9_-]{0,62}.
bool config_name_valid(const char *name);

// Whether the text has a control character (which no value may have).
bool config_has_control(const char *text);

// Replaces ${NAME} by the environment's value and $${ by ${. Returns new text, or NULL with
// *reason (allocated) set.
char *config_expand(const char *text, char **reason);

// ADDRESS:PORT with a numeric loopback address ("[::1]:8080"; "localhost" is 127.0.0.1, port 0 the
// kernel's choice). Returns the canonical text, or NULL with *reason (allocated) set.
char *config_listen_parse(const char *text, char **reason);

// A web origin (RFC 6454, 6.2): http or https, host, port. Returns it as a browser writes it (in
// small letters, without the scheme's own port), or NULL when it is none.
char *config_origin_parse(const char *text);

// Whether the text is an http:// or https:// URL with a host. Returns NULL, or the reason why not
// (a constant, never with a part of the URL in it).
const char *config_webhook_check(const char *text);

struct config_url {
    char *url;      // without user and password
    char *username; // percent-decoded; NULL when the URL carries none
    char *password;
};

// Splits an rtsp:// or rtsps:// URL. Returns 0, or -1 with *reason (a constant, never with a part
// of the URL in it) set.
int config_url_parse(const char *text, struct config_url *url, const char **reason);
void config_url_fini(struct config_url *url);
