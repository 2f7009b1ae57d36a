// How the daemon and its streams are doing, as JSON and as lines for the log.
#pragma once

#include <jansson.h>

#include "supervisor/daemon.h"

// One of the daemon's streams; with `with_log` also the last lines of its ffmpeg.
json_t *status_stream(const struct daemon *daemon, const struct stream *stream, bool with_log);

// Everything.
json_t *status_daemon(const struct daemon *daemon);

// Writes everything to the log.
void status_log(const struct daemon *daemon);
