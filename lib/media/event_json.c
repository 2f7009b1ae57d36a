// Events and locks as JSON. See event_json.h.
#include "lib/media/event_json.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/timeutil.h"

// Later than this no calendar that we write has a name for.
#define EVENT_SECONDS_MAX 253402300799.0

static const char event_missing[] = "missing_parameter";
static const char event_unknown[] = "unknown_parameter";
static const char event_bad[] = "bad_parameter";

// --- Writing ---

json_t *event_json_from_time(int64_t time_us)
{
    char text[TIME_TEXT_SIZE];
    if (time_us == 0)
        return json_null();
    time_format_utc(time_us, text);
    return json_string(text);
}

static json_t *event_json_name(const char *name)
{
    return name[0] ? json_string(name) : json_null();
}

// Data that is no JSON (any more) is shown as none.
static json_t *event_json_data(const char *data)
{
    json_t *json = data ? json_loads(data, JSON_DECODE_ANY, NULL) : NULL;
    return json ? json : json_null();
}

json_t *event_to_json(const struct catalog_event *event)
{
    return json_pack("{s:s, s:s, s:o, s:o, s:o, s:s, s:o}", "id", event->id, "camera",
        event->camera, "stream", event_json_name(event->stream), "start",
        event_json_from_time(event->start_us), "end", event_json_from_time(event->end_us), "label",
        event->label, "data", event_json_data(event->data));
}

json_t *lock_to_json(const struct catalog_lock *lock)
{
    return json_pack("{s:s, s:s, s:o, s:o, s:o, s:s, s:o}", "id", lock->id, "camera", lock->camera,
        "stream", event_json_name(lock->stream), "start", event_json_from_time(lock->start_us),
        "end", event_json_from_time(lock->end_us), "reason", lock->reason, "expires",
        event_json_from_time(lock->expires_us));
}

// --- Reading ---

static bool __attribute__((format(printf, 4, 5))) event_json_fail(
    struct event_json_error *error, const char *code, const char *field, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    error->code = code;
    snprintf(error->field, sizeof(error->field), "%s", field);
    vsnprintf(error->message, sizeof(error->message), format, args);
    va_end(args);
    return false;
}

// Whether the object has no member but these; `keys` end with NULL.
static bool event_json_keys(
    const json_t *object, const char *const *keys, struct event_json_error *error)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value)
    {
        size_t i = 0;
        while (keys[i] != NULL && strcmp(keys[i], key) != 0)
            i++;
        if (keys[i] == NULL && strcmp(key, "command") != 0)
            return event_json_fail(error, event_unknown, key, "there is no such member here");
    }
    return true;
}

// A member of its own type that must be there; NULL with `error` filled otherwise.
static const char *event_json_string(
    const json_t *object, const char *key, struct event_json_error *error)
{
    const json_t *value = json_object_get(object, key);
    if (value == NULL || json_is_null(value))
        event_json_fail(error, event_missing, key, "\"%s\" is missing", key);
    else if (!json_is_string(value))
        event_json_fail(error, event_bad, key, "\"%s\" must be a string", key);
    return json_string_value(value);
}

static bool event_json_read_id(
    const json_t *object, char id[CATALOG_UUID_SIZE], struct event_json_error *error)
{
    const json_t *value = json_object_get(object, "id");
    id[0] = '\0';
    if (value == NULL || json_is_null(value))
        return true;
    const char *text = json_string_value(value);
    if (!catalog_uuid_valid(text))
        return event_json_fail(error, event_bad, "id",
            "\"id\" must be a UUID, as 0190163d-8694-739b-aea5-966c26f8ad91");
    for (size_t i = 0; i < CATALOG_UUID_SIZE; i++)
        id[i] = text[i] >= 'A' && text[i] <= 'F' ? (char)(text[i] - 'A' + 'a') : text[i];
    return true;
}

static bool event_json_read_name(const json_t *object, const char *key, bool needed,
    char name[SEGMENT_NAME_MAX], struct event_json_error *error)
{
    const json_t *value = json_object_get(object, key);
    name[0] = '\0';
    if (!needed && (value == NULL || json_is_null(value)))
        return true;
    const char *text = event_json_string(object, key, error);
    if (text == NULL)
        return false;
    if (!segment_name_valid(text))
        return event_json_fail(error, event_bad, key, "\"%s\" is no name of a %s", key, key);
    snprintf(name, SEGMENT_NAME_MAX, "%s", text);
    return true;
}

static bool event_json_read_text(const json_t *object, const char *key, size_t size_max,
    char **text, struct event_json_error *error)
{
    const char *value = event_json_string(object, key, error);
    if (value == NULL)
        return false;
    if (strlen(value) > size_max)
        return event_json_fail(
            error, event_bad, key, "\"%s\" may have %zu bytes at most", key, size_max);
    for (const char *at = value; *at != '\0'; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            return event_json_fail(
                error, event_bad, key, "\"%s\" has a control character in it", key);
    *text = xstrdup(value);
    return true;
}

// Reads a time. What stands in the first microsecond is read as the second, since 0 is no time.
static bool event_json_parse_time(const json_t *value, int64_t *time_us)
{
    if (json_is_string(value)) {
        if (!time_parse(json_string_value(value), time_us))
            return false;
    } else if (json_is_number(value)) {
        double seconds = json_number_value(value);
        if (!(seconds >= 0) || seconds > EVENT_SECONDS_MAX)
            return false;
        *time_us = (int64_t)(seconds * (double)US_PER_SECOND + 0.5);
    } else {
        return false;
    }
    *time_us += *time_us == 0;
    return true;
}

static bool event_json_read_time(const json_t *object, const char *key, int64_t none,
    int64_t *time_us, struct event_json_error *error)
{
    const json_t *value = json_object_get(object, key);
    *time_us = none;
    if (value == NULL || json_is_null(value))
        return none >= 0 || event_json_fail(error, event_missing, key, "\"%s\" is missing", key);
    return event_json_parse_time(value, time_us) ||
           event_json_fail(error, event_bad, key,
               "\"%s\" must be a time with its offset, as 2026-03-31T07:30:00Z or "
               "2026-03-31T09:30:00.250+02:00, or seconds since 1970",
               key);
}

// Kept in one order, so that the same data is the same text.
static bool event_json_read_data(const json_t *object, char **data, struct event_json_error *error)
{
    const json_t *value = json_object_get(object, "data");
    *data = NULL;
    if (value == NULL || json_is_null(value))
        return true;
    *data = json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
    if (*data != NULL && strlen(*data) <= EVENT_DATA_SIZE_MAX)
        return true;
    free(*data);
    *data = NULL;
    return event_json_fail(
        error, event_bad, "data", "\"data\" may have %d bytes at most", EVENT_DATA_SIZE_MAX);
}

bool event_from_json(
    const json_t *object, struct catalog_event *event, struct event_json_error *error)
{
    static const char *const keys[] = {
        "id", "camera", "stream", "start", "end", "label", "data", NULL};
    *event = (struct catalog_event){0};
    bool is_good = event_json_keys(object, keys, error) &&
                   event_json_read_id(object, event->id, error) &&
                   event_json_read_name(object, "camera", true, event->camera, error) &&
                   event_json_read_name(object, "stream", false, event->stream, error) &&
                   event_json_read_time(object, "start", -1, &event->start_us, error) &&
                   event_json_read_time(object, "end", 0, &event->end_us, error);
    if (is_good && event->end_us != 0 && event->end_us < event->start_us)
        is_good = event_json_fail(error, event_bad, "end", "it ends before it starts");
    is_good = is_good &&
              event_json_read_text(object, "label", EVENT_LABEL_SIZE_MAX, &event->label, error) &&
              event_json_read_data(object, &event->data, error);
    if (!is_good)
        catalog_event_fini(event);
    return is_good;
}

bool lock_from_json(const json_t *object, struct catalog_lock *lock, struct event_json_error *error)
{
    static const char *const keys[] = {
        "id", "camera", "stream", "start", "end", "reason", "expires", NULL};
    *lock = (struct catalog_lock){0};
    bool is_good = event_json_keys(object, keys, error) &&
                   event_json_read_id(object, lock->id, error) &&
                   event_json_read_name(object, "camera", true, lock->camera, error) &&
                   event_json_read_name(object, "stream", false, lock->stream, error) &&
                   event_json_read_time(object, "start", -1, &lock->start_us, error) &&
                   event_json_read_time(object, "end", -1, &lock->end_us, error) &&
                   event_json_read_time(object, "expires", 0, &lock->expires_us, error);
    if (is_good && lock->end_us <= lock->start_us)
        is_good = event_json_fail(error, event_bad, "end", "\"end\" must be later than \"start\"");
    is_good = is_good &&
              event_json_read_text(object, "reason", EVENT_REASON_SIZE_MAX, &lock->reason, error);
    if (!is_good)
        catalog_lock_fini(lock);
    return is_good;
}

bool event_json_id(const json_t *object, char id[CATALOG_UUID_SIZE], struct event_json_error *error)
{
    return event_json_read_id(object, id, error) &&
           (id[0] || event_json_fail(error, event_missing, "id", "\"id\" is missing"));
}

bool event_json_only_id(const json_t *object, struct event_json_error *error)
{
    static const char *const keys[] = {"id", NULL};
    return event_json_keys(object, keys, error);
}

bool event_json_time(const json_t *object, const char *key, int64_t none, int64_t *time_us,
    struct event_json_error *error)
{
    const char *const keys[] = {"id", key, NULL};
    if (!event_json_keys(object, keys, error))
        return false;
    if (json_object_get(object, key) == NULL)
        return event_json_fail(error, event_missing, key, "\"%s\" is missing", key);
    return event_json_read_time(object, key, none, time_us, error);
}
