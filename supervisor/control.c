// The commands of control.sock. See control.h.
#include "supervisor/control.h"

#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/log.h"
#include "lib/core/timeutil.h"
#include "supervisor/hookevent.h"
#include "supervisor/probe.h"
#include "supervisor/probe_target.h"
#include "supervisor/status.h"

// The string argument of that name, or NULL.
static const char *control_argument(const struct ctl_request *request, const char *name)
{
    return json_string_value(json_object_get(ctl_request_json(request), name));
}

static void control_status(struct daemon *daemon, struct ctl_request *request)
{
    const char *camera = control_argument(request, "camera");
    const char *name = control_argument(request, "stream");
    if (camera == NULL && name == NULL) {
        ctl_reply(request, status_daemon(daemon));
        return;
    }
    if (camera == NULL || name == NULL) {
        ctl_fail(request, "bad_request", camera ? "stream" : "camera",
            "camera and stream are needed together");
        return;
    }
    const struct stream *stream = daemon_find_stream(daemon, camera, name);
    if (stream == NULL)
        ctl_fail(request, "not_found", "stream", "there is no stream %s/%s", camera, name);
    else
        ctl_reply(request, status_stream(daemon, stream, true));
}

static void control_reload(struct daemon *daemon, struct ctl_request *request)
{
    reloader_begin(daemon->reloader, request);
}

// The streams that a request names: those of a camera, or one. They stand side by side. Returns how
// many; 0 when the request has been refused.
static size_t control_streams(
    struct daemon *daemon, struct ctl_request *request, struct stream ***streams)
{
    const char *camera = control_argument(request, "camera");
    const char *name = control_argument(request, "stream");
    size_t count = 0;
    if (camera == NULL) {
        ctl_fail(request, "bad_request", "camera", "the camera is missing");
        return 0;
    }
    for (size_t i = 0; i < daemon->stream_count; i++) {
        struct stream **stream = &daemon->streams[i];
        if (strcmp((*stream)->camera, camera) != 0 || (name && strcmp((*stream)->name, name) != 0))
            continue;
        if (count++ == 0)
            *streams = stream;
    }
    if (count == 0 && name != NULL)
        ctl_fail(request, "not_found", "stream", "there is no stream %s/%s", camera, name);
    else if (count == 0)
        ctl_fail(request, "not_found", "camera", "there is no camera %s", camera);
    return count;
}

static void control_restart(struct daemon *daemon, struct ctl_request *request)
{
    struct stream **streams;
    size_t count = control_streams(daemon, request, &streams), restarted = 0;
    for (size_t i = 0; i < count; i++) {
        if (!streams[i]->is_wanted)
            continue;
        log_info("%s/%s: is restarted by a command", streams[i]->camera, streams[i]->name);
        stream_restart(streams[i], REASON_RESTART);
        restarted++;
    }
    if (count > 0)
        ctl_reply(request, json_pack("{s:I, s:I}", "streams", (json_int_t)count, "restarted",
                               (json_int_t)restarted));
}

static void control_enable(struct daemon *daemon, struct ctl_request *request)
{
    struct stream **streams;
    size_t count = control_streams(daemon, request, &streams), enabled = 0, off = 0;
    for (size_t i = 0; i < count; i++) {
        struct stream *stream = streams[i];
        bool is_configured = stream->config && stream->config->recording.enabled;
        off += !is_configured;
        if (!disabled_set(&daemon->disabled, stream->camera, stream->name, false))
            continue;
        log_info("%s/%s: is enabled again by a command", stream->camera, stream->name);
        enabled++;
        if (is_configured && !daemon->is_stopping)
            stream_start(stream);
    }
    if (count > 0)
        ctl_reply(request, json_pack("{s:I, s:I, s:I}", "streams", (json_int_t)count, "enabled",
                               (json_int_t)enabled, "off_by_configuration", (json_int_t)off));
}

static void control_disable(struct daemon *daemon, struct ctl_request *request)
{
    struct stream **streams;
    size_t count = control_streams(daemon, request, &streams), disabled = 0;
    // From the end: one that has left the configuration goes as soon as it is off.
    for (size_t i = count; i-- > 0;) {
        struct stream *stream = streams[i];
        if (!disabled_set(&daemon->disabled, stream->camera, stream->name, true))
            continue;
        log_info("%s/%s: is disabled by a command", stream->camera, stream->name);
        disabled++;
        if (stream->is_wanted)
            stream_stop(stream, REASON_DISABLED);
    }
    if (count > 0)
        ctl_reply(request, json_pack("{s:I, s:I}", "streams", (json_int_t)count, "disabled",
                               (json_int_t)disabled));
}

// The indexer has filed a segment: that is an event for its stream's hook.
static void control_segment(struct daemon *daemon, struct ctl_request *request)
{
    static const char *const texts[] = {"id", "path", "start", "end"};
    const char *camera = control_argument(request, "camera");
    const char *name = control_argument(request, "stream");
    const json_t *json = ctl_request_json(request);
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        if (control_argument(request, texts[i]) == NULL)
            camera = NULL;
    }
    if (camera == NULL || name == NULL || !json_is_integer(json_object_get(json, "bytes"))) {
        ctl_fail(request, "bad_request", NULL,
            "camera, stream, id, path, start, end and bytes are needed");
        return;
    }
    const struct stream *stream = daemon_find_stream(daemon, camera, name);
    const struct config_hook *hook =
        stream && stream->config ? stream->config->recording.on_segment : NULL;
    if (hook != NULL) {
        json_t *event =
            hookevent_new(HOOK_SEGMENT, daemon->config->node, camera, name, time_now_us());
        for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
            json_object_set(event, texts[i], json_object_get(json, texts[i]));
        json_object_set(event, "bytes", json_object_get(json, "bytes"));
        hooks_post(daemon->hooks, HOOK_SEGMENT, hook, camera, name, event);
    }
    ctl_reply(request, json_pack("{s:b}", "taken", hook != NULL));
}

static void control_probe_done(void *request, json_t *report)
{
    ctl_reply(request, report);
}

// What to probe: a configured stream, or any address. Returns NULL with the request refused.
static json_t *control_probe_target(struct daemon *daemon, struct ctl_request *request)
{
    const char *camera = control_argument(request, "camera");
    const char *name = control_argument(request, "stream");
    const char *url = control_argument(request, "url");
    if ((camera == NULL) == (url == NULL)) {
        ctl_fail(request, "bad_request", camera ? "url" : "camera",
            "a camera or an url is needed, one of them");
        return NULL;
    }
    if (camera != NULL) {
        const struct config_stream *stream =
            config_stream_find(daemon->config, camera, name ? name : "main");
        if (stream != NULL)
            return probe_target_stream(daemon->config, stream);
        ctl_fail(request, "not_found", name ? "stream" : "camera", "there is no stream %s/%s",
            camera, name ? name : "main");
        return NULL;
    }
    const char *field;
    char *cause = NULL;
    json_t *target = probe_target_url(daemon->config, url, control_argument(request, "username"),
        control_argument(request, "password"), NULL, &field, &cause);
    if (target == NULL)
        ctl_fail(request, "bad_request", field, "%s", cause);
    free(cause);
    return target;
}

static void control_probe(struct daemon *daemon, struct ctl_request *request)
{
    const char *code;
    char *cause = NULL;
    json_t *target = control_probe_target(daemon, request);
    if (target == NULL)
        return;
    if (probe_start(daemon->probes, target, control_probe_done, request, &code, &cause) < 0)
        ctl_fail(request, code, NULL, "%s", cause);
    free(cause);
}

static void control_stop(struct daemon *daemon, struct ctl_request *request)
{
    ctl_reply(request, json_object());
    daemon_stop(daemon);
}

static const struct {
    const char *name;
    bool for_everybody;
    void (*run)(struct daemon *daemon, struct ctl_request *request);
} control_table[] = {
    {"status", true, control_status},
    {"reload", false, control_reload},
    {"restart", false, control_restart},
    {"enable", false, control_enable},
    {"disable", false, control_disable},
    {"segment", false, control_segment},
    {"stop", false, control_stop},
    {"probe", true, control_probe},
};

void control_request(struct ctl_request *request, void *daemon)
{
    const char *command = ctl_request_command(request);
    for (size_t i = 0; i < ARRAY_LENGTH(control_table); i++) {
        if (strcmp(control_table[i].name, command) != 0)
            continue;
        if (!control_table[i].for_everybody && !ctl_request_privileged(request))
            ctl_fail(request, "forbidden", "command",
                "only root and the user that keepframe runs as may say %s", command);
        else
            control_table[i].run(daemon, request);
        return;
    }
    ctl_fail(request, "unknown", "command", "there is no command of that name");
}
