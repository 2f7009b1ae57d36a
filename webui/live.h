// Live view: streams that are followed in the cache, as long as somebody watches them, in a thread
// of its own. Whoever watches is called when a fragment has appeared; nobody polls, and nothing is
// asked of the camera or of its ffmpeg.
//
// live_look() shows what a playlist lists (HLS); a struct live_watch, begun for the time of one
// waiting request, tells when there is more. A stream is followed for LIVE_GRACE_S, or as long as
// its playlist's readers may stay away, after the last of either.
#pragma once

#include "webui/live_history.h"
#include "webui/live_mux.h"
#include "webui/live_segments.h"

enum {
    LIVE_GRACE_S = 15, // that a stream is followed although nobody watches it any more
    LIVE_STALL_S = 3,  // without a fragment
};

struct live;

// Starts the thread. Returns NULL with *cause set on failure.
struct live *live_new(char **cause);

// Ends it. Nobody may be watching.
void live_free(struct live *live);

// Which stream, and where its files are written.
struct live_name {
    const char *cache;
    const char *camera;
    const char *stream;
};

// Somebody who watches a stream; the caller's storage. The functions are called in any thread, with
// the lock of the stream: they are brief and call nothing of this file.
struct live_watch {
    void (*fragment_fn)(struct live_watch *watch, struct live_fragment *fragment);
    void (*state_fn)(struct live_watch *watch, enum live_state state, int64_t since_us);
    struct live_stream *stream;
    struct live_watch *next;
    struct live_watch **previous;
};

// Begins to watch: calls back at once with the stream's state and its last group of pictures, where
// the stream is followed already.
void live_watch_begin(struct live *live, struct live_watch *watch, const struct live_name *name);

// Ends that. No call back is made once it has returned.
void live_watch_end(struct live *live, struct live_watch *watch);

// Has the stream followed and shows its segments, with the lock: the function is brief and calls
// nothing of this file.
typedef void (*live_look_fn)(void *arg, const struct live_segments *segments);
void live_look(struct live *live, const struct live_name *name, live_look_fn look_fn, void *arg);

// Streams from which nothing comes are `off` or `stalled`: which of them, the supervisor knows.
// Calls `is_off_fn` for each of those, without a lock; it may block.
typedef bool (*live_off_fn)(void *arg, const char *camera, const char *stream);
bool live_has_silent(struct live *live);
void live_ask_silent(struct live *live, live_off_fn is_off_fn, void *arg);

struct live_stats {
    uint64_t streams;   // that are followed now
    uint64_t watchers;  // now
    uint64_t fragments; // that have appeared
};

void live_get_stats(struct live *live, struct live_stats *stats);
