// What one client has still to be sent, of one or several streams (its tiles), and what it is
// spared because its link is too slow. Pure; the caller locks.
//
// What is sent of a tile begins with a key frame: at first, after another init, where time does not
// run on, and after a drop. What has waited longer than LIVE_QUEUE_AGE_US, counted from its
// queueing, is dropped up to the next key frame; a key frame itself waits until a newer one is
// there, so that every tile still advances over a link that carries only those. The tile goes next
// that has waited longest for its turn, whatever it was spared meanwhile: that shares the link by
// age, not by bytes, and starves nobody.
#pragma once

#include "webui/live_fragment.h"

#define LIVE_QUEUE_AGE_US INT64_C(1000000)

enum {
    LIVE_FLAG_KEY = 1,           // begins with a key frame
    LIVE_FLAG_DISCONTINUITY = 2, // time does not run on from what was sent before
    LIVE_FLAG_NEW_RUN = 4,       // because another run has begun
    LIVE_FLAG_CATCH_UP = 8,      // fragments before it were dropped for this client
};

struct live_item {
    size_t tile;
    unsigned flags;
    bool needs_init; // the fragment's init has not been sent of this tile, or another one since
    struct live_fragment *fragment; // a reference that is the caller's
};

struct live_queue;

struct live_queue *live_queue_new(size_t tile_count);
void live_queue_free(struct live_queue *queue);

// Whether the client has asked for a tile's sound: fragments of sound alone are passed over
// otherwise.
void live_queue_set_sound(struct live_queue *queue, size_t tile, bool sound);

// Queues a fragment, or passes it over where a key frame must come first; takes a reference of its
// own.
void live_queue_put(
    struct live_queue *queue, size_t tile_index, struct live_fragment *fragment, int64_t now_us);

// Takes what is to be sent next. Returns false when nothing waits.
bool live_queue_take(struct live_queue *queue, int64_t now_us, struct live_item *item);

// Fragments dropped so far because they were too old.
uint64_t live_queue_dropped(const struct live_queue *queue);
