// What all I/O threads use together: the configuration and the caches. Each of them has a small
// lock of its own inside, held for a look or a change, never while a disk or a peer is waited for.
#pragma once

#include <pthread.h>

#include "webui/conf.h"

struct shared {
    pthread_mutex_t mutex; // of the configuration that rules now
    struct conf *conf;
    struct tables *tables;
    struct recents *recents;
    struct layouts *layouts;
    struct peers_cache *peers;
    struct disks *disks;
    struct holds *holds;           // for running downloads
    const struct traffic *traffic; // what the HTTP server has answered
    struct live_clients *live;     // set by the owner, who has it outlive this
    struct live_reloads *reloads;  // the same
};

// Takes the configuration. `traffic` and `holds` must outlive it.
struct shared *shared_new(struct conf *conf, const struct traffic *traffic, struct holds *holds);
void shared_free(struct shared *shared);

// Takes a new configuration: every job that begins from now on has it.
void shared_set_conf(struct shared *shared, struct conf *conf);

// The configuration that rules now: a reference for the caller.
struct conf *shared_conf(struct shared *shared);
