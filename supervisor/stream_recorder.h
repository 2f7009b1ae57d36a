// The ffmpeg of a stream: how it is started, what is taken from what it says, what is made of its
// end.
#pragma once

#include <jansson.h>

#include "supervisor/handover.h"
#include "supervisor/stream.h"

// Opens a run and starts an ffmpeg for it. Returns 0, or -1 with *cause set; a run that could be
// opened is closed then.
int stream_recorder_start(struct stream *stream, char **cause);

// Goes on with the ffmpeg that a supervisor before has handed over.
void stream_recorder_take_over(
    struct handover_reader *reader, json_t *object, struct stream *stream);
