// What keeps a camera from being recorded. See probe_fault.h.
#include "supervisor/probe_fault.h"

#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "supervisor/mask.h"

enum {
    PROBE_FAULT_TEXT_MAX = 2048,
};

void probe_fault_fini(struct probe_fault *fault)
{
    free(fault->message);
    *fault = (struct probe_fault){0};
}

struct probe_fault_facts probe_fault_place(const struct config_stream *stream)
{
    struct mask *mask = mask_new(stream->url, stream->password);
    char *url = mask_text(stream->url, mask);
    const char *host = strstr(url, "://");
    host = host ? host + 3 : url;
    size_t length = strcspn(host, "/?#");
    struct probe_fault_facts facts = {
        .host = xstrndup(host, length),
        .path = xstrdup(host[length] ? host + length : "/"),
        .has_user = stream->username != NULL,
    };
    free(url);
    mask_free(mask);
    return facts;
}

void probe_fault_place_fini(struct probe_fault_facts *facts)
{
    free((char *)facts->host);
    free((char *)facts->path);
}

static void probe_fault_take(struct probe_fault *fault, const char *code, char *message)
{
    probe_fault_fini(fault);
    fault->code = code;
    fault->message = message;
}

static void probe_fault_login(struct probe_fault *fault, const struct probe_fault_facts *facts)
{
    char *how = facts->schemes ? xasprintf(" (%s)", facts->schemes) : xstrdup("");
    char *message;
    if (facts->has_user)
        message = xasprintf(
            "the camera refuses this user name or password%s: check both, and that this user may "
            "see the stream (many cameras keep users for RTSP or ONVIF apart); some lock a user "
            "out for minutes after several wrong attempts",
            how);
    else
        message = xasprintf("the camera asks for a user name and a password%s, and none is given: "
                            "give username and password_file",
            how);
    probe_fault_take(fault, "unauthorized", message);
    free(how);
}

static void probe_fault_path(struct probe_fault *fault, const struct probe_fault_facts *facts)
{
    probe_fault_take(fault, "not_found",
        xasprintf(
            "the camera has no stream at %s: look for the path in its manual or its web page; "
            "usual "
            "ones are /Streaming/Channels/101 (Hikvision), /cam/realmonitor?channel=1&subtype=0 "
            "(Dahua, Amcrest), /h264Preview_01_main (Reolink), /axis-media/media.amp (Axis), "
            "/videoMain (Foscam), /live/ch0, /stream1",
            facts->path));
}

static const struct {
    const char *code;
    const char *format; // of the host
} probe_fault_table[] = {
    {"unresolved", "there is no address for %s: check the name, and this machine's name server, "
                   "or use the camera's IP address"},
    {"refused", "%s refuses the connection: the camera may be starting, have RTSP switched off, or "
                "use another port (554 is usual)"},
    {"unreachable", "there is no way to %s: check the address, the camera's power and cable, and "
                    "this machine's network, routes and VLANs"},
    {"no_answer", "%s does not answer: check the address, that the camera is on, and that no "
                  "firewall lies between"},
    {"timeout", "%s takes the connection but does not answer: the camera may hang (switch it off "
                "and on), or the port belongs to something else"},
    {"closed", "%s closes the connection without an answer: the camera may have too many viewers, "
               "or the port belongs to something else"},
    {"not_rtsp",
        "what answers at %s does not speak RTSP: check the port (554 is usual; 80, 443 and "
        "8080 are the camera's web page)"},
    {"no_frames", "%s describes its stream, but no picture arrives: the camera may have too many "
                  "viewers, its encoder may be off, or (with UDP) a firewall keeps the pictures "
                  "out"},
    {"no_video", "%s offers no video at this path: look for another path in the camera's manual"},
    {"codec", "the video of %s can not be stored in an MP4 file: choose H.264 or H.265 in the "
              "camera's settings"},
    {"configuration", "ffmpeg does not take an option: check ffmpeg.input_options (%s was asked)"},
    {"start_failed", "ffmpeg can not be started: check ffmpeg.path (to look at %s)"},
};

void probe_fault_set(
    struct probe_fault *fault, const char *code, const struct probe_fault_facts *facts)
{
    if (strcmp(code, "unauthorized") == 0) {
        probe_fault_login(fault, facts);
        return;
    }
    if (strcmp(code, "not_found") == 0) {
        probe_fault_path(fault, facts);
        return;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(probe_fault_table); i++) {
        const char *format = probe_fault_table[i].format, *host = strstr(format, "%s");
        if (strcmp(probe_fault_table[i].code, code) != 0)
            continue;
        probe_fault_take(fault, probe_fault_table[i].code,
            xasprintf("%.*s%s%s%s%s", (int)(host - format), format, facts->host, host + 2,
                facts->detail ? "; ffmpeg says: " : "", facts->detail ? facts->detail : ""));
        return;
    }
    probe_fault_take(fault, "unknown",
        xasprintf("the stream of %s can not be read%s%s", facts->host, facts->detail ? ": " : "",
            facts->detail ? facts->detail : ", and nothing says why"));
}

void probe_fault_status(
    struct probe_fault *fault, long status, const struct probe_fault_facts *facts)
{
    if (status == 401 || status == 403) {
        probe_fault_login(fault, facts);
    } else if (status == 404 || status == 410 || status == 454) {
        probe_fault_path(fault, facts);
    } else if (status >= 300 && status < 400) {
        probe_fault_take(fault, "moved",
            xasprintf("the camera says that the stream is elsewhere%s%s: use that address",
                facts->detail ? ", at " : "", facts->detail ? facts->detail : ""));
    } else if (status == 461) {
        probe_fault_take(fault, "transport",
            xasprintf("%s takes neither TCP nor UDP for this stream", facts->host));
    } else if (status == 453 || status == 503) {
        probe_fault_take(fault, "busy",
            xasprintf(
                "%s is busy (%ld): it may have too many viewers; close some, or switch it off "
                "and on",
                facts->host, status));
    } else if (status >= 500) {
        probe_fault_take(fault, "camera",
            xasprintf(
                "%s answers with an error of its own (%ld): switch the camera off and on, and "
                "look for newer firmware",
                facts->host, status));
    } else {
        probe_fault_take(fault, "refused_request",
            xasprintf("%s does not take the request (%ld): check the path %s", facts->host, status,
                facts->path));
    }
}

json_t *probe_fault_text(const char *text)
{
    char *copy = xstrndup(text, PROBE_FAULT_TEXT_MAX);
    json_t *json = json_string(copy);
    for (char *at = copy; json == NULL && *at != '\0'; at++) {
        if ((unsigned char)*at >= 0x80)
            *at = '?';
    }
    if (json == NULL)
        json = json_string(copy);
    free(copy);
    return json;
}

json_t *probe_fault_json(const struct probe_fault *fault)
{
    if (fault->code == NULL)
        return json_null();
    return json_pack(
        "{s:s, s:o}", "code", fault->code, "message", probe_fault_text(fault->message));
}
