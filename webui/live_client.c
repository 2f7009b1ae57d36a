// A client that watches. See live_client.h.
#include "webui/live_client.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/log.h"
#include "lib/core/timeutil.h"
#include "webui/live_movie.h"
#include "webui/live_sound.h"

enum {
    LIVE_KEEPALIVE_S = 10, // without anything to send
};

struct live_clients {
    struct live *live;
    pthread_mutex_t mutex;
    struct live_clients_stats stats;
};

struct live_client;

// One of a client's tiles.
struct live_seat {
    struct live_watch watch;
    struct live_client *client;
    struct live_mux_tile tile;
    struct live_sound sound; // that it was sent
    bool tells_state;        // the client has yet to be told
    enum live_state state;
    int64_t since_us;
};

struct live_client {
    struct reply_stream stream;
    struct live_clients *clients;
    bool is_mux;
    pthread_mutex_t mutex; // of what follows
    struct live_queue *queue;
    bool is_waiting; // for its waker
    int64_t sent_us; // monotonic; when it was last given something
    struct live_movie movie;
    // What is being sent: a head, then the media data of a fragment, if there is one.
    struct buf head;
    struct live_fragment *fragment;
    struct live_seat *seat; // of that fragment
    size_t position;
    size_t seat_count;
    struct live_seat seats[];
};

// --- Called by what is watched ---

static void live_client_wake(struct live_client *client)
{
    if (client->is_waiting)
        reply_wake(client->stream.waker);
    client->is_waiting = false;
}

static void live_seat_fragment(struct live_watch *watch, struct live_fragment *fragment)
{
    struct live_seat *seat = (struct live_seat *)watch;
    struct live_client *client = seat->client;
    pthread_mutex_lock(&client->mutex);
    live_queue_put(client->queue, (size_t)(seat - client->seats), fragment, time_monotonic_us());
    live_client_wake(client);
    pthread_mutex_unlock(&client->mutex);
}

static void live_seat_state(struct live_watch *watch, enum live_state state, int64_t since_us)
{
    struct live_seat *seat = (struct live_seat *)watch;
    struct live_client *client = seat->client;
    pthread_mutex_lock(&client->mutex);
    seat->state = state;
    seat->since_us = since_us;
    seat->tells_state = true;
    if (client->is_mux)
        live_client_wake(client);
    pthread_mutex_unlock(&client->mutex);
}

// --- What is sent next ---

static void live_client_tell_states(struct live_client *client)
{
    for (size_t i = 0; i < client->seat_count; i++) {
        struct live_seat *seat = &client->seats[i];
        if (seat->tells_state)
            live_mux_put_state(&client->head, i, seat->state, seat->since_us);
        seat->tells_state = false;
    }
}

// Takes a fragment up. Returns false with *cause set when it can not be sent any more.
static bool live_client_take(
    struct live_client *client, const struct live_item *item, int64_t now_us, char **cause)
{
    const struct live_mux_tile *tile = &client->seats[item->tile].tile;
    client->seat = &client->seats[item->tile];
    client->fragment = item->fragment;
    if (!client->is_mux)
        return live_movie_put(&client->movie, item, &client->head, cause);
    if (item->needs_init)
        live_mux_put_init(&client->head, item->tile, tile, item->fragment->part.init);
    live_mux_put_media(&client->head, tile, item, now_us);
    return true;
}

static void live_client_count(struct live_client *client, uint64_t dropped_before, bool is_sent)
{
    struct live_clients *clients = client->clients;
    pthread_mutex_lock(&clients->mutex);
    clients->stats.sent += is_sent;
    clients->stats.dropped += live_queue_dropped(client->queue) - dropped_before;
    pthread_mutex_unlock(&clients->mutex);
}

// Something that shows whether the client is still there.
static void live_client_keep_alive(struct live_client *client)
{
    if (client->is_mux)
        live_mux_put_state(&client->head, 0, client->seats[0].state, client->seats[0].since_us);
    else if (client->movie.init != NULL)
        live_movie_put_nothing(&client->head);
}

// The silence that must follow the fragment that was sent last, where its sound has stopped.
static struct live_fragment *live_client_fill(struct live_client *client)
{
    if (client->fragment == NULL || !client->seat->tile.sound)
        return NULL;
    return live_sound_fill(&client->seat->sound, client->fragment);
}

// Makes the next piece ready. Returns REPLY_TRY_WAIT or REPLY_TRY_END when there is none, else 0.
static ssize_t live_client_next(struct live_client *client)
{
    const int64_t now_us = time_monotonic_us();
    const uint64_t dropped = live_queue_dropped(client->queue);
    struct live_item item = {.fragment = live_client_fill(client)};
    char *cause = NULL;
    bool is_taken = item.fragment != NULL;
    if (is_taken)
        item.tile = (size_t)(client->seat - client->seats);
    live_fragment_unref(client->fragment);
    client->fragment = NULL;
    client->head.size = client->position = 0;
    if (client->is_mux)
        live_client_tell_states(client);
    if (!is_taken) {
        is_taken = live_queue_take(client->queue, now_us, &item);
        live_client_count(client, dropped, is_taken);
    }
    if (is_taken && !live_client_take(client, &item, now_us, &cause)) {
        log_info("%s/%s: live: an answer ends: %s", client->seats[0].tile.camera,
            client->seats[0].tile.stream, cause);
        free(cause);
        return REPLY_TRY_END;
    }
    if (client->head.size == 0 && now_us - client->sent_us >= LIVE_KEEPALIVE_S * US_PER_SECOND)
        live_client_keep_alive(client);
    if (client->head.size == 0) {
        client->is_waiting = true;
        client->stream.wait_until_us = now_us + LIVE_KEEPALIVE_S * US_PER_SECOND;
        return REPLY_TRY_WAIT;
    }
    client->sent_us = now_us;
    return 0;
}

// How many bytes are left of the piece that is being sent, and where.
static size_t live_client_rest(const struct live_client *client, const uint8_t **data)
{
    size_t head = client->head.size;
    if (client->position < head) {
        *data = client->head.data + client->position;
        return head - client->position;
    }
    if (client->fragment == NULL)
        return 0;
    const struct live_part *part = &client->fragment->part;
    size_t done = part->moof_size + (client->position - head);
    *data = client->fragment->bytes.data + done;
    return part->size - done;
}

static ssize_t live_client_try(
    struct reply_stream *stream, uint64_t offset, void *data, size_t size, char **cause)
{
    struct live_client *client = (struct live_client *)stream;
    const uint8_t *from;
    ssize_t result = 0;
    (void)offset;
    (void)cause;
    pthread_mutex_lock(&client->mutex);
    client->is_waiting = false;
    size_t rest = live_client_rest(client, &from);
    if (rest == 0) {
        result = live_client_next(client);
        rest = result == 0 ? live_client_rest(client, &from) : 0;
    }
    if (rest > 0) {
        result = (ssize_t)(rest < size ? rest : size);
        memcpy(data, from, (size_t)result);
        client->position += (size_t)result;
    }
    pthread_mutex_unlock(&client->mutex);
    return result;
}

// --- Life ---

static void live_client_free(struct reply_stream *stream)
{
    struct live_client *client = (struct live_client *)stream;
    struct live_clients *clients = client->clients;
    for (size_t i = 0; i < client->seat_count; i++)
        live_watch_end(clients->live, &client->seats[i].watch);
    live_queue_free(client->queue);
    live_movie_fini(&client->movie);
    live_fragment_unref(client->fragment);
    buf_fini(&client->head);
    pthread_mutex_destroy(&client->mutex);
    free(client);
    pthread_mutex_lock(&clients->mutex);
    clients->stats.clients--;
    pthread_mutex_unlock(&clients->mutex);
}

static bool live_clients_admit(struct live_clients *clients)
{
    pthread_mutex_lock(&clients->mutex);
    bool is_free = clients->stats.clients < LIVE_CLIENTS_MAX;
    clients->stats.clients += is_free;
    pthread_mutex_unlock(&clients->mutex);
    return is_free;
}

struct reply_stream *live_client_new(struct live_clients *clients, const char *cache,
    const struct live_mux_tile *tiles, size_t count, bool is_mux)
{
    if (!live_clients_admit(clients))
        return NULL;
    struct live_client *client = xcalloc(1, sizeof(*client) + count * sizeof(struct live_seat));
    client->stream.size = REPLY_SIZE_UNKNOWN;
    client->stream.is_urgent = true;
    client->stream.try = live_client_try;
    client->stream.free = live_client_free;
    client->clients = clients;
    client->is_mux = is_mux;
    client->queue = live_queue_new(count);
    client->sent_us = time_monotonic_us();
    client->movie.sound = tiles[0].sound;
    client->seat_count = count;
    pthread_mutex_init(&client->mutex, NULL);
    for (size_t i = 0; i < count; i++) {
        struct live_seat *seat = &client->seats[i];
        const struct live_name name = {cache, tiles[i].camera, tiles[i].stream};
        seat->client = client;
        seat->tile = tiles[i];
        seat->watch.fragment_fn = live_seat_fragment;
        seat->watch.state_fn = live_seat_state;
        live_queue_set_sound(client->queue, i, tiles[i].sound);
        live_watch_begin(clients->live, &seat->watch, &name);
    }
    return &client->stream;
}

struct live_clients *live_clients_new(struct live *live)
{
    struct live_clients *clients = xcalloc(1, sizeof(*clients));
    pthread_mutex_init(&clients->mutex, NULL);
    clients->live = live;
    return clients;
}

void live_clients_free(struct live_clients *clients)
{
    if (clients == NULL)
        return;
    pthread_mutex_destroy(&clients->mutex);
    free(clients);
}

void live_clients_get_stats(struct live_clients *clients, struct live_clients_stats *stats)
{
    pthread_mutex_lock(&clients->mutex);
    *stats = clients->stats;
    pthread_mutex_unlock(&clients->mutex);
}
