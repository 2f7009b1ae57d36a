// The table of routes. See route.h.
#include "webui/route.h"

#include <stdlib.h>
#include <string.h>

#include "webui/api.h"
#include "webui/cameraleech.h"
#include "webui/metrics.h"
#include "webui/page.h"
#include "webui/playback.h"
#include "webui/zabbix.h"

static const struct query_rule route_no_rules[] = {{0}};

// The array's size is negative where no permission is declared.
#define ROUTE(address, needs, is_direct, parameters, function)                                     \
    {                                                                                              \
        .pattern = (address),                                                                      \
        .permission =                                                                              \
            (enum route_permission)((needs) + 0 * (int)sizeof(char[(needs) > 0 ? 1 : -1])),        \
        .direct = (is_direct), .rules = (parameters), .handle = (function)                         \
    }

// One that puts a command to the supervisor.
#define ROUTE_POST(address, needs, function)                                                       \
    {                                                                                              \
        .pattern = (address),                                                                      \
        .permission =                                                                              \
            (enum route_permission)((needs) + 0 * (int)sizeof(char[(needs) > 0 ? 1 : -1])),        \
        .rules = route_no_rules, .command = (function)                                             \
    }

const struct route route_table[] = {
    ROUTE("/", ROUTE_PUBLIC, true, route_no_rules, page_handle),
    ROUTE("/static/api.js", ROUTE_PUBLIC, true, route_no_rules, page_handle),
    ROUTE("/static/app.js", ROUTE_PUBLIC, true, route_no_rules, page_handle),
    ROUTE("/static/format.js", ROUTE_PUBLIC, true, route_no_rules, page_handle),
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
    ROUTE_POST("/api/v1/probe", ROUTE_ADMIN, api_probe),
    ROUTE("/video/{camera}/{stream}.mp4", ROUTE_VIEW, false, playback_rules, playback_handle),
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

static bool route_match(const char *pattern, const char *path, struct request *request)
{
    size_t names = 0;
    while (*pattern != '\0') {
        if (*pattern == '{') {
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
