// What the supervisor says. See supervisor.h.
#include "webui/supervisor.h"

#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/ctl.h"
#include "lib/core/log.h"
#include "lib/core/timeutil.h"

enum {
    SUPERVISOR_TIMEOUT_MS = 500,
    SUPERVISOR_FRESH_MS = 1000,
};

struct supervisor {
    json_t *status; // NULL: it did not answer
    char *cause;
    int64_t asked_us; // monotonic; 0: never
};

struct supervisor *supervisor_new(void)
{
    return xcalloc(1, sizeof(struct supervisor));
}

void supervisor_forget(struct supervisor *supervisor)
{
    json_decref(supervisor->status);
    free(supervisor->cause);
    *supervisor = (struct supervisor){0};
}

void supervisor_free(struct supervisor *supervisor)
{
    if (supervisor == NULL)
        return;
    supervisor_forget(supervisor);
    free(supervisor);
}

static const json_t *supervisor_status(struct supervisor *supervisor, const struct conf *conf)
{
    int64_t now_us = time_monotonic_us();
    if (supervisor->asked_us != 0 && now_us - supervisor->asked_us < SUPERVISOR_FRESH_MS * 1000)
        return supervisor->status;
    supervisor_forget(supervisor);
    char *path = xasprintf("%s/control.sock", conf->runtime);
    json_t *request = json_pack("{s:s}", "command", "status");
    supervisor->status = ctl_call(path, request, SUPERVISOR_TIMEOUT_MS, &supervisor->cause);
    supervisor->asked_us = time_monotonic_us();
    json_decref(request);
    free(path);
    return supervisor->status;
}

static bool supervisor_is(const json_t *object, const char *key, const char *value)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL && strcmp(text, value) == 0;
}

const char *supervisor_stream_state(
    struct supervisor *supervisor, const struct conf *conf, const char *camera, const char *stream)
{
    const json_t *status = supervisor_status(supervisor, conf), *item;
    size_t index;
    json_array_foreach(json_object_get(status, "streams"), index, item)
    {
        const char *state = json_string_value(json_object_get(item, "state"));
        if (state != NULL && supervisor_is(item, "camera", camera) &&
            supervisor_is(item, "stream", stream))
            return state;
    }
    return "unknown";
}

char *supervisor_complaint(struct supervisor *supervisor, const struct conf *conf)
{
    const json_t *status = supervisor_status(supervisor, conf), *item;
    size_t index;
    if (status == NULL)
        return xasprintf("recording: the supervisor does not answer: %s", supervisor->cause);
    json_array_foreach(json_object_get(status, "programs"), index,
        item) if (supervisor_is(item, "program", "keepframe-indexer") &&
                  !json_is_integer(json_object_get(
                      item, "pid"))) return xstrdup("indexing: the indexer is not running");
    return NULL;
}
