// Events and locks. See marks.h.
#include "indexer/marks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "indexer/committer.h"
#include "indexer/expiry.h"
#include "lib/core/alloc.h"
#include "lib/core/config.h"
#include "lib/core/ctl.h"
#include "lib/core/log.h"
#include "lib/core/timeutil.h"
#include "lib/core/uuid.h"
#include "lib/media/event_json.h"

#define MARKS_EXPIRE_US (60 * US_PER_SECOND)

struct marks {
    struct indexer *indexer;
    int64_t expired_us; // monotonic, when expired locks were last removed
    bool expiring;
};

// A request on its way into the catalog.
struct mark {
    struct commit commit;
    struct marks *marks;
    const struct marks_command *command;
    struct ctl_request *request; // NULL: we ourselves have locks expire
    // What is asked for: an event or a lock, or an id and perhaps a time.
    struct catalog_event event;
    struct catalog_lock lock;
    char id[CATALOG_UUID_SIZE];
    int64_t time_us;
    // What has come of it, in the committer's thread.
    enum catalog_status status;
    bool created;
    struct catalog_event event_now;
    struct catalog_lock lock_now;
};

struct marks_command {
    const char *name;
    bool (*read)(const json_t *object, struct mark *mark, struct event_json_error *error);
    enum catalog_status (*apply)(struct catalog *catalog, struct mark *mark, char **cause);
    const char *conflict_code;
    const char *conflict_field;
    const char *conflict;
};

static void mark_free(struct mark *mark)
{
    catalog_event_fini(&mark->event);
    catalog_event_fini(&mark->event_now);
    catalog_lock_fini(&mark->lock);
    catalog_lock_fini(&mark->lock_now);
    free(mark);
}

// --- Reading requests ---

static bool mark_read_event(const json_t *object, struct mark *mark, struct event_json_error *error)
{
    if (!event_from_json(object, &mark->event, error))
        return false;
    if (mark->event.id[0] == '\0')
        uuid_make(time_now_us(), mark->event.id);
    return true;
}

static bool mark_read_lock(const json_t *object, struct mark *mark, struct event_json_error *error)
{
    if (!lock_from_json(object, &mark->lock, error))
        return false;
    if (mark->lock.id[0] == '\0')
        uuid_make(time_now_us(), mark->lock.id);
    return true;
}

static bool mark_read_id(const json_t *object, struct mark *mark, struct event_json_error *error)
{
    return event_json_id(object, mark->id, error) && event_json_only_id(object, error);
}

static bool mark_read_end(const json_t *object, struct mark *mark, struct event_json_error *error)
{
    return event_json_id(object, mark->id, error) &&
           event_json_time(object, "end", -1, &mark->time_us, error);
}

static bool mark_read_expiry(
    const json_t *object, struct mark *mark, struct event_json_error *error)
{
    return event_json_id(object, mark->id, error) &&
           event_json_time(object, "expires", 0, &mark->time_us, error);
}

// --- In the committer's thread ---

static enum catalog_status mark_get_event(
    struct catalog *catalog, struct mark *mark, const char *id, char **cause)
{
    catalog_event_fini(&mark->event_now);
    return catalog_event_get(catalog, id, &mark->event_now, cause);
}

static enum catalog_status mark_get_lock(
    struct catalog *catalog, struct mark *mark, const char *id, char **cause)
{
    catalog_lock_fini(&mark->lock_now);
    return catalog_lock_get(catalog, id, &mark->lock_now, cause);
}

static enum catalog_status mark_add_event(struct catalog *catalog, struct mark *mark, char **cause)
{
    enum catalog_status status = catalog_event_add(catalog, &mark->event, cause);
    mark->created = status == CATALOG_OK;
    return status == CATALOG_OK || status == CATALOG_NONE
               ? mark_get_event(catalog, mark, mark->event.id, cause)
               : status;
}

static enum catalog_status mark_end_event(struct catalog *catalog, struct mark *mark, char **cause)
{
    enum catalog_status status = catalog_event_end(catalog, mark->id, mark->time_us, cause);
    return status == CATALOG_OK ? mark_get_event(catalog, mark, mark->id, cause) : status;
}

static enum catalog_status mark_remove_event(
    struct catalog *catalog, struct mark *mark, char **cause)
{
    return catalog_event_remove(catalog, mark->id, cause);
}

static enum catalog_status mark_add_lock(struct catalog *catalog, struct mark *mark, char **cause)
{
    enum catalog_status status = catalog_lock_add(catalog, &mark->lock, cause);
    mark->created = status == CATALOG_OK;
    return status == CATALOG_OK || status == CATALOG_NONE
               ? mark_get_lock(catalog, mark, mark->lock.id, cause)
               : status;
}

static enum catalog_status mark_renew_lock(struct catalog *catalog, struct mark *mark, char **cause)
{
    enum catalog_status status = catalog_lock_renew(catalog, mark->id, mark->time_us, cause);
    return status == CATALOG_OK ? mark_get_lock(catalog, mark, mark->id, cause) : status;
}

static enum catalog_status mark_remove_lock(
    struct catalog *catalog, struct mark *mark, char **cause)
{
    return catalog_lock_remove(catalog, mark->id, cause);
}

static enum catalog_status mark_expire_locks(
    struct catalog *catalog, struct mark *mark, char **cause)
{
    return catalog_locks_expire(catalog, mark->time_us, cause);
}

// What the catalog refuses for its content is answered; what fails is tried again.
static enum catalog_status mark_apply(struct catalog *catalog, struct commit *commit, char **cause)
{
    struct mark *mark = (struct mark *)commit;
    mark->status = mark->command->apply(catalog, mark, cause);
    return mark->status == CATALOG_NONE || mark->status == CATALOG_CONFLICT ? CATALOG_OK
                                                                            : mark->status;
}

// --- Commands ---

static const struct marks_command marks_expire = {.apply = mark_expire_locks};

static const struct marks_command marks_table[] = {
    {"event_add", mark_read_event, mark_add_event, "conflict", "id",
        "another event has this id already"},
    {"event_end", mark_read_end, mark_end_event, "bad_parameter", "end",
        "the event would end before it starts"},
    {"event_remove", mark_read_id, mark_remove_event, NULL, NULL, NULL},
    {"lock_add", mark_read_lock, mark_add_lock, "conflict", "id",
        "another lock has this id already"},
    {"lock_renew", mark_read_expiry, mark_renew_lock, NULL, NULL, NULL},
    {"lock_remove", mark_read_id, mark_remove_lock, NULL, NULL, NULL},
};

static const struct marks_command *marks_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LENGTH(marks_table); i++)
        if (strcmp(marks_table[i].name, name) == 0)
            return &marks_table[i];
    return NULL;
}

static void mark_answer(const struct mark *mark)
{
    const struct marks_command *command = mark->command;
    if (mark->status == CATALOG_CONFLICT) {
        ctl_fail(mark->request, command->conflict_code, command->conflict_field, "%s",
            command->conflict);
        return;
    }
    if (mark->status == CATALOG_NONE) {
        ctl_fail(mark->request, "not_found", "id", "there is none with this id");
        return;
    }
    json_t *result = json_pack("{s:s}", "node", mark->marks->indexer->config->node);
    if (mark->event_now.label != NULL || mark->lock_now.reason != NULL)
        json_object_set_new(result, "created", json_boolean(mark->created));
    if (mark->event_now.label != NULL)
        json_object_set_new(result, "event", event_to_json(&mark->event_now));
    if (mark->lock_now.reason != NULL)
        json_object_set_new(result, "lock", lock_to_json(&mark->lock_now));
    ctl_reply(mark->request, result);
}

static void mark_done(struct commit *commit)
{
    struct mark *mark = (struct mark *)commit;
    if (mark->request == NULL)
        mark->marks->expiring = false;
    else
        mark_answer(mark);
    mark_free(mark);
}

static void mark_drop(struct commit *commit)
{
    struct mark *mark = (struct mark *)commit;
    if (mark->request != NULL)
        ctl_fail(mark->request, "stopping", NULL, "the indexer stops; nothing was changed");
    mark_free(mark);
}

static struct mark *mark_new(struct marks *marks, const struct marks_command *command)
{
    struct mark *mark = xcalloc(1, sizeof(*mark));
    mark->commit = (struct commit){
        .kind = COMMIT_CALL, .done = mark_done, .apply = mark_apply, .drop = mark_drop};
    mark->marks = marks;
    mark->command = command;
    return mark;
}

// Whether the camera, and the stream if one is named, is configured or has a past. Returns false
// with `error` filled when not, or when that can not be said.
static bool marks_know(const struct marks *marks, const char *camera, const char *stream,
    struct event_json_error *error)
{
    const struct config *config = marks->indexer->config;
    for (size_t i = 0; i < config->stream_count; i++)
        if (strcmp(config->streams[i].camera, camera) == 0 &&
            (stream[0] == '\0' || strcmp(config->streams[i].name, stream) == 0))
            return true;
    struct catalog_stream *rows;
    size_t count;
    char *cause = NULL;
    bool is_known = false;
    enum catalog_status status = catalog_streams(marks->indexer->catalog, &rows, &count, &cause);
    for (size_t i = 0; status == CATALOG_OK && i < count && !is_known; i++)
        is_known = strcmp(rows[i].camera, camera) == 0 &&
                   (stream[0] == '\0' || strcmp(rows[i].stream, stream) == 0);
    if (status == CATALOG_OK)
        free(rows);
    free(cause);
    const char *field = stream[0] ? "stream" : "camera";
    *error = (struct event_json_error){.code = status != CATALOG_OK ? "catalog_unwritable"
                                               : stream[0]          ? "stream_not_found"
                                                                    : "camera_not_found"};
    snprintf(error->field, sizeof(error->field), "%s", field);
    snprintf(error->message, sizeof(error->message), "there is no %s \"%s%s%s\"", field, camera,
        stream[0] ? "/" : "", stream);
    return is_known;
}

// What depends on more than the request itself.
static bool marks_check(
    const struct marks *marks, const struct mark *mark, struct event_json_error *error)
{
    const struct catalog_event *event = &mark->event;
    const struct catalog_lock *lock = &mark->lock;
    int64_t expires_us = mark->command->apply == mark_renew_lock ? mark->time_us : lock->expires_us;
    // By the clock by which it will expire.
    if (expires_us != 0 && expires_us <= expiry_now_us(marks->indexer->expiry)) {
        *error = (struct event_json_error){"bad_parameter", "expires", "that time is over already"};
        return false;
    }
    return event->label != NULL   ? marks_know(marks, event->camera, event->stream, error)
           : lock->reason != NULL ? marks_know(marks, lock->camera, lock->stream, error)
                                  : true;
}

bool marks_request(struct marks *marks, struct ctl_request *request)
{
    struct committer *committer = marks->indexer->committer;
    const struct marks_command *command = marks_find(ctl_request_command(request));
    if (command == NULL)
        return false;
    struct event_json_error error;
    struct mark *mark = mark_new(marks, command);
    if (!command->read(ctl_request_json(request), mark, &error) ||
        !marks_check(marks, mark, &error)) {
        ctl_fail(request, error.code, error.field, "%s", error.message);
        mark_free(mark);
    } else if (committer_trouble(committer) != NULL) {
        ctl_fail(request, "catalog_unwritable", NULL, "the catalog can not be written now: %s",
            committer_trouble(committer));
        mark_free(mark);
    } else {
        mark->request = request;
        committer_put(committer, &mark->commit);
        committer_hurry(committer);
    }
    return true;
}

void marks_tick(struct marks *marks, int64_t now_us)
{
    if (marks->expiring || now_us - marks->expired_us < MARKS_EXPIRE_US)
        return;
    marks->expired_us = now_us;
    marks->expiring = true;
    struct mark *mark = mark_new(marks, &marks_expire);
    mark->time_us = expiry_now_us(marks->indexer->expiry);
    committer_put(marks->indexer->committer, &mark->commit);
}

// --- Life ---

struct marks *marks_new(struct indexer *indexer)
{
    struct marks *marks = xcalloc(1, sizeof(*marks));
    marks->indexer = indexer;
    return marks;
}

void marks_free(struct marks *marks)
{
    free(marks);
}
