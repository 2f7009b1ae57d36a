// Why nothing comes from a stream that is watched: the supervisor knows whether it is off.
#pragma once

struct io;
struct live;
struct live_silence;

// Both must outlive it.
struct live_silence *live_silence_new(struct live *live, struct io *io);

// In the main thread, every second: has the supervisor asked, in an I/O thread, if there is such a
// stream.
void live_silence_tick(struct live_silence *silence);

// The I/O threads must have been stopped.
void live_silence_free(struct live_silence *silence);
