// Locks for running downloads, so that retention does not take away what is still to be sent. A
// download that takes longer than some seconds gets a lock from the indexer, which expires by
// itself soon; as long as the download runs it is renewed. Without an indexer, downloads go on
// without.
#pragma once

#include <stdint.h>

struct hold;
struct holds;

// Starts the thread that asks the indexer; `runtime` is the directory of its socket. Returns NULL
// with *cause set on failure.
struct holds *holds_new(const char *runtime, char **cause);

// Every hold must have ended. Takes the locks away that are left, if the indexer answers.
void holds_free(struct holds *holds);

// A download begins that needs a stream's footage of that time. In any thread.
struct hold *holds_begin(
    struct holds *holds, const char *camera, const char *stream, int64_t start_us, int64_t end_us);

// It has ended; NULL is legal. In any thread, and never waits for the indexer.
void hold_end(struct hold *hold);
