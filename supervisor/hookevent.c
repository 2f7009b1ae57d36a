// What a hook is told. See hookevent.h.
#include "supervisor/hookevent.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/timeutil.h"

#define HOOKEVENT_PREFIX "KEEPFRAME_"

void hookevent_set_time(json_t *event, const char *key, int64_t time_us)
{
    char text[TIME_TEXT_SIZE];
    time_format_utc(time_us, text);
    json_object_set_new(event, key, json_string(text));
}

json_t *hookevent_new(
    enum hook_kind kind, const char *node, const char *camera, const char *stream, int64_t now_us)
{
    json_t *event = json_pack("{s:s, s:s, s:s, s:s}", "event", hook_kind_name(kind), "node", node,
        "camera", camera, "stream", stream);
    hookevent_set_time(event, "time", now_us);
    return event;
}

// A field's value as text, or NULL where there is none; the caller owns it.
static char *hookevent_text(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_STRING:
        return xstrdup(json_string_value(value));
    case JSON_INTEGER:
        return xasprintf("%" JSON_INTEGER_FORMAT, json_integer_value(value));
    case JSON_REAL:
        return xasprintf("%.3f", json_real_value(value));
    case JSON_TRUE:
    case JSON_FALSE:
        return xstrdup(json_is_true(value) ? "true" : "false");
    default:
        return NULL;
    }
}

static char *hookevent_variable(const char *key, const json_t *value)
{
    char *text = hookevent_text(value);
    if (text == NULL)
        return NULL;
    char *variable = xasprintf(HOOKEVENT_PREFIX "%s=%s", key, text);
    for (char *at = variable + strlen(HOOKEVENT_PREFIX); *at != '='; at++)
        *at = (char)toupper((unsigned char)*at);
    free(text);
    return variable;
}

char **hookevent_environment(const json_t *event, char *const *base)
{
    char **environment = NULL;
    size_t count = 0, capacity = 0;
    const char *key;
    json_t *value;
    for (; base && *base; base++) {
        // What stands there by that name is about another event: a hook may have started us.
        if (strncmp(*base, HOOKEVENT_PREFIX, strlen(HOOKEVENT_PREFIX)) == 0)
            continue;
        ARRAY_RESERVE(environment, count, capacity);
        environment[count++] = xstrdup(*base);
    }
    json_object_foreach((json_t *)event, key, value)
    {
        char *variable = hookevent_variable(key, value);
        if (variable == NULL)
            continue;
        ARRAY_RESERVE(environment, count, capacity);
        environment[count++] = variable;
    }
    ARRAY_RESERVE(environment, count, capacity);
    environment[count] = NULL;
    return environment;
}
