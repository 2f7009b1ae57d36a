// Which hook runs next: a bounded queue, in which what happens to streams goes before finished
// segments and always finds a free place, however many segments there are. Pure: it starts nothing.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "supervisor/handover.h"

// X(constant, event's name, the key that asks for it)
#define HOOK_KIND_MAP(X)                                                                           \
    X(HOOK_STREAM_DOWN, "stream_down", "on_stream_down")                                           \
    X(HOOK_STREAM_UP, "stream_up", "on_stream_up")                                                 \
    X(HOOK_SEGMENT, "segment", "on_segment")

enum hook_kind {
#define X(constant, name, key) constant,
    HOOK_KIND_MAP(X)
#undef X
    HOOK_KIND_COUNT,
};

enum {
    HOOKQUEUE_RUNNING_MAX = 8,
    HOOKQUEUE_SEGMENTS_RUNNING_MAX = 6,   // the other places are kept for what happens to streams
    HOOKQUEUE_STREAMS_WAITING_MAX = 4096, // all streams of a machine that loses its network
    HOOKQUEUE_SEGMENTS_WAITING_MAX = 512,
};

// One thing to run: a command or a webhook.
struct hook_job {
    enum hook_kind kind;
    char *camera;
    char *stream;
    char **argv; // NULL-terminated; NULL: it is a webhook
    char *url;
    char *body; // the event as JSON
    int64_t timeout_us;
    struct hook_job *next;
};

struct hookqueue_line {
    struct hook_job *first, *last;
    size_t count;
};

// Zero to begin with.
struct hookqueue {
    struct hookqueue_line streams;
    struct hookqueue_line segments;
    size_t running;
    size_t segments_running;
    uint64_t dropped[HOOK_KIND_COUNT];
};

const char *hook_kind_name(enum hook_kind kind);
const char *hook_kind_key(enum hook_kind kind);
void hook_job_free(struct hook_job *job);

// Takes the job. Returns false when the queue is full: then the job is freed and counted.
bool hookqueue_put(struct hookqueue *queue, struct hook_job *job);

// The job that may run now, or NULL. The caller owns it, and says hookqueue_ended() when it has
// run.
struct hook_job *hookqueue_take(struct hookqueue *queue);
void hookqueue_ended(struct hookqueue *queue, enum hook_kind kind);

size_t hookqueue_waiting(const struct hookqueue *queue);

// Frees what waits.
void hookqueue_fini(struct hookqueue *queue);

// Goes on after an exec of ours: one job, and what waits. hook_job_take_over() never returns NULL.
json_t *hook_job_hand_over(const struct hook_job *job);
struct hook_job *hook_job_take_over(struct handover_reader *reader, json_t *object);
json_t *hookqueue_hand_over(const struct hookqueue *queue);
void hookqueue_take_over(struct handover_reader *reader, json_t *object, struct hookqueue *queue);

// A job of those that were handed over runs already.
void hookqueue_began(struct hookqueue *queue, enum hook_kind kind);
