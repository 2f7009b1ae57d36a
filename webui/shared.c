// What all I/O threads use together. See shared.h.
#include "webui/shared.h"

#include <stdlib.h>

#include "lib/core/alloc.h"
#include "webui/disks.h"
#include "webui/layout.h"
#include "webui/peers.h"
#include "webui/recent.h"
#include "webui/tables.h"

struct shared *shared_new(struct conf *conf, const struct traffic *traffic, struct holds *holds)
{
    struct shared *shared = xcalloc(1, sizeof(*shared));
    pthread_mutex_init(&shared->mutex, NULL);
    shared->conf = conf;
    shared->tables = tables_new();
    shared->recents = recents_new();
    shared->layouts = layouts_new();
    shared->peers = peers_cache_new();
    shared->disks = disks_new();
    shared->traffic = traffic;
    shared->holds = holds;
    return shared;
}

void shared_free(struct shared *shared)
{
    if (shared == NULL)
        return;
    layouts_free(shared->layouts);
    recents_free(shared->recents);
    tables_free(shared->tables);
    peers_cache_free(shared->peers);
    disks_free(shared->disks);
    conf_release(shared->conf);
    pthread_mutex_destroy(&shared->mutex);
    free(shared);
}

void shared_set_conf(struct shared *shared, struct conf *conf)
{
    pthread_mutex_lock(&shared->mutex);
    struct conf *former = shared->conf;
    shared->conf = conf;
    pthread_mutex_unlock(&shared->mutex);
    peers_cache_forget(shared->peers);
    conf_release(former);
}

struct conf *shared_conf(struct shared *shared)
{
    pthread_mutex_lock(&shared->mutex);
    struct conf *conf = shared->conf;
    conf_retain(conf);
    pthread_mutex_unlock(&shared->mutex);
    return conf;
}
