// Puts commands to the supervisor. See asker.h.
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

struct asker {
    char *socket;
    int cancel_fd; // readable: give up
    pthread_mutex_t mutex;
    pthread_cond_t idle;
    unsigned running;
    bool stopping;
};

struct ask {
    struct asker *asker;
    json_t *command;
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
    asker->socket = xasprintf("%s/control.sock", runtime);
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

// The supervisor's refusal as an answer.
static void asker_refuse(struct reply *reply, const struct ctl_refusal *refusal)
{
    static const struct {
        const char *code;
        unsigned status;
    } table[] = {
        {"bad_request", 400},
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
    if (strcmp(refusal->code, "busy") == 0)
        asker_refuse_busy(reply);
    else
        reply_error(reply, status, status == 503 ? "supervisor" : refusal->code, refusal->field,
            "%s", refusal->message);
}

static void *asker_main(void *arg)
{
    struct ask *ask = arg;
    struct asker *asker = ask->asker;
    struct ctl_refusal refusal;
    json_t *result =
        ctl_ask(asker->socket, ask->command, ASKER_TIMEOUT_MS, asker->cancel_fd, &refusal);
    if (result != NULL)
        reply_json(ask->reply, 200, result);
    else
        asker_refuse(ask->reply, &refusal);
    ctl_refusal_fini(&refusal);
    json_decref(ask->command);
    ask->done(ask->arg);
    free(ask);
    pthread_mutex_lock(&asker->mutex);
    if (--asker->running == 0)
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

bool asker_put(
    struct asker *asker, json_t *command, struct reply *reply, void (*done)(void *arg), void *arg)
{
    struct ask *ask = xcalloc(1, sizeof(*ask));
    *ask = (struct ask){asker, command, reply, done, arg};
    // Locked until the count is right: the thread could end before.
    pthread_mutex_lock(&asker->mutex);
    bool is_taken = !asker->stopping && asker->running < ASKER_AT_ONCE_MAX && asker_launch(ask);
    if (is_taken)
        asker->running++;
    pthread_mutex_unlock(&asker->mutex);
    if (is_taken)
        return true;
    json_decref(command);
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
    while (asker->running > 0)
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
    free(asker->socket);
    free(asker);
}
