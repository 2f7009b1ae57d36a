// What supervisor and indexer say of themselves, asked over their sockets and remembered for a
// second for all threads; while one asks, the others wait for its answer. What is handed out stays
// as it is: it is shared, so nobody changes it or takes references of its parts.
#pragma once

#include <jansson.h>

#include "webui/conf.h"

struct peers_cache;

struct peers_cache *peers_cache_new(void);
void peers_cache_free(struct peers_cache *cache);

// Ask anew next time.
void peers_cache_forget(struct peers_cache *cache);

// One thread's sight of it, which keeps what was handed out last.
struct peers;

struct peers *peers_new(struct peers_cache *cache);
void peers_free(struct peers *peers);

// What the supervisor says of a stream; NULL when it does not answer or does not know it. Valid
// until the supervisor is asked for the next time.
const json_t *peers_stream(
    struct peers *peers, const struct conf *conf, const char *camera, const char *stream);

// The state of a stream, as "recording"; "unknown" when the supervisor does not answer or does not
// know it. Valid until the next call.
const char *peers_stream_state(
    struct peers *peers, const struct conf *conf, const char *camera, const char *stream);

// The whole status of each program, as it came over its socket; NULL when it does not answer.
// Each is valid until it is asked for the next time.
const json_t *peers_supervisor(struct peers *peers, const struct conf *conf);
const json_t *peers_indexer(struct peers *peers, const struct conf *conf);

// Appends what is wrong with the two programs to an array of texts. A camera that is down is not.
void peers_complain(struct peers *peers, const struct conf *conf, json_t *reasons);
