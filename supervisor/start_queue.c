// Whose turn it is to start. See start_queue.h.
#include "supervisor/start_queue.h"

#include <stddef.h>

#include "lib/core/timeutil.h"

// A start costs 70 ms of processor time.
#define START_DISTANCE_US (US_PER_SECOND / 10)

static enum start_class start_queue_other(enum start_class class)
{
    return class == START_FRESH ? START_RETRY : START_FRESH;
}

// The class whose turn it is: they take turns while both have somebody.
static enum start_class start_queue_next_class(const struct start_queue *queue)
{
    enum start_class class = start_queue_other(queue->last_class);
    return queue->lists[class].first ? class : start_queue_other(class);
}

void start_queue_join(struct start_queue *queue, struct start_turn *turn, enum start_class class)
{
    if (turn->is_queued)
        return;
    turn->class = class;
    turn->is_queued = true;
    turn->next = NULL;
    turn->previous = queue->lists[class].last;
    if (turn->previous != NULL)
        turn->previous->next = turn;
    else
        queue->lists[class].first = turn;
    queue->lists[class].last = turn;
}

void start_queue_leave(struct start_queue *queue, struct start_turn *turn)
{
    if (!turn->is_queued)
        return;
    turn->is_queued = false;
    if (turn->previous != NULL)
        turn->previous->next = turn->next;
    else
        queue->lists[turn->class].first = turn->next;
    if (turn->next != NULL)
        turn->next->previous = turn->previous;
    else
        queue->lists[turn->class].last = turn->previous;
}

struct start_turn *start_queue_take(struct start_queue *queue, int64_t now_us)
{
    enum start_class class = start_queue_next_class(queue);
    struct start_turn *turn = queue->lists[class].first;
    if (turn == NULL || now_us < queue->next_us)
        return NULL;
    start_queue_leave(queue, turn);
    queue->last_class = class;
    queue->next_us = now_us + START_DISTANCE_US;
    return turn;
}

int64_t start_queue_delay_us(const struct start_queue *queue, int64_t now_us)
{
    if (queue->lists[START_FRESH].first == NULL && queue->lists[START_RETRY].first == NULL)
        return -1;
    return queue->next_us > now_us ? queue->next_us - now_us : 0;
}

int64_t start_queue_turn_us(
    const struct start_queue *queue, const struct start_turn *turn, int64_t now_us)
{
    int64_t before = 0, others = 0;
    for (const struct start_turn *one = turn->previous; one != NULL; one = one->previous)
        before++;
    // Of the other class as many come first as have stood before, and one more if it begins.
    int64_t others_max = before + (start_queue_next_class(queue) != turn->class);
    const struct start_turn *other = queue->lists[start_queue_other(turn->class)].first;
    for (; other != NULL && others < others_max; other = other->next)
        others++;
    return start_queue_delay_us(queue, now_us) + (before + others) * START_DISTANCE_US;
}
