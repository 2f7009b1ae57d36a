// Whose turn it is to start: of all that wait, at most ten in any second, first come, first served.
// Those that have failed again and again have a queue of their own and get every other turn, so
// that a healthy camera's blip does not wait behind hundreds that are dead, nor they behind it.
// Pure: callers pass the monotonic time.
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum start_class {
    START_FRESH,
    START_RETRY,
    START_CLASS_COUNT,
};

// One that may wait; zeros do not. It must leave before it goes.
struct start_turn {
    struct start_turn *previous, *next;
    enum start_class class;
    bool is_queued;
    void *owner; // for whoever takes it
};

struct start_queue {
    struct {
        struct start_turn *first, *last;
    } lists[START_CLASS_COUNT];
    enum start_class last_class; // of the last one taken
    int64_t next_us;             // no start before
};

// Waits from now on. One that waits already keeps its place.
void start_queue_join(struct start_queue *queue, struct start_turn *turn, enum start_class class);

// Waits no more. Does nothing to one that does not wait.
void start_queue_leave(struct start_queue *queue, struct start_turn *turn);

// Takes the one whose turn it is out of the queue. NULL: nobody waits, or not yet.
struct start_turn *start_queue_take(struct start_queue *queue, int64_t now_us);

// How long until somebody's turn may come, or -1 when nobody waits.
int64_t start_queue_delay_us(const struct start_queue *queue, int64_t now_us);

// How long until that one's turn, when nobody comes or leaves before. It must wait.
int64_t start_queue_turn_us(
    const struct start_queue *queue, const struct start_turn *turn, int64_t now_us);
