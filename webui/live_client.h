// A client that watches: one stream as an MP4 without an end, or several in the framing of
// live_mux.h. It is an answer that waits, woken by what it watches; it costs no thread.
#pragma once

#include "webui/live.h"
#include "webui/reply.h"

struct live_clients;

enum {
    LIVE_CLIENTS_MAX = 256,
};

// What all clients have in common. `live` must outlive it.
struct live_clients *live_clients_new(struct live *live);
void live_clients_free(struct live_clients *clients);

// A stream of bytes for `count` tiles, at most LIVE_MUX_TILES_MAX; as one MP4 (of one tile) or as a
// mux. NULL: there are LIVE_CLIENTS_MAX already.
struct reply_stream *live_client_new(struct live_clients *clients, const char *cache,
    const struct live_mux_tile *tiles, size_t count, bool is_mux);

struct live_clients_stats {
    uint64_t clients; // now
    uint64_t sent;    // fragments
    uint64_t dropped; // fragments, for clients whose link is too slow
};

void live_clients_get_stats(struct live_clients *clients, struct live_clients_stats *stats);
