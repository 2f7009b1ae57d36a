// The ffmpeg of a stream: how it is started, what is taken from what it says, what is made of its
// end.
#pragma once

#include "supervisor/stream.h"

// Opens a run and starts an ffmpeg for it. Returns 0, or -1 with *cause set; a run that could be
// opened is closed then.
int stream_recorder_start(struct stream *stream, char **cause);
