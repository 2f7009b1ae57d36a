// POST /api/v1/probe: what to look at, as a command for the supervisor. See docs/api.md.
#include <string.h>

#include "lib/core/alloc.h"
#include "webui/api.h"

static bool probe_knows(const char *key)
{
    static const char *const keys[] = {"camera", "stream", "url", "username", "password"};
    for (size_t i = 0; i < ARRAY_LENGTH(keys); i++) {
        if (strcmp(key, keys[i]) == 0)
            return true;
    }
    return false;
}

json_t *api_probe(const struct request *request, struct reply *reply)
{
    json_t *body = json_loadb(request->body, request->body_size, JSON_REJECT_DUPLICATES, NULL);
    json_t *command = json_pack("{s:s}", "command", "probe"), *value;
    const char *key, *wrong = NULL, *unknown = NULL;
    json_object_foreach(body, key, value)
    {
        if (!probe_knows(key))
            unknown = key;
        else if (!json_is_string(value) && !json_is_null(value))
            wrong = key;
        else if (json_is_string(value))
            json_object_set(command, key, value);
    }
    bool is_good = json_is_object(body) && wrong == NULL && unknown == NULL;
    if (!json_is_object(body))
        reply_error(reply, 400, "bad_body", NULL, "a JSON object is expected in the body");
    else if (unknown != NULL)
        reply_error(reply, 400, "unknown_parameter", NULL,
            "camera and stream, or url, username and password are expected, no \"%s\"", unknown);
    else if (wrong != NULL)
        reply_error(reply, 400, "bad_parameter", wrong, "\"%s\" must be a string", wrong);
    json_decref(body);
    if (is_good)
        return command;
    json_decref(command);
    return NULL;
}
