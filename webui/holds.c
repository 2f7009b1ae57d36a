// Locks for running downloads. See holds.h.
#include "webui/holds.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/core/alloc.h"
#include "lib/core/ctl.h"
#include "lib/core/log.h"
#include "lib/core/timeutil.h"
#include "lib/core/uuid.h"
#include "lib/media/segment_id.h"

enum {
    HOLDS_LOCKED_MAX = 64, // at once; further downloads have none
    HOLDS_ASK_MS = 3000,
};

#define HOLD_BEGIN_US (5 * US_PER_SECOND)  // shorter downloads need none
#define HOLD_RENEW_US (40 * US_PER_SECOND) // between two renewals, or tries
#define HOLD_EXPIRY_US (120 * US_PER_SECOND)
#define HOLD_US_MAX US_PER_DAY // a download that takes longer is not worth a disk

struct hold {
    struct holds *holds;
    struct hold *next;
    char camera[SEGMENT_NAME_MAX];
    char stream[SEGMENT_NAME_MAX];
    int64_t start_us;
    int64_t end_us;
    char id[UUID_TEXT_SIZE];
    bool locked;
    bool ended;
    int64_t due_us;   // monotonic, when there is something to do
    int64_t until_us; // monotonic, the longest that it may be locked
};

struct holds {
    char *socket;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    struct hold *first;
    unsigned locked;
    bool stopping;
    bool complained; // that the indexer does not lock
};

// --- Asking the indexer; the mutex is not held ---

static json_t *hold_time(int64_t time_us)
{
    char text[TIME_TEXT_SIZE];
    time_format_utc(time_us, text);
    return json_string(text);
}

// Puts a command; takes the reference. Returns whether it was carried out.
static bool hold_ask(struct hold *hold, json_t *command)
{
    struct ctl_refusal refusal;
    struct holds *holds = hold->holds;
    json_t *result = ctl_ask(holds->socket, command, HOLDS_ASK_MS, -1, &refusal);
    json_decref(command);
    if (result != NULL) {
        holds->complained = false;
    } else if (!holds->complained) {
        log_warn("%s/%s: a download goes on without a lock: %s", hold->camera, hold->stream,
            refusal.message);
        holds->complained = true;
    }
    bool is_good = result != NULL;
    ctl_refusal_fini(&refusal);
    json_decref(result);
    return is_good;
}

static bool hold_lock(struct hold *hold)
{
    uuid_make(time_now_us(), hold->id);
    return hold_ask(
        hold, json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:s, s:o}", "command", "lock_add", "id",
                  hold->id, "camera", hold->camera, "stream", hold->stream, "start",
                  hold_time(hold->start_us), "end", hold_time(hold->end_us), "reason",
                  "a running download", "expires", hold_time(time_now_us() + HOLD_EXPIRY_US)));
}

static bool hold_renew(struct hold *hold)
{
    return hold_ask(hold, json_pack("{s:s, s:s, s:o}", "command", "lock_renew", "id", hold->id,
                              "expires", hold_time(time_now_us() + HOLD_EXPIRY_US)));
}

static bool hold_unlock(struct hold *hold)
{
    return hold_ask(hold, json_pack("{s:s, s:s}", "command", "lock_remove", "id", hold->id));
}

// --- The thread ---

// One that there is something to do for, or NULL; *next_us says when that will be, 0: never.
static struct hold *holds_due(struct holds *holds, int64_t now_us, int64_t *next_us)
{
    *next_us = 0;
    for (struct hold *hold = holds->first; hold != NULL; hold = hold->next) {
        if (hold->ended || hold->due_us <= now_us)
            return hold;
        if (*next_us == 0 || hold->due_us < *next_us)
            *next_us = hold->due_us;
    }
    return NULL;
}

static void holds_wait(struct holds *holds, int64_t until_us)
{
    const struct timespec until = {
        .tv_sec = until_us / US_PER_SECOND, .tv_nsec = until_us % US_PER_SECOND * 1000};
    if (until_us == 0)
        pthread_cond_wait(&holds->wake, &holds->mutex);
    else
        pthread_cond_timedwait(&holds->wake, &holds->mutex, &until);
}

static void holds_remove(struct holds *holds, struct hold *hold)
{
    struct hold **place = &holds->first;
    while (*place != hold)
        place = &(*place)->next;
    *place = hold->next;
    free(hold);
}

// Does what is due, with the mutex given back meanwhile. A lock that can not be taken away expires.
static void hold_serve(struct hold *hold, int64_t now_us)
{
    struct holds *holds = hold->holds;
    bool is_over = hold->ended, was_locked = hold->locked, is_locked = false;
    bool wants =
        !is_over && now_us < hold->until_us && (was_locked || holds->locked < HOLDS_LOCKED_MAX);
    bool gives_up = holds->stopping && holds->complained;
    pthread_mutex_unlock(&holds->mutex);
    if (wants)
        is_locked = was_locked ? hold_renew(hold) : hold_lock(hold);
    else if (was_locked && !gives_up)
        hold_unlock(hold);
    pthread_mutex_lock(&holds->mutex);
    holds->locked += (unsigned)is_locked - (unsigned)was_locked;
    hold->locked = is_locked;
    hold->due_us = now_us + HOLD_RENEW_US;
    if (is_over)
        holds_remove(holds, hold);
}

static void *holds_main(void *arg)
{
    struct holds *holds = arg;
    pthread_mutex_lock(&holds->mutex);
    while (!holds->stopping || holds->first != NULL) {
        int64_t now_us = time_monotonic_us(), next_us;
        struct hold *hold = holds_due(holds, now_us, &next_us);
        if (hold != NULL)
            hold_serve(hold, now_us);
        else
            holds_wait(holds, next_us);
    }
    pthread_mutex_unlock(&holds->mutex);
    return NULL;
}

// --- Life ---

struct holds *holds_new(const char *runtime, char **cause)
{
    struct holds *holds = xcalloc(1, sizeof(*holds));
    holds->socket = xasprintf("%s/indexer.sock", runtime);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&holds->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&holds->mutex, NULL);
    int error = pthread_create(&holds->thread, NULL, holds_main, holds);
    if (error == 0) {
        pthread_setname_np(holds->thread, "holds");
        return holds;
    }
    *cause = xasprintf("the thread for locks can not be started: %s", strerror(error));
    free(holds->socket);
    free(holds);
    return NULL;
}

void holds_free(struct holds *holds)
{
    if (holds == NULL)
        return;
    pthread_mutex_lock(&holds->mutex);
    holds->stopping = true;
    pthread_cond_signal(&holds->wake);
    pthread_mutex_unlock(&holds->mutex);
    pthread_join(holds->thread, NULL);
    pthread_cond_destroy(&holds->wake);
    pthread_mutex_destroy(&holds->mutex);
    free(holds->socket);
    free(holds);
}

struct hold *holds_begin(
    struct holds *holds, const char *camera, const char *stream, int64_t start_us, int64_t end_us)
{
    struct hold *hold = xcalloc(1, sizeof(*hold));
    int64_t now_us = time_monotonic_us();
    *hold = (struct hold){
        .holds = holds,
        .start_us = start_us,
        .end_us = end_us,
        .due_us = now_us + HOLD_BEGIN_US,
        .until_us = now_us + HOLD_US_MAX,
    };
    snprintf(hold->camera, sizeof(hold->camera), "%s", camera);
    snprintf(hold->stream, sizeof(hold->stream), "%s", stream);
    pthread_mutex_lock(&holds->mutex);
    hold->next = holds->first;
    holds->first = hold;
    pthread_cond_signal(&holds->wake);
    pthread_mutex_unlock(&holds->mutex);
    return hold;
}

void hold_end(struct hold *hold)
{
    if (hold == NULL)
        return;
    struct holds *holds = hold->holds;
    pthread_mutex_lock(&holds->mutex);
    hold->ended = true;
    pthread_cond_signal(&holds->wake);
    pthread_mutex_unlock(&holds->mutex);
}
