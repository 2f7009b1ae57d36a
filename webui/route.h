// Which address is answered by what: one table of routes, each with the permission that it needs.
#pragma once

#include <stdbool.h>

#include "lib/media/segment_id.h"
#include "webui/http_range.h"
#include "webui/query.h"
#include "webui/reply.h"

enum route_permission {
    ROUTE_PUBLIC = 1, // everybody, always
    ROUTE_VIEW,       // whoever may see this camera's footage
    ROUTE_MONITOR,    // whoever may know how all cameras are doing
    ROUTE_ADMIN,      // whoever may have this machine do something
};

enum {
    ROUTE_NAMES_MAX = 2,
};

struct request {
    const struct route *route;
    const char *path;
    char names[ROUTE_NAMES_MAX][SEGMENT_NAME_MAX];   // what stands for the {…} of the pattern
    struct query_value values[QUERY_PARAMETERS_MAX]; // in the order of the route's rules
    struct http_conditions conditions;
    bool head;
    const char *body; // of a POST
    size_t body_size;
};

// Fills `reply`. `worker` is the I/O thread's state; NULL for a direct route.
typedef void (*route_fn)(struct worker *worker, const struct request *request, struct reply *reply);

// What a POST asks of the supervisor: the command for control.sock, a new reference; NULL with the
// reply filled when the request is refused. Runs in the HTTP thread: it touches no disk.
typedef json_t *(*route_command_fn)(const struct request *request, struct reply *reply);

// Answered by `handle` for GET and HEAD, or by `command` for POST.
struct route {
    const char *pattern; // {…} stands for a camera's or stream's name
    enum route_permission permission;
    bool direct; // handled in the HTTP thread: it touches no disk
    const struct query_rule *rules;
    route_fn handle;
    route_command_fn command;
};

// Finds the route of a path (already unescaped) and fills request's route, path and names. False
// when there is none.
bool route_find(const char *path, struct request *request);

// The table, ended by one without a pattern.
extern const struct route route_table[];
