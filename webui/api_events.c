// Events and locks in the JSON API: lists come from the catalog, changes are put to the indexer.
// See docs/api.md.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/timeutil.h"
#include "lib/media/event_json.h"
#include "webui/api.h"
#include "webui/worker.h"

enum {
    LIST_START,
    LIST_END,
    LIST_CAMERA,
    LIST_STREAM,
    LIST_LIMIT,
    LIST_CURSOR,
};

#define API_EVENTS_RULES                                                                           \
    [LIST_START] = {.name = "start", .type = QUERY_TIME, .fallback = INT64_MIN / 2},               \
    [LIST_END] = {.name = "end", .type = QUERY_TIME, .fallback = INT64_MAX / 2},                   \
    [LIST_CAMERA] = {.name = "camera", .type = QUERY_TEXT},                                        \
    [LIST_STREAM] = {.name = "stream", .type = QUERY_TEXT},                                        \
    [LIST_LIMIT] = {.name = "limit",                                                               \
        .type = QUERY_INTEGER,                                                                     \
        .fallback = API_LIST_DEFAULT,                                                              \
        .min = 1,                                                                                  \
        .max = API_LIST_MAX},                                                                      \
    [LIST_CURSOR] = {.name = "cursor", .type = QUERY_TEXT}

const struct query_rule api_events_rules[] = {API_EVENTS_RULES, {0}};
const struct query_rule api_locks_rules[] = {API_EVENTS_RULES, {0}};

// --- Lists ---

// A cursor is the start and id of the last one of a page: "START.ID".
static json_t *events_cursor(int64_t start_us, const char *id)
{
    return json_sprintf("%" PRId64 ".%s", start_us, id);
}

static bool events_cursor_parse(const char *text, int64_t *start_us, char id[CATALOG_UUID_SIZE])
{
    int length = 0;
    if (sscanf(text, "%" SCNd64 ".%n", start_us, &length) != 1 || length == 0 ||
        !catalog_uuid_valid(text + length))
        return false;
    snprintf(id, CATALOG_UUID_SIZE, "%s", text + length);
    return true;
}

// What a list is asked for with. `after` is the cursor's id, empty without one.
struct events_query {
    struct catalog_event_query range;
    char after[CATALOG_UUID_SIZE];
};

static bool events_check_name(
    const struct query_value *value, const char *field, struct reply *reply)
{
    if (!value->given || segment_name_valid(value->text))
        return true;
    reply_error(reply, 400, "bad_parameter", field, "\"%s\" is no name of a %s", field, field);
    return false;
}

// Reads the parameters. Returns false with the reply filled.
static bool events_read_query(
    const struct request *request, struct events_query *query, struct reply *reply)
{
    const struct query_value *values = request->values;
    *query = (struct events_query){
        .range = {
            .camera = values[LIST_CAMERA].given ? values[LIST_CAMERA].text : NULL,
            .stream = values[LIST_STREAM].given ? values[LIST_STREAM].text : NULL,
            .start_us = values[LIST_START].number,
            .end_us = values[LIST_END].number,
            .limit = (size_t)values[LIST_LIMIT].number + 1, // one more tells of a next page
        }};
    if (!events_check_name(&values[LIST_CAMERA], "camera", reply) ||
        !events_check_name(&values[LIST_STREAM], "stream", reply))
        return false;
    if (query->range.end_us <= query->range.start_us) {
        reply_error(reply, 400, "bad_parameter", "end", "\"end\" must be later than \"start\"");
        return false;
    }
    if (values[LIST_CURSOR].given && !events_cursor_parse(values[LIST_CURSOR].text,
                                         &query->range.after_start_us, query->after)) {
        reply_error(reply, 400, "bad_parameter", "cursor",
            "\"cursor\" must be the one that the page before gave");
        return false;
    }
    query->range.after_id = query->after[0] ? query->after : NULL;
    return true;
}

void api_events(struct worker *worker, const struct request *request, struct reply *reply)
{
    struct events_query query;
    struct catalog_event *events = NULL;
    size_t count = 0;
    char *cause = NULL;
    if (!events_read_query(request, &query, reply))
        return;
    enum catalog_status status = worker_open_catalog(worker, &cause);
    if (status == CATALOG_OK)
        status = catalog_events_in(worker->catalog, &query.range, &events, &count, &cause);
    if (api_catalog_failed(reply, worker_check(worker, status), cause))
        return;
    size_t limit = query.range.limit - 1, shown = count < limit ? count : limit;
    json_t *list = json_array();
    for (size_t i = 0; i < shown; i++)
        json_array_append_new(list, event_to_json(&events[i]));
    json_t *cursor = count > limit ? events_cursor(events[shown - 1].start_us, events[shown - 1].id)
                                   : json_null();
    catalog_events_free(events, count);
    reply_json(reply, 200,
        json_pack("{s:s, s:o, s:o}", "node", worker->conf->node, "events", list, "cursor", cursor));
}

static bool locks_want(const struct events_query *query, const struct catalog_lock *lock)
{
    const struct catalog_event_query *range = &query->range;
    if (lock->start_us >= range->end_us || lock->end_us <= range->start_us)
        return false;
    if (range->camera != NULL && strcmp(range->camera, lock->camera) != 0)
        return false;
    if (range->stream != NULL && lock->stream[0] && strcmp(range->stream, lock->stream) != 0)
        return false;
    return range->after_id == NULL || lock->start_us > range->after_start_us ||
           (lock->start_us == range->after_start_us && strcmp(lock->id, range->after_id) > 0);
}

void api_locks(struct worker *worker, const struct request *request, struct reply *reply)
{
    struct events_query query;
    struct catalog_lock *locks = NULL;
    size_t count = 0, last = 0, limit;
    char *cause = NULL;
    if (!events_read_query(request, &query, reply))
        return;
    limit = query.range.limit - 1;
    enum catalog_status status = worker_open_catalog(worker, &cause);
    if (status == CATALOG_OK)
        status = catalog_locks(worker->catalog, time_now_us(), &locks, &count, &cause);
    if (api_catalog_failed(reply, worker_check(worker, status), cause))
        return;
    json_t *list = json_array(), *cursor = json_null();
    for (size_t i = 0; i < count; i++) {
        if (!locks_want(&query, &locks[i]))
            continue;
        if (json_array_size(list) == limit) {
            cursor = events_cursor(locks[last].start_us, locks[last].id);
            break;
        }
        json_array_append_new(list, lock_to_json(&locks[i]));
        last = i;
    }
    catalog_locks_free(locks, count);
    reply_json(reply, 200,
        json_pack("{s:s, s:o, s:o}", "node", worker->conf->node, "locks", list, "cursor", cursor));
}

// --- Changes ---

// The indexer's command of a body, which may not name what the address or we say. It checks the
// rest.
static json_t *events_command(
    const struct request *request, const char *command, struct reply *reply)
{
    json_t *body = json_loadb(request->body, request->body_size, JSON_REJECT_DUPLICATES, NULL);
    const char *taken = json_object_get(body, "command")                ? "command"
                        : request->id[0] && json_object_get(body, "id") ? "id"
                                                                        : NULL;
    if (!json_is_object(body)) {
        reply_error(reply, 400, "bad_body", NULL, "a JSON object is expected in the body");
    } else if (taken != NULL) {
        reply_error(
            reply, 400, "unknown_parameter", taken, "\"%s\" does not belong in the body", taken);
    } else {
        json_object_set_new(body, "command", json_string(command));
        if (request->id[0])
            json_object_set_new(body, "id", json_string(request->id));
        return body;
    }
    json_decref(body);
    return NULL;
}

static json_t *events_removal(const struct request *request, const char *command)
{
    return json_pack("{s:s, s:s}", "command", command, "id", request->id);
}

json_t *api_event_add(const struct request *request, struct reply *reply)
{
    return events_command(request, "event_add", reply);
}

json_t *api_event_end(const struct request *request, struct reply *reply)
{
    return events_command(request, "event_end", reply);
}

json_t *api_event_remove(const struct request *request, struct reply *reply)
{
    (void)reply;
    return events_removal(request, "event_remove");
}

json_t *api_lock_add(const struct request *request, struct reply *reply)
{
    return events_command(request, "lock_add", reply);
}

json_t *api_lock_renew(const struct request *request, struct reply *reply)
{
    return events_command(request, "lock_renew", reply);
}

json_t *api_lock_remove(const struct request *request, struct reply *reply)
{
    (void)reply;
    return events_removal(request, "lock_remove");
}

// What is there now, with the node; 201 where it was not there before.
static void events_answer(json_t *result, const char *key, struct reply *reply)
{
    json_t *now = json_object_get(result, key);
    unsigned status = json_is_true(json_object_get(result, "created")) ? 201 : 200;
    json_object_set(now, "node", json_object_get(result, "node"));
    reply_json(reply, status, json_incref(now));
    json_decref(result);
}

void api_event_answer(json_t *result, struct reply *reply)
{
    events_answer(result, "event", reply);
}

void api_lock_answer(json_t *result, struct reply *reply)
{
    events_answer(result, "lock", reply);
}

void api_removed_answer(json_t *result, struct reply *reply)
{
    json_decref(result);
    reply->status = 204;
}
