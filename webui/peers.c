// What supervisor and indexer say. See peers.h.
#include "webui/peers.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/ctl.h"
#include "lib/core/timeutil.h"
#include "webui/reply.h"

enum {
    PEER_TIMEOUT_MS = 500,
    PEER_FRESH_MS = 1000,
};

enum {
    PEER_SUPERVISOR,
    PEER_INDEXER,
    PEER_COUNT,
};

static const char *const peer_sockets[PEER_COUNT] = {"control.sock", "indexer.sock"};

struct peer_answer {
    atomic_uint references;
    json_t *status;   // NULL: it did not answer
    char *cause;      // why not
    int64_t asked_us; // monotonic
};

struct peers_cache {
    pthread_mutex_t mutex; // of what follows
    pthread_cond_t answered;
    struct {
        struct peer_answer *answer; // NULL: ask
        bool is_asked;              // by somebody, just now
    } peers[PEER_COUNT];
};

struct peers {
    struct peers_cache *cache;
    struct peer_answer *held[PEER_COUNT];
};

static void peer_answer_release(struct peer_answer *answer)
{
    if (answer == NULL || atomic_fetch_sub(&answer->references, 1) != 1)
        return;
    json_decref(answer->status);
    free(answer->cause);
    free(answer);
}

struct peers_cache *peers_cache_new(void)
{
    struct peers_cache *cache = xcalloc(1, sizeof(*cache));
    pthread_mutex_init(&cache->mutex, NULL);
    pthread_cond_init(&cache->answered, NULL);
    return cache;
}

void peers_cache_forget(struct peers_cache *cache)
{
    pthread_mutex_lock(&cache->mutex);
    for (int i = 0; i < PEER_COUNT; i++) {
        peer_answer_release(cache->peers[i].answer);
        cache->peers[i].answer = NULL;
    }
    pthread_mutex_unlock(&cache->mutex);
}

void peers_cache_free(struct peers_cache *cache)
{
    if (cache == NULL)
        return;
    peers_cache_forget(cache);
    pthread_cond_destroy(&cache->answered);
    pthread_mutex_destroy(&cache->mutex);
    free(cache);
}

struct peers *peers_new(struct peers_cache *cache)
{
    struct peers *peers = xcalloc(1, sizeof(*peers));
    peers->cache = cache;
    return peers;
}

void peers_free(struct peers *peers)
{
    if (peers == NULL)
        return;
    for (int i = 0; i < PEER_COUNT; i++)
        peer_answer_release(peers->held[i]);
    free(peers);
}

static struct peer_answer *peer_ask(int which, const struct conf *conf)
{
    struct peer_answer *answer = xcalloc(1, sizeof(*answer));
    atomic_init(&answer->references, 1);
    char *path = xasprintf("%s/%s", conf->runtime, peer_sockets[which]);
    json_t *request = json_pack("{s:s}", "command", "status");
    answer->status = ctl_call(path, request, PEER_TIMEOUT_MS, &answer->cause);
    answer->asked_us = time_monotonic_us();
    json_decref(request);
    free(path);
    return answer;
}

// The answer that is kept while it is fresh, else a new one: a reference for the caller.
static struct peer_answer *peers_cache_get(
    struct peers_cache *cache, int which, const struct conf *conf)
{
    pthread_mutex_lock(&cache->mutex);
    while (cache->peers[which].is_asked)
        pthread_cond_wait(&cache->answered, &cache->mutex);
    struct peer_answer *answer = cache->peers[which].answer;
    if (answer == NULL || time_monotonic_us() - answer->asked_us >= PEER_FRESH_MS * 1000) {
        cache->peers[which].is_asked = true;
        pthread_mutex_unlock(&cache->mutex);
        answer = peer_ask(which, conf);
        pthread_mutex_lock(&cache->mutex);
        cache->peers[which].is_asked = false;
        peer_answer_release(cache->peers[which].answer);
        cache->peers[which].answer = answer;
        pthread_cond_broadcast(&cache->answered);
    }
    atomic_fetch_add(&answer->references, 1);
    pthread_mutex_unlock(&cache->mutex);
    return answer;
}

static const struct peer_answer *peers_get(struct peers *peers, int which, const struct conf *conf)
{
    struct peer_answer *answer = peers_cache_get(peers->cache, which, conf);
    peer_answer_release(peers->held[which]);
    peers->held[which] = answer;
    return answer;
}

const json_t *peers_supervisor(struct peers *peers, const struct conf *conf)
{
    return peers_get(peers, PEER_SUPERVISOR, conf)->status;
}

const json_t *peers_indexer(struct peers *peers, const struct conf *conf)
{
    return peers_get(peers, PEER_INDEXER, conf)->status;
}

static bool peer_says(const json_t *object, const char *key, const char *value)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL && strcmp(text, value) == 0;
}

const json_t *peers_stream(
    struct peers *peers, const struct conf *conf, const char *camera, const char *stream)
{
    const json_t *status = peers_supervisor(peers, conf), *item;
    size_t index;
    json_array_foreach(json_object_get(status, "streams"), index, item)
    {
        if (peer_says(item, "camera", camera) && peer_says(item, "stream", stream))
            return item;
    }
    return NULL;
}

const char *peers_stream_state(
    struct peers *peers, const struct conf *conf, const char *camera, const char *stream)
{
    const json_t *status = peers_stream(peers, conf, camera, stream);
    const char *state = json_string_value(json_object_get(status, "state"));
    return state ? state : "unknown";
}

void peers_complain(struct peers *peers, const struct conf *conf, json_t *reasons)
{
    json_t *alarm;
    size_t index;
    const struct peer_answer *supervisor = peers_get(peers, PEER_SUPERVISOR, conf);
    const struct peer_answer *indexer = peers_get(peers, PEER_INDEXER, conf);
    if (supervisor->status == NULL)
        json_array_append_new(
            reasons, reply_text("the supervisor does not answer: %s", supervisor->cause));
    if (indexer->status == NULL)
        json_array_append_new(
            reasons, reply_text("the indexer does not answer: %s", indexer->cause));
    json_array_foreach(json_object_get(indexer->status, "alarms"), index, alarm)
        json_array_append_new(reasons, json_deep_copy(alarm));
}
