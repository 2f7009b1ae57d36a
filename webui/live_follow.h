// Follows the files of one stream in the cache as they grow: the newest one, to its end before the
// next is opened. Used by one thread only; reads what has just been written, so it does not wait
// for disks as a rule.
#pragma once

#include "webui/live_reader.h"

struct live_follower;

// What is told of what has appeared, in order.
struct live_sink {
    // A fragment; `part` has references of the follower's. `bytes`, which may be taken, is NULL for
    // one that is past and not needed to show the picture of now.
    void (*part_fn)(void *arg, struct live_part *part, struct buf *bytes);
    void (*lost_fn)(void *arg); // something is missing from here on
    void *arg;
};

// Starts with what stands in CACHE/CAMERA/STREAM; nothing is read yet.
struct live_follower *live_follower_new(
    const char *cache, const char *camera, const char *stream, const struct live_sink *sink);
void live_follower_free(struct live_follower *follower);

// The directory that is to be watched.
const char *live_follower_path(const struct live_follower *follower);

// Reads on. `look` says that there may be another file.
void live_follower_read(struct live_follower *follower, bool look);
