// A reload, from the request to what it has done: reads the configuration, checks what can be
// checked, and applies the difference. Whatever is wrong leaves everything as it was. A changed
// ffmpeg is asked for its version first, without waiting for it here.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "lib/core/ctl.h"

struct daemon;
struct reloader;

struct reloader *reloader_new(struct daemon *daemon);
void reloader_free(struct reloader *reloader);

// Begins a reload. `request` gets its result, or its cause when nothing was changed; NULL: nobody
// waits for it, and the log has it all the same. One that is under way begins anew, so that all who
// wait get the configuration as it is now.
void reloader_begin(struct reloader *reloader, struct ctl_request *request);

// Ends one that is under way, and refuses others.
void reloader_stop(struct reloader *reloader);

// How the last load or reload went: {"successful", "time", "error"}.
json_t *reloader_status(const struct reloader *reloader);

// Whether none is under way.
bool reloader_is_idle(const struct reloader *reloader);
