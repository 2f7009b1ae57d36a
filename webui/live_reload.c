// Live playlists that are waited for. See live_reload.h.
#include "webui/live_reload.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/timeutil.h"
#include "webui/live_playlist.h"

struct live_reload;

struct live_reloads {
    struct live *live;
    pthread_mutex_t mutex; // of what follows
    struct live_reload *first;
    struct live_reloads_stats stats;
};

// One that waits.
struct live_reload {
    struct reply_later later;
    struct live_watch watch;
    struct live_reloads *reloads;
    struct live_reload *next; // under the mutex of all
    struct live_reload **previous;
    char *cache;
    char *camera;
    char *stream;
    char *client;
    struct live_reload_request request;
    bool is_beginning; // nothing has come yet: that is soon over, so it is not counted
    bool is_watching;
};

// --- The list as it is by now ---

enum live_reload_state {
    LIVE_RELOAD_EMPTY, // nothing has come yet
    LIVE_RELOAD_TOO_FAR,
    LIVE_RELOAD_NOT_YET,
    LIVE_RELOAD_READY,
};

struct live_reload_view {
    const struct live_reload_request *request;
    bool is_last; // the list is wanted as it is
    bool can_block;
    struct buf text; // when it is ready
    enum live_reload_state state;
    int64_t target_s;
};

static void live_reload_look(void *arg, const struct live_segments *segments)
{
    struct live_reload_view *view = arg;
    const struct live_reload_request *request = view->request;
    view->target_s = segments->target_s;
    if (segments->count == 0)
        view->state = LIVE_RELOAD_EMPTY;
    else if (live_segments_is_too_far(segments, request->sequence, request->part))
        view->state = LIVE_RELOAD_TOO_FAR;
    else if (!view->is_last && request->sequence >= 0 &&
             !live_segments_has(segments, request->sequence, request->part))
        view->state = LIVE_RELOAD_NOT_YET;
    else
        view->state = LIVE_RELOAD_READY;
    if (view->state == LIVE_RELOAD_READY)
        live_playlist_put(&view->text, segments, view->can_block, request->sound);
}

// Fills the reply, if there is something to say. Returns the state.
static enum live_reload_state live_reload_try_view(
    struct live_reloads *reloads, struct live_reload_view *view, struct reply *reply)
{
    live_look(reloads->live, &view->request->name, live_reload_look, view);
    if (view->state == LIVE_RELOAD_READY) {
        reply->status = 200;
        reply->content_type = HLS_CONTENT_TYPE;
        reply->body = view->text;
    } else if (view->state == LIVE_RELOAD_TOO_FAR) {
        reply_error(reply, 400, "too_far_ahead", "_HLS_msn",
            "that is further ahead than the next segment, or than the parts of the next seconds: "
            "load the playlist again");
    }
    return view->state;
}

// --- Waiting ---

static void live_reload_fragment(struct live_watch *watch, struct live_fragment *fragment)
{
    struct live_reload *reload =
        (struct live_reload *)((char *)watch - offsetof(struct live_reload, watch));
    (void)fragment;
    reply_wake(reload->later.waker);
}

static void live_reload_state(struct live_watch *watch, enum live_state state, int64_t since_us)
{
    (void)watch;
    (void)state;
    (void)since_us;
}

static bool live_reload_try(struct reply_later *later, struct reply *reply)
{
    struct live_reload *reload = (struct live_reload *)later;
    struct live_reload_view view = {.request = &reload->request, .can_block = true};
    if (!reload->is_watching)
        live_watch_begin(reload->reloads->live, &reload->watch, &reload->request.name);
    reload->is_watching = true;
    enum live_reload_state state = live_reload_try_view(reload->reloads, &view, reply);
    if (state == LIVE_RELOAD_READY || state == LIVE_RELOAD_TOO_FAR)
        return true;
    if (time_monotonic_us() < later->wait_until_us)
        return false;
    reply_error(reply, 503, "nothing_new", NULL,
        "nothing has come of \"%s/%s\" for too long; try again", reload->camera, reload->stream);
    reply_header(reply, "Retry-After", "2");
    return true;
}

static void live_reload_free(struct reply_later *later)
{
    struct live_reload *reload = (struct live_reload *)later;
    struct live_reloads *reloads = reload->reloads;
    if (reload->is_watching)
        live_watch_end(reloads->live, &reload->watch);
    pthread_mutex_lock(&reloads->mutex);
    *reload->previous = reload->next;
    if (reload->next != NULL)
        reload->next->previous = reload->previous;
    reloads->stats.waiting--;
    pthread_mutex_unlock(&reloads->mutex);
    free(reload->cache);
    free(reload->camera);
    free(reload->stream);
    free(reload->client);
    free(reload);
}

static struct live_reload *live_reload_new(
    struct live_reloads *reloads, const struct live_reload_request *request, int64_t wait_s)
{
    struct live_reload *reload = xcalloc(1, sizeof(*reload));
    reload->later.wait_until_us = time_monotonic_us() + wait_s * US_PER_SECOND;
    reload->later.try = live_reload_try;
    reload->later.free = live_reload_free;
    reload->watch.fragment_fn = live_reload_fragment;
    reload->watch.state_fn = live_reload_state;
    reload->reloads = reloads;
    reload->cache = xstrdup(request->name.cache);
    reload->camera = xstrdup(request->name.camera);
    reload->stream = xstrdup(request->name.stream);
    reload->client = xstrdup(request->client);
    reload->request = *request;
    reload->request.name = (struct live_name){reload->cache, reload->camera, reload->stream};
    reload->request.client = reload->client;
    return reload;
}

// Takes it among those that wait, unless there are too many of its client. Frees it otherwise.
static bool live_reloads_admit(struct live_reloads *reloads, struct live_reload *reload)
{
    size_t same = 0;
    pthread_mutex_lock(&reloads->mutex);
    for (const struct live_reload *item = reloads->first; item != NULL; item = item->next)
        same += !item->is_beginning && strcmp(item->client, reload->client) == 0;
    bool is_free = reloads->stats.waiting < LIVE_RELOADS_MAX &&
                   (reload->is_beginning || same < LIVE_RELOADS_CLIENT_MAX);
    reload->next = reloads->first;
    reload->previous = &reloads->first;
    if (reload->next != NULL)
        reload->next->previous = &reload->next;
    reloads->first = reload;
    reloads->stats.waiting++;
    reloads->stats.refused += !is_free;
    pthread_mutex_unlock(&reloads->mutex);
    if (!is_free)
        live_reload_free(&reload->later);
    return is_free;
}

void live_reload_answer(
    struct live_reloads *reloads, const struct live_reload_request *request, struct reply *reply)
{
    struct live_reload_view view = {.request = request, .can_block = true};
    enum live_reload_state state = live_reload_try_view(reloads, &view, reply);
    if (state == LIVE_RELOAD_READY || state == LIVE_RELOAD_TOO_FAR)
        return;
    int64_t wait_s = state == LIVE_RELOAD_EMPTY ? LIVE_RELOAD_BEGIN_S : 3 * view.target_s;
    struct live_reload *reload = live_reload_new(reloads, request, wait_s);
    reload->is_beginning = state == LIVE_RELOAD_EMPTY;
    if (live_reloads_admit(reloads, reload)) {
        reply->later = &reload->later;
        return;
    }
    view = (struct live_reload_view){.request = request, .is_last = true};
    if (live_reload_try_view(reloads, &view, reply) == LIVE_RELOAD_READY)
        return;
    reply_error(reply, 503, "too_many_waiting", NULL,
        "%d live playlists are being waited for already", LIVE_RELOADS_MAX);
    reply_header(reply, "Retry-After", "2");
}

// --- Life ---

struct live_reloads *live_reloads_new(struct live *live)
{
    struct live_reloads *reloads = xcalloc(1, sizeof(*reloads));
    pthread_mutex_init(&reloads->mutex, NULL);
    reloads->live = live;
    return reloads;
}

void live_reloads_free(struct live_reloads *reloads)
{
    if (reloads == NULL)
        return;
    pthread_mutex_destroy(&reloads->mutex);
    free(reloads);
}

struct live *live_reloads_live(struct live_reloads *reloads)
{
    return reloads->live;
}

void live_reloads_get_stats(struct live_reloads *reloads, struct live_reloads_stats *stats)
{
    pthread_mutex_lock(&reloads->mutex);
    *stats = reloads->stats;
    pthread_mutex_unlock(&reloads->mutex);
}
