// Requests for a live playlist that wait for what it does not list yet (RFC 8216bis, 6.2.5.2): a
// waiting one is a suspended connection and costs no thread.
#pragma once

#include "webui/live.h"
#include "webui/reply.h"

#define HLS_CONTENT_TYPE "application/vnd.apple.mpegurl"

enum {
    LIVE_RELOADS_MAX = 1024,
    LIVE_RELOADS_CLIENT_MAX = 2, // of one client that may wait: a browser has six connections
    LIVE_RELOAD_BEGIN_S = 10,    // for the first fragment of a stream
};

struct live_reloads;

struct live_reloads *live_reloads_new(struct live *live);
void live_reloads_free(struct live_reloads *reloads);

struct live *live_reloads_live(struct live_reloads *reloads);

struct live_reload_request {
    struct live_name name;
    const char *client; // who asks
    bool sound;
    int64_t sequence; // that is wanted; negative: the list as it is
    int64_t part;     // of that; negative: the whole segment
};

// Answers with the playlist, at once or later. A client that has too many requests waiting is
// answered at once, with a list that does not offer to wait.
void live_reload_answer(
    struct live_reloads *reloads, const struct live_reload_request *request, struct reply *reply);

struct live_reloads_stats {
    uint64_t waiting; // now
    uint64_t refused; // to wait
};

void live_reloads_get_stats(struct live_reloads *reloads, struct live_reloads_stats *stats);
