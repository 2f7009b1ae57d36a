// One stream as one MP4 without an end: fragments of any runs, one behind the other on a clock of
// the client's own. Pure.
#pragma once

#include "webui/live_queue.h"

// Where presentation begins on the client's clock: late enough that no decode time lies before 0.
#define LIVE_MOVIE_START_US INT64_C(1000000)

// A gap in the stream's own time that the client is spared.
#define LIVE_MOVIE_GAP_US INT64_C(200000)

struct live_movie {
    bool sound;
    int64_t shift_us; // from the stream's clock to the client's
    int64_t end_us;   // of what was sent, on the client's clock; 0: nothing yet
    uint32_t sequence;
    struct live_init *init; // that was sent last
};

void live_movie_fini(struct live_movie *movie);

// Appends what goes before the fragment's media data: the init if the client needs one, and the
// moof, its decode times shifted such that presentation goes on where it ended. Returns false when
// the fragment can not go into the same movie, as it has other tracks or another codec.
bool live_movie_put(
    struct live_movie *movie, const struct live_item *item, struct buf *head, char **cause);

// Appends a box without meaning, to see whether the client is still there.
void live_movie_put_nothing(struct buf *head);
