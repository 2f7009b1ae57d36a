// The commands of control.sock. See control.h.
#include "supervisor/control.h"

#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
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
        ctl_reply(request, status_stream(stream, true));
}

static void control_reload(struct daemon *daemon, struct ctl_request *request)
{
    struct daemon_reload done;
    char *cause = NULL;
    if (daemon_reload(daemon, &done, &cause) < 0) {
        ctl_fail(request, "configuration", NULL, "%s", cause);
        free(cause);
        return;
    }
    ctl_reply(
        request, json_pack("{s:i, s:i, s:i, s:i}", "started", (int)done.started, "stopped",
                     (int)done.stopped, "restarted", (int)done.restarted, "kept", (int)done.kept));
}

static void control_restart(struct daemon *daemon, struct ctl_request *request)
{
    const char *camera = control_argument(request, "camera");
    const char *name = control_argument(request, "stream");
    int count = 0;
    if (camera == NULL) {
        ctl_fail(request, "bad_request", "camera", "the camera is missing");
        return;
    }
    for (size_t i = 0; i < daemon->stream_count; i++) {
        struct stream *stream = daemon->streams[i];
        if (strcmp(stream->camera, camera) != 0 || (name && strcmp(stream->name, name) != 0))
            continue;
        stream_restart(stream, REASON_RESTART);
        count++;
    }
    if (count == 0)
        ctl_fail(request, "not_found", name ? "stream" : "camera", "there is no stream %s/%s",
            camera, name ? name : "*");
    else
        ctl_reply(request, json_pack("{s:i}", "restarted", count));
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
    {"stop", false, control_stop},
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
