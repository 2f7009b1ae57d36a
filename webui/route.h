// Which address is answered by what: one table of routes, each with the permission that it needs.
#pragma once

#include <stdbool.h>

#include "lib/core/uuid.h"
#include "lib/media/segment_id.h"
#include "webui/asker.h"
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
    ROUTE_NAMES_MAX = 3,
    ROUTE_WRITES_MAX = 2,
    REQUEST_CLIENT_SIZE = 48,
};

struct request {
    const struct route *route;
    const struct route_write *write; // NULL: GET or HEAD
    const char *path;
    char names[ROUTE_NAMES_MAX][SEGMENT_NAME_MAX];   // what stands for the {…} of the pattern
    char id[UUID_TEXT_SIZE];                         // what stands for {id}
    struct query_value values[QUERY_PARAMETERS_MAX]; // in the order of the route's rules
    struct http_conditions conditions;
    char client[REQUEST_CLIENT_SIZE]; // the address of who asks, as text; empty: not known
    bool head;
    const char *body;
    size_t body_size;
};

// Fills `reply`. `worker` is the I/O thread's state; NULL for a direct route.
typedef void (*route_fn)(struct worker *worker, const struct request *request, struct reply *reply);

// What a request asks of another program: the command for its socket, a new reference; NULL with
// the reply filled when the request is refused. Runs in the HTTP thread: it touches no disk.
typedef json_t *(*route_command_fn)(const struct request *request, struct reply *reply);

// A method that changes something or has something done, by another program.
struct route_write {
    const char *method; // NULL: none
    enum route_permission permission;
    enum asker_peer peer;
    bool has_body; // JSON, always or never
    route_command_fn command;
    asker_answer_fn answer; // NULL: the result as it is
};

// Answered by `handle` (NULL: not at all) for GET and HEAD.
struct route {
    const char *pattern; // {…} stands for a camera's or stream's name, {id} for a UUID
    enum route_permission permission; // of GET and HEAD
    bool direct;                      // handled in the HTTP thread: it touches no disk
    const struct query_rule *rules;
    route_fn handle;
    struct route_write writes[ROUTE_WRITES_MAX];
};

// Finds the route of a path (already unescaped) and fills request's route, path and names. False
// when there is none.
bool route_find(const char *path, struct request *request);

// Finds what the route does for a method, and fills request's write and head. False when it knows
// no such method; `known` then lists those that it knows.
enum {
    ROUTE_METHODS_SIZE = 64,
};
bool route_find_method(struct request *request, const char *method, char known[ROUTE_METHODS_SIZE]);

// The table, ended by one without a pattern.
extern const struct route route_table[];
