// The environment of the children. See environment.h.
#include "supervisor/environment.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/core/alloc.h"

static bool environment_is_ours(const char *variable)
{
    static const char *const names[] = {
        "NOTIFY_SOCKET=", "WATCHDOG_USEC=", "WATCHDOG_PID=", "KEEPFRAME_HEARTBEAT="};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        if (strncmp(variable, names[i], strlen(names[i])) == 0)
            return true;
    }
    return false;
}

enum {
    ENVIRONMENT_SECRET_LENGTH_MIN = 4,
    ENVIRONMENT_TOKEN_LENGTH_MIN = 8, // of what stands in an address as ${NAME}
};

// Whether the value holds the secret. A very short one stands in half of all values by chance, so
// it must be the whole one.
static bool environment_holds(const char *value, const char *secret)
{
    if (strlen(secret) < ENVIRONMENT_SECRET_LENGTH_MIN)
        return strcmp(value, secret) == 0;
    return strstr(value, secret) != NULL;
}

// Whether a value that may be a token stands in an address, or in what is left of one.
static bool environment_is_token(const char *value, const char *address)
{
    return address && strlen(value) >= ENVIRONMENT_TOKEN_LENGTH_MIN && strstr(address, value);
}

// What a camera is asked for, behind its host: some have the password there. NULL: nothing.
static const char *environment_request(const char *url)
{
    const char *authority = url ? strstr(url, "://") : NULL;
    return authority ? strpbrk(authority + 3, "/?") : NULL;
}

static bool environment_has_secret(const char *variable, const struct config *config)
{
    const char *value = strchr(variable, '=');
    if (value++ == NULL)
        return false;
    for (size_t i = 0; i < config->stream_count; i++) {
        const struct config_stream *stream = &config->streams[i];
        if ((stream->password != NULL && environment_holds(value, stream->password)) ||
            environment_is_token(value, environment_request(stream->url)))
            return true;
    }
    for (size_t i = 0; i < config->hook_count; i++) {
        if (environment_is_token(value, config->hooks[i]->url))
            return true;
    }
    return false;
}

char **environment_new(const struct config *config, bool without_secrets)
{
    char **copy = NULL;
    size_t count = 0, capacity = 0;
    for (char **variable = environ; *variable != NULL; variable++) {
        if (environment_is_ours(*variable) ||
            (without_secrets && environment_has_secret(*variable, config)))
            continue;
        ARRAY_RESERVE(copy, count, capacity);
        copy[count++] = xstrdup(*variable);
    }
    ARRAY_RESERVE(copy, count, capacity);
    copy[count] = NULL;
    return copy;
}

void environment_free(char **environment)
{
    for (char **variable = environment; variable && *variable; variable++)
        free(*variable);
    free(environment);
}
