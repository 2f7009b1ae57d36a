// Streams that are followed in the cache, and who watches them. See live.h.
#include "webui/live.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "lib/core/alloc.h"
#include "lib/core/log.h"
#include "lib/core/timeutil.h"
#include "webui/live_follow.h"

enum {
    LIVE_TICK_MS = 1000,
    LIVE_POLL_MS = 200, // where the kernel does not tell of changes
};

struct live_stream {
    struct live_stream *next;
    struct live *live;
    char *cache;
    char *camera;
    char *stream;
    struct live_history history;
    struct live_segments segments;
    struct live_watch *watches;
    unsigned borrowers;  // who use it without the lock
    int64_t begun_us;    // monotonic; since when it is followed
    int64_t watched_us;  // monotonic; when somebody was last interested
    int64_t fragment_us; // monotonic; when the last fragment appeared; 0: none has
    int64_t patience_us; // for the next one
    int64_t since_us;    // UTC
    enum live_state state;
    bool is_off; // as the supervisor said last
    // Of the thread alone.
    struct live_follower *follower;
    int descriptor; // of inotify; -1: none
    bool is_changed;
    bool is_grown; // there may be another file
};

struct live {
    pthread_t thread;
    bool is_started;
    int wake_fd;
    int inotify_fd;        // -1: there is none
    pthread_mutex_t mutex; // of what follows
    struct live_stream *streams;
    struct live_stats stats;
    bool stopping;
};

// --- Streams ---

static struct live_stream *live_find(const struct live *live, const struct live_name *name)
{
    for (struct live_stream *stream = live->streams; stream != NULL; stream = stream->next)
        if (strcmp(stream->camera, name->camera) == 0 &&
            strcmp(stream->stream, name->stream) == 0 && strcmp(stream->cache, name->cache) == 0)
            return stream;
    return NULL;
}

static void live_wake(struct live *live)
{
    const uint64_t one = 1;
    ssize_t done = write(live->wake_fd, &one, sizeof(one));
    (void)done; // it is awake if it can take no more
}

// The stream of that name, followed from now on. With the lock.
static struct live_stream *live_open_stream(struct live *live, const struct live_name *name)
{
    struct live_stream *stream = live_find(live, name);
    if (stream == NULL) {
        stream = xcalloc(1, sizeof(*stream));
        stream->live = live;
        stream->cache = xstrdup(name->cache);
        stream->camera = xstrdup(name->camera);
        stream->stream = xstrdup(name->stream);
        stream->descriptor = -1;
        stream->since_us = time_now_us();
        stream->begun_us = time_monotonic_us();
        live_history_init(&stream->history);
        stream->next = live->streams;
        live->streams = stream;
        live->stats.streams++;
        live_wake(live);
    }
    stream->watched_us = time_monotonic_us();
    return stream;
}

static void live_free_stream(struct live_stream *stream)
{
    live_history_fini(&stream->history);
    live_segments_fini(&stream->segments);
    free(stream->cache);
    free(stream->camera);
    free(stream->stream);
    free(stream);
}

// With the lock.
static void live_set_state(struct live_stream *stream, enum live_state state)
{
    if (stream->state == state)
        return;
    stream->state = state;
    stream->since_us = time_now_us();
    for (struct live_watch *watch = stream->watches; watch != NULL; watch = watch->next)
        watch->state_fn(watch, state, stream->since_us);
}

// --- What has appeared ---

static void live_publish(struct live_stream *stream, struct live_fragment *fragment)
{
    live_history_keep(&stream->history, fragment);
    for (struct live_watch *watch = stream->watches; watch != NULL; watch = watch->next)
        watch->fragment_fn(watch, fragment);
}

static void live_take_part(void *arg, struct live_part *part, struct buf *bytes)
{
    struct live_stream *stream = arg;
    struct live *live = stream->live;
    char *cause = NULL;
    pthread_mutex_lock(&live->mutex);
    live_history_place(&stream->history, part);
    live_part_ref(part);
    struct live_fragment *fragment = bytes != NULL ? live_fragment_new(part, bytes, &cause) : NULL;
    if (fragment == NULL)
        live_part_unref(part);
    if (cause != NULL) {
        log_warn("%s/%s: live: a fragment: %s", stream->camera, stream->stream, cause);
        live_history_break(&stream->history);
    } else {
        live_history_add(&stream->history, part);
        live_segments_add(
            &stream->segments, part, part->appeared_us + time_now_us() - time_monotonic_us());
        stream->fragment_us = part->appeared_us;
        stream->patience_us = 3 * part->duration_us;
        live->stats.fragments++;
        if (fragment != NULL) {
            live_set_state(stream, LIVE_STATE_RECORDING);
            live_publish(stream, fragment);
        }
    }
    pthread_mutex_unlock(&live->mutex);
    live_fragment_unref(fragment);
    free(cause);
}

static void live_take_loss(void *arg)
{
    struct live_stream *stream = arg;
    pthread_mutex_lock(&stream->live->mutex);
    live_history_break(&stream->history);
    pthread_mutex_unlock(&stream->live->mutex);
}

// Whether the stream has had nothing for too long; one that was just begun is given its time, as
// its newest file may be empty yet. With the lock.
static void live_check_silence(struct live_stream *stream, int64_t now_us)
{
    int64_t patience_us = LIVE_STALL_S * US_PER_SECOND;
    bool is_new = stream->fragment_us == 0;
    if (stream->patience_us > patience_us)
        patience_us = stream->patience_us;
    int64_t last_us = is_new ? stream->begun_us : stream->fragment_us;
    bool is_silent = now_us - last_us > patience_us || (is_new && stream->is_off);
    if (is_silent)
        live_set_state(stream, stream->is_off ? LIVE_STATE_OFF : LIVE_STATE_STALLED);
    else if (!is_new)
        stream->is_off = false;
}

// --- The thread ---

static void live_follow(struct live *live, struct live_stream *stream)
{
    const struct live_sink sink = {live_take_part, live_take_loss, stream};
    if (stream->follower == NULL) {
        stream->follower = live_follower_new(stream->cache, stream->camera, stream->stream, &sink);
        stream->is_changed = stream->is_grown = true;
    }
    // A directory that was not there, or was replaced, is watched as soon as it is there.
    if (stream->descriptor < 0 && live->inotify_fd >= 0) {
        stream->descriptor =
            inotify_add_watch(live->inotify_fd, live_follower_path(stream->follower),
                IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR);
        stream->is_changed = stream->is_grown = true;
    }
    if (!stream->is_changed && stream->descriptor >= 0)
        return;
    bool is_grown = stream->is_grown || stream->descriptor < 0;
    stream->is_changed = stream->is_grown = false;
    live_follower_read(stream->follower, is_grown);
}

static void live_note_event(struct live *live, const struct inotify_event *event)
{
    pthread_mutex_lock(&live->mutex);
    for (struct live_stream *stream = live->streams; stream != NULL; stream = stream->next) {
        bool is_overflow = (event->mask & IN_Q_OVERFLOW) != 0;
        if (!is_overflow && stream->descriptor != event->wd)
            continue;
        stream->is_changed = true;
        stream->is_grown |= is_overflow || (event->mask & (IN_CREATE | IN_MOVED_TO)) != 0;
        if (event->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED))
            stream->descriptor = -1;
    }
    pthread_mutex_unlock(&live->mutex);
}

static void live_read_events(struct live *live)
{
    char data[16 * 1024] __attribute__((aligned(__alignof__(struct inotify_event))));
    ssize_t size;
    while ((size = read(live->inotify_fd, data, sizeof(data))) > 0) {
        const struct inotify_event *event;
        for (ssize_t at = 0; at < size; at += (ssize_t)(sizeof(*event) + event->len)) {
            event = (const struct inotify_event *)(data + at);
            live_note_event(live, event);
        }
    }
}

// For how long a stream is followed although nobody watches it. Readers of its playlist come again
// after a segment's time.
static int64_t live_grace_us(const struct live_stream *stream)
{
    int64_t grace_us = LIVE_GRACE_S * US_PER_SECOND;
    int64_t playlist_us = 3 * stream->segments.target_s * US_PER_SECOND;
    return playlist_us > grace_us ? playlist_us : grace_us;
}

// Gives a stream up that nobody has watched for long enough. With the lock.
static bool live_expire_stream(struct live *live, struct live_stream *stream, int64_t now_us)
{
    if (stream->watches != NULL)
        stream->watched_us = now_us;
    if (stream->borrowers > 0 || now_us - stream->watched_us < live_grace_us(stream))
        return false;
    if (stream->descriptor >= 0)
        inotify_rm_watch(live->inotify_fd, stream->descriptor);
    live_follower_free(stream->follower);
    live_free_stream(stream);
    live->stats.streams--;
    return true;
}

// Looks after all streams. Returns whether one must be asked for changes again and again.
static bool live_turn(struct live *live, bool is_tick)
{
    int64_t now_us = time_monotonic_us();
    bool is_polled = false;
    pthread_mutex_lock(&live->mutex);
    for (struct live_stream **place = &live->streams; *place != NULL;) {
        struct live_stream *stream = *place, *next = stream->next;
        if (is_tick && live_expire_stream(live, stream, now_us)) {
            *place = next;
            continue;
        }
        // Only this thread takes streams away, and new ones come at the front.
        pthread_mutex_unlock(&live->mutex);
        stream->is_changed |= is_tick;
        stream->is_grown |= is_tick;
        live_follow(live, stream);
        is_polled |= stream->descriptor < 0;
        pthread_mutex_lock(&live->mutex);
        live_check_silence(stream, now_us);
        while (*place != stream)
            place = &(*place)->next;
        place = &stream->next;
    }
    pthread_mutex_unlock(&live->mutex);
    return is_polled;
}

static bool live_is_stopping(struct live *live)
{
    pthread_mutex_lock(&live->mutex);
    bool stopping = live->stopping;
    pthread_mutex_unlock(&live->mutex);
    return stopping;
}

static void *live_main(void *arg)
{
    struct live *live = arg;
    struct pollfd fds[] = {
        {.fd = live->wake_fd, .events = POLLIN}, {.fd = live->inotify_fd, .events = POLLIN}};
    int64_t tick_us = 0;
    while (!live_is_stopping(live)) {
        int64_t now_us = time_monotonic_us();
        bool is_tick = now_us >= tick_us;
        if (is_tick)
            tick_us = now_us + LIVE_TICK_MS * 1000;
        bool is_polled = live_turn(live, is_tick);
        int64_t wait_ms = (tick_us - time_monotonic_us()) / 1000 + 1;
        if (wait_ms < 0)
            wait_ms = 0;
        if (is_polled && wait_ms > LIVE_POLL_MS)
            wait_ms = LIVE_POLL_MS;
        poll(fds, ARRAY_LENGTH(fds), (int)wait_ms);
        uint64_t count;
        if (fds[0].revents & POLLIN && read(live->wake_fd, &count, sizeof(count)) < 0)
            log_debug("live: %s", strerror(errno));
        if (fds[1].revents & POLLIN)
            live_read_events(live);
    }
    return NULL;
}

// --- Life ---

struct live *live_new(char **cause)
{
    struct live *live = xcalloc(1, sizeof(*live));
    pthread_mutex_init(&live->mutex, NULL);
    live->inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (live->inotify_fd < 0)
        log_warn("live: inotify: %s; the files are looked at again and again", strerror(errno));
    live->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    int error = live->wake_fd < 0 ? errno : 0;
    if (error == 0)
        error = pthread_create(&live->thread, NULL, live_main, live);
    live->is_started = error == 0;
    if (error == 0) {
        pthread_setname_np(live->thread, "live");
        return live;
    }
    *cause = xasprintf("the thread for live view can not be started: %s", strerror(error));
    live_free(live);
    return NULL;
}

void live_free(struct live *live)
{
    if (live == NULL)
        return;
    if (live->is_started) {
        pthread_mutex_lock(&live->mutex);
        live->stopping = true;
        pthread_mutex_unlock(&live->mutex);
        live_wake(live);
        pthread_join(live->thread, NULL);
    }
    for (struct live_stream *next; live->streams != NULL; live->streams = next) {
        next = live->streams->next;
        live_follower_free(live->streams->follower);
        live_free_stream(live->streams);
    }
    if (live->inotify_fd >= 0)
        close(live->inotify_fd);
    if (live->wake_fd >= 0)
        close(live->wake_fd);
    pthread_mutex_destroy(&live->mutex);
    free(live);
}

// --- Watching ---

void live_watch_begin(struct live *live, struct live_watch *watch, const struct live_name *name)
{
    pthread_mutex_lock(&live->mutex);
    struct live_stream *stream = live_open_stream(live, name);
    watch->stream = stream;
    watch->next = stream->watches;
    watch->previous = &stream->watches;
    if (watch->next != NULL)
        watch->next->previous = &watch->next;
    stream->watches = watch;
    live->stats.watchers++;
    if (stream->state != LIVE_STATE_UNKNOWN)
        watch->state_fn(watch, stream->state, stream->since_us);
    for (size_t i = 0; i < stream->history.group_count; i++)
        watch->fragment_fn(watch, stream->history.group[i]);
    pthread_mutex_unlock(&live->mutex);
}

void live_watch_end(struct live *live, struct live_watch *watch)
{
    pthread_mutex_lock(&live->mutex);
    *watch->previous = watch->next;
    if (watch->next != NULL)
        watch->next->previous = watch->previous;
    watch->stream->watched_us = time_monotonic_us();
    live->stats.watchers--;
    pthread_mutex_unlock(&live->mutex);
}

void live_look(struct live *live, const struct live_name *name, live_look_fn look_fn, void *arg)
{
    pthread_mutex_lock(&live->mutex);
    struct live_stream *stream = live_open_stream(live, name);
    look_fn(arg, &stream->segments);
    pthread_mutex_unlock(&live->mutex);
}

// --- What the supervisor knows ---

static bool live_is_silent(const struct live_stream *stream)
{
    return stream->state != LIVE_STATE_RECORDING;
}

bool live_has_silent(struct live *live)
{
    bool found = false;
    pthread_mutex_lock(&live->mutex);
    for (struct live_stream *stream = live->streams; stream != NULL; stream = stream->next)
        found |= live_is_silent(stream);
    pthread_mutex_unlock(&live->mutex);
    return found;
}

void live_ask_silent(struct live *live, live_off_fn is_off_fn, void *arg)
{
    pthread_mutex_lock(&live->mutex);
    for (struct live_stream *stream = live->streams; stream != NULL; stream = stream->next) {
        if (!live_is_silent(stream))
            continue;
        stream->borrowers++; // so that it, and what comes behind it, stays
        pthread_mutex_unlock(&live->mutex);
        bool is_off = is_off_fn(arg, stream->camera, stream->stream);
        pthread_mutex_lock(&live->mutex);
        stream->borrowers--;
        stream->is_off = is_off;
    }
    pthread_mutex_unlock(&live->mutex);
}

void live_get_stats(struct live *live, struct live_stats *stats)
{
    pthread_mutex_lock(&live->mutex);
    *stats = live->stats;
    pthread_mutex_unlock(&live->mutex);
}
