// What all streams share: the loop, the configuration, and the queue for their starts.
#pragma once

#include <stdint.h>

#include <ev.h>

#include "lib/core/config.h"
#include "supervisor/start_queue.h"

struct stream;

// A stream that is not wanted has become off. It may be freed then.
typedef void (*stream_idle_fn)(struct stream *stream, void *arg);

struct stream_host {
    struct ev_loop *loop;
    const struct config *config;
    char **environment; // of the ffmpegs
    struct start_queue starts;
    ev_timer turn; // while somebody waits for its turn
    stream_idle_fn idle;
    void *arg;
};

// It must outlive its streams.
void stream_host_init(struct stream_host *host, struct ev_loop *loop, const struct config *config,
    stream_idle_fn idle, void *arg);
void stream_host_fini(struct stream_host *host);

// The stream waits for its turn to start; STREAM_EVENT_TURN tells it.
void stream_host_queue(struct stream_host *host, struct stream *stream);

// The same with the place in a class that it had in the queue of the supervisor before us.
void stream_host_queue_as(struct stream_host *host, struct stream *stream, enum start_class class);

// It waits no more.
void stream_host_unqueue(struct stream_host *host, struct stream *stream);
