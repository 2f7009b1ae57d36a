// The table of routes. See route.h.
#include "webui/route.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "webui/api.h"
#include "webui/cameraleech.h"
#include "webui/hls.h"
#include "webui/live_handle.h"
#include "webui/metrics.h"
#include "webui/page.h"
#include "webui/playback.h"
#include "webui/stills.h"
#include "webui/zabbix.h"

static const struct query_rule route_no_rules[] = {{0}};

// The array's size is negative where no permission is declared.
#define ROUTE_NEEDS(needs)                                                                         \
    (enum route_permission)((needs) + 0 * (int)sizeof(char[(needs) > 0 ? 1 : -1]))

#define ROUTE(address, needs, is_direct, parameters, function, ...)                                \
    {                                                                                              \
        .pattern = (address), .permission = ROUTE_NEEDS(needs), .direct = (is_direct),             \
        .rules = (parameters), .handle = (function), .writes = {                                   \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }

// One that is not for GET.
#define ROUTE_WRITES(address, ...)                                                                 \
    {                                                                                              \
        .pattern = (address), .rules = route_no_rules, .writes = { __VA_ARGS__ }                   \
    }

#define WRITE(name, needs, whom, body, function, result)                                           \
    {                                                                                              \
        .method = (name), .permission = ROUTE_NEEDS(needs), .peer = (whom), .has_body = (body),    \
        .command = (function), .answer = (result)                                                  \
    }

const struct route route_table[] = {
    ROUTE("/", ROUTE_PUBLIC, true, route_no_rules, page_handle),
    ROUTE("/static/api.js", ROUTE_PUBLIC, true, route_no_rules, page_handle),
    ROUTE("/static/app.js", ROUTE_PUBLIC, true, route_no_rules, page_handle),
    ROUTE("/static/format.js", ROUTE_PUBLIC, true, route_no_rules, page_handle),
    ROUTE("/static/live.js", ROUTE_PUBLIC, true, route_no_rules, page_handle),
    ROUTE("/static/mux.js", ROUTE_PUBLIC, true, route_no_rules, page_handle),
    ROUTE("/static/timeline.js", ROUTE_PUBLIC, true, route_no_rules, page_handle),
    ROUTE("/static/style.css", ROUTE_PUBLIC, true, route_no_rules, page_handle),
    ROUTE("/static/icon.svg", ROUTE_PUBLIC, true, route_no_rules, page_handle),
    ROUTE("/healthz", ROUTE_PUBLIC, false, route_no_rules, api_health),
    ROUTE("/zabbix/discovery", ROUTE_MONITOR, false, route_no_rules, zabbix_discovery),
    ROUTE("/zabbix/items", ROUTE_MONITOR, false, route_no_rules, zabbix_items),
    ROUTE("/cameras.json", ROUTE_MONITOR, false, route_no_rules, cameraleech_cameras),
    ROUTE("/camera/{camera}/frame", ROUTE_VIEW, false, route_no_rules, cameraleech_figure),
    ROUTE("/camera/{camera}/fps", ROUTE_VIEW, false, route_no_rules, cameraleech_figure),
    ROUTE("/camera/{camera}/bitrate", ROUTE_VIEW, false, route_no_rules, cameraleech_figure),
    ROUTE("/camera/{camera}/outtime", ROUTE_VIEW, false, route_no_rules, cameraleech_figure),
    ROUTE("/camera/{camera}/dupframes", ROUTE_VIEW, false, route_no_rules, cameraleech_figure),
    ROUTE("/camera/{camera}/dropframes", ROUTE_VIEW, false, route_no_rules, cameraleech_figure),
    ROUTE("/metrics", ROUTE_MONITOR, false, route_no_rules, metrics_handle),
    ROUTE("/api/v1/cameras", ROUTE_VIEW, false, route_no_rules, api_cameras),
    ROUTE("/api/v1/cameras/{camera}", ROUTE_VIEW, false, route_no_rules, api_camera),
    ROUTE("/api/v1/cameras/{camera}/{stream}/segments", ROUTE_VIEW, false, api_segments_rules,
        api_segments),
    ROUTE("/api/v1/cameras/{camera}/{stream}/timeline", ROUTE_VIEW, false, api_timeline_rules,
        api_timeline),
    ROUTE("/api/v1/cameras/{camera}/{stream}/gaps", ROUTE_VIEW, false, api_gaps_rules, api_gaps),
    ROUTE("/api/v1/cameras/{camera}/{stream}/calendar", ROUTE_VIEW, false, api_calendar_rules,
        api_calendar),
    ROUTE("/api/v1/storage", ROUTE_MONITOR, false, route_no_rules, api_storage),
    ROUTE("/api/v1/status", ROUTE_MONITOR, false, route_no_rules, api_status),
    ROUTE("/api/v1/events", ROUTE_VIEW, false, api_events_rules, api_events,
        WRITE("POST", ROUTE_ADMIN, ASKER_INDEXER, true, api_event_add, api_event_answer)),
    ROUTE_WRITES("/api/v1/events/{id}",
        WRITE("PATCH", ROUTE_ADMIN, ASKER_INDEXER, true, api_event_end, api_event_answer),
        WRITE("DELETE", ROUTE_ADMIN, ASKER_INDEXER, false, api_event_remove, api_removed_answer)),
    ROUTE("/api/v1/locks", ROUTE_VIEW, false, api_locks_rules, api_locks,
        WRITE("POST", ROUTE_ADMIN, ASKER_INDEXER, true, api_lock_add, api_lock_answer)),
    ROUTE_WRITES("/api/v1/locks/{id}",
        WRITE("PATCH", ROUTE_ADMIN, ASKER_INDEXER, true, api_lock_renew, api_lock_answer),
        WRITE("DELETE", ROUTE_ADMIN, ASKER_INDEXER, false, api_lock_remove, api_removed_answer)),
    ROUTE_WRITES(
        "/api/v1/probe", WRITE("POST", ROUTE_ADMIN, ASKER_SUPERVISOR, true, api_probe, NULL)),
    ROUTE("/live/mux", ROUTE_VIEW, false, live_mux_rules, live_handle_mux),
    ROUTE("/live/{camera}/{stream}.mp4", ROUTE_VIEW, false, live_stream_rules, live_handle_stream),
    ROUTE("/api/v1/cameras/{camera}/{stream}/map", ROUTE_VIEW, false, playback_map_rules,
        playback_map),
    ROUTE("/hls/{camera}/master.m3u8", ROUTE_VIEW, false, hls_master_rules, hls_master),
    ROUTE("/hls/{camera}/{stream}/vod.m3u8", ROUTE_VIEW, false, hls_vod_rules, hls_vod),
    ROUTE(
        "/hls/{camera}/{stream}/init-{segment}.mp4", ROUTE_VIEW, false, hls_media_rules, hls_init),
    ROUTE("/hls/{camera}/{stream}/seg-{segment}.m4s", ROUTE_VIEW, false, hls_media_rules,
        hls_segment),
    ROUTE("/hls/{camera}/{stream}/live.m3u8", ROUTE_VIEW, false, hls_live_rules, hls_live),
    ROUTE("/hls/{camera}/{stream}/live-{segment}.mp4", ROUTE_VIEW, false, hls_live_media_rules,
        hls_live_init),
    ROUTE("/hls/{camera}/{stream}/live-{segment}.m4s", ROUTE_VIEW, false, hls_live_media_rules,
        hls_live_segment),
    ROUTE("/hls/{camera}/{stream}/part-{segment}.m4s", ROUTE_VIEW, false, hls_live_media_rules,
        hls_live_part),
    ROUTE("/video/{camera}/{stream}.mp4", ROUTE_VIEW, false, playback_rules, playback_handle),
    ROUTE("/timelapse/{camera}/{stream}.mp4", ROUTE_VIEW, false, stills_timelapse_rules,
        stills_timelapse),
    ROUTE("/frame/{camera}/{stream}.mp4", ROUTE_VIEW, false, stills_frame_rules, stills_frame),
    {0},
};

// Reads a camera's or stream's name; moves *path behind it.
static bool route_read_name(const char **path, char name[SEGMENT_NAME_MAX])
{
    size_t length = strspn(*path, "abcdefghijklmnopqrstuvwxyz0123456789_-");
    if (length >= SEGMENT_NAME_MAX)
        return false;
    memcpy(name, *path, length);
    name[length] = '\0';
    *path += length;
    return segment_name_valid(name);
}

// Reads what may be a UUID; moves *path behind it.
static bool route_read_id(const char **path, char id[UUID_TEXT_SIZE])
{
    size_t length = strspn(*path, "0123456789abcdefABCDEF-");
    if (length != UUID_TEXT_SIZE - 1)
        return false;
    memcpy(id, *path, length);
    id[length] = '\0';
    *path += length;
    return true;
}

static bool route_match(const char *pattern, const char *path, struct request *request)
{
    size_t names = 0;
    while (*pattern != '\0') {
        if (strncmp(pattern, "{id}", 4) == 0) {
            if (!route_read_id(&path, request->id))
                return false;
            pattern += 4;
        } else if (*pattern == '{') {
            if (names == ROUTE_NAMES_MAX || !route_read_name(&path, request->names[names++]))
                return false;
            pattern = strchr(pattern, '}') + 1;
        } else if (*pattern++ != *path++) {
            return false;
        }
    }
    return *path == '\0';
}

bool route_find(const char *path, struct request *request)
{
    for (const struct route *route = route_table; route->pattern != NULL; route++) {
        if (!route_match(route->pattern, path, request))
            continue;
        request->route = route;
        request->path = path;
        return true;
    }
    return false;
}

static void route_add_method(char known[ROUTE_METHODS_SIZE], const char *method)
{
    size_t used = strlen(known);
    snprintf(known + used, ROUTE_METHODS_SIZE - used, "%s%s", used > 0 ? ", " : "", method);
}

bool route_find_method(struct request *request, const char *method, char known[ROUTE_METHODS_SIZE])
{
    const struct route *route = request->route;
    known[0] = '\0';
    request->head = strcmp(method, "HEAD") == 0;
    request->write = NULL;
    if (route->handle != NULL && (request->head || strcmp(method, "GET") == 0))
        return true;
    request->head = false;
    if (route->handle != NULL)
        route_add_method(known, "GET, HEAD");
    for (size_t i = 0; i < ROUTE_WRITES_MAX && route->writes[i].method != NULL; i++) {
        route_add_method(known, route->writes[i].method);
        if (strcmp(method, route->writes[i].method) == 0)
            request->write = &route->writes[i];
    }
    return request->write != NULL;
}
