// What the supervisor says of its streams and programs, asked over control.sock and remembered for
// a second. Only the I/O thread touches it.
#pragma once

#include <stdbool.h>

#include "webui/conf.h"

struct supervisor;

struct supervisor *supervisor_new(void);
void supervisor_free(struct supervisor *supervisor);

// Ask anew next time.
void supervisor_forget(struct supervisor *supervisor);

// The state of a stream, as "recording"; "unknown" when the supervisor does not answer or does not
// know it. Valid until the next call.
const char *supervisor_stream_state(
    struct supervisor *supervisor, const struct conf *conf, const char *camera, const char *stream);

// What is wrong with the recorder: NULL when all is well, else a reason for the caller to free.
char *supervisor_complaint(struct supervisor *supervisor, const struct conf *conf);
