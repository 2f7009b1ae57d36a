// What supervisor and indexer say. See peers.h.
#include "webui/peers.h"

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

struct peer {
    const char *socket; // in the runtime directory
    json_t *status;     // NULL: it did not answer
    char *cause;        // why not
    int64_t asked_us;   // monotonic; 0: never
};

struct peers {
    struct peer supervisor;
    struct peer indexer;
};

struct peers *peers_new(void)
{
    struct peers *peers = xcalloc(1, sizeof(*peers));
    peers->supervisor.socket = "control.sock";
    peers->indexer.socket = "indexer.sock";
    return peers;
}

static void peer_forget(struct peer *peer)
{
    json_decref(peer->status);
    free(peer->cause);
    *peer = (struct peer){.socket = peer->socket};
}

void peers_forget(struct peers *peers)
{
    peer_forget(&peers->supervisor);
    peer_forget(&peers->indexer);
}

void peers_free(struct peers *peers)
{
    if (peers == NULL)
        return;
    peers_forget(peers);
    free(peers);
}

// The peer's status, or NULL when it does not answer.
static const json_t *peer_status(struct peer *peer, const struct conf *conf)
{
    int64_t now_us = time_monotonic_us();
    if (peer->asked_us != 0 && now_us - peer->asked_us < PEER_FRESH_MS * 1000)
        return peer->status;
    peer_forget(peer);
    char *path = xasprintf("%s/%s", conf->runtime, peer->socket);
    json_t *request = json_pack("{s:s}", "command", "status");
    peer->status = ctl_call(path, request, PEER_TIMEOUT_MS, &peer->cause);
    peer->asked_us = time_monotonic_us();
    json_decref(request);
    free(path);
    return peer->status;
}

const json_t *peers_supervisor(struct peers *peers, const struct conf *conf)
{
    return peer_status(&peers->supervisor, conf);
}

const json_t *peers_indexer(struct peers *peers, const struct conf *conf)
{
    return peer_status(&peers->indexer, conf);
}

static bool peer_says(const json_t *object, const char *key, const char *value)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL && strcmp(text, value) == 0;
}

const json_t *peers_stream(
    struct peers *peers, const struct conf *conf, const char *camera, const char *stream)
{
    const json_t *status = peer_status(&peers->supervisor, conf), *item;
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
    if (peer_status(&peers->supervisor, conf) == NULL)
        json_array_append_new(
            reasons, reply_text("the supervisor does not answer: %s", peers->supervisor.cause));
    const json_t *indexer = peer_status(&peers->indexer, conf);
    if (indexer == NULL)
        json_array_append_new(
            reasons, reply_text("the indexer does not answer: %s", peers->indexer.cause));
    json_array_foreach(json_object_get(indexer, "alarms"), index, alarm)
        json_array_append(reasons, alarm);
}
