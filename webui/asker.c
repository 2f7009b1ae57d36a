// Puts commands to supervisor and indexer. See asker.h.
#include "webui/asker.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/core/alloc.h"
#include "lib/core/ctl.h"

static const struct {
    const char *name; // as the code of the error that says so
    const char *socket;
    unsigned at_once_max;
} asker_peers[] = {
    [ASKER_SUPERVISOR] = {"supervisor", "control.sock", ASKER_SUPERVISOR_MAX},
    [ASKER_INDEXER] = {"indexer", "indexer.sock", ASKER_INDEXER_MAX},
};

struct asker {
    char *sockets[ASKER_PEERS];
    int cancel_fd; // readable: give up
    pthread_mutex_t mutex;
    pthread_cond_t idle;
    unsigned running[ASKER_PEERS];
    bool stopping;
};

struct ask {
    struct asker *asker;
    struct asker_question question;
    struct reply *reply;
    void (*done)(void *arg);
    void *arg;
};

struct asker *asker_new(const char *runtime, char **cause)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0) {
        *cause = xasprintf("no event descriptor can be made: %s", strerror(errno));
        return NULL;
    }
    struct asker *asker = xcalloc(1, sizeof(*asker));
    for (int i = 0; i < ASKER_PEERS; i++)
        asker->sockets[i] = xasprintf("%s/%s", runtime, asker_peers[i].socket);
    asker->cancel_fd = fd;
    pthread_mutex_init(&asker->mutex, NULL);
    pthread_cond_init(&asker->idle, NULL);
    return asker;
}

static void asker_refuse_busy(struct reply *reply)
{
    reply_error(reply, 503, "busy", NULL, "too much of this kind is being done already; try again");
    reply_header(reply, "Retry-After", "10");
}

// The peer's refusal as an answer.
static void asker_refuse(
    struct reply *reply, enum asker_peer peer, const struct ctl_refusal *refusal)
{
    static const struct {
        const char *code;
        unsigned status;
    } table[] = {
        {"bad_request", 400},
        {"bad_parameter", 400},
        {"missing_parameter", 400},
        {"unknown_parameter", 400},
        {"camera_not_found", 404},
        {"stream_not_found", 404},
        {"conflict", 409},
        {"catalog_unwritable", 503},
        {"stopping", 503},
        {"timeout", 503},
        {"forbidden", 403},
        {"not_found", 404},
        {"not_running", 503},
        {"no_answer", 503},
    };
    unsigned status = 500;
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        if (strcmp(table[i].code, refusal->code) == 0)
            status = table[i].status;
    }
    bool is_named = strcmp(refusal->code, "catalog_unwritable") == 0;
    if (strcmp(refusal->code, "busy") == 0)
        asker_refuse_busy(reply);
    else
        reply_error(reply, status,
            status == 503 && !is_named ? asker_peers[peer].name : refusal->code, refusal->field,
            "%s", refusal->message);
}

static bool asker_is_running(const struct asker *asker)
{
    for (int i = 0; i < ASKER_PEERS; i++)
        if (asker->running[i] > 0)
            return true;
    return false;
}

static void *asker_main(void *arg)
{
    struct ask *ask = arg;
    struct asker *asker = ask->asker;
    const struct asker_question *question = &ask->question;
    enum asker_peer peer = question->peer;
    struct ctl_refusal refusal;
    json_t *result = ctl_ask(
        asker->sockets[peer], question->command, ASKER_TIMEOUT_MS, asker->cancel_fd, &refusal);
    if (result == NULL)
        asker_refuse(ask->reply, peer, &refusal);
    else if (question->answer != NULL)
        question->answer(result, ask->reply);
    else
        reply_json(ask->reply, 200, result);
    ctl_refusal_fini(&refusal);
    json_decref(question->command);
    ask->done(ask->arg);
    free(ask);
    pthread_mutex_lock(&asker->mutex);
    asker->running[peer]--;
    if (!asker_is_running(asker))
        pthread_cond_broadcast(&asker->idle);
    pthread_mutex_unlock(&asker->mutex);
    return NULL;
}

static bool asker_launch(struct ask *ask)
{
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    bool is_good = pthread_create(&thread, &attributes, asker_main, ask) == 0;
    if (is_good)
        pthread_setname_np(thread, "ask");
    pthread_attr_destroy(&attributes);
    return is_good;
}

bool asker_put(struct asker *asker, const struct asker_question *question, struct reply *reply,
    void (*done)(void *arg), void *arg)
{
    struct ask *ask = xcalloc(1, sizeof(*ask));
    *ask = (struct ask){asker, *question, reply, done, arg};
    unsigned *running = &asker->running[question->peer];
    // Locked until the count is right: the thread could end before.
    pthread_mutex_lock(&asker->mutex);
    bool is_taken =
        !asker->stopping && *running < asker_peers[question->peer].at_once_max && asker_launch(ask);
    if (is_taken)
        ++*running;
    pthread_mutex_unlock(&asker->mutex);
    if (is_taken)
        return true;
    json_decref(question->command);
    free(ask);
    asker_refuse_busy(reply);
    return false;
}

static void asker_end(struct asker *asker, bool stopping)
{
    eventfd_t value;
    pthread_mutex_lock(&asker->mutex);
    asker->stopping = asker->stopping || stopping;
    eventfd_write(asker->cancel_fd, 1);
    while (asker_is_running(asker))
        pthread_cond_wait(&asker->idle, &asker->mutex);
    eventfd_read(asker->cancel_fd, &value);
    pthread_mutex_unlock(&asker->mutex);
}

void asker_cancel(struct asker *asker)
{
    asker_end(asker, false);
}

void asker_stop(struct asker *asker)
{
    asker_end(asker, true);
}

void asker_free(struct asker *asker)
{
    if (asker == NULL)
        return;
    asker_stop(asker);
    pthread_cond_destroy(&asker->idle);
    pthread_mutex_destroy(&asker->mutex);
    close(asker->cancel_fd);
    for (int i = 0; i < ASKER_PEERS; i++)
        free(asker->sockets[i]);
    free(asker);
}
