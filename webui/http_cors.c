// Pages of other origins: those of http.cors may use what is served here, by script in a browser,
// as the Fetch standard has it; all others may not, because a browser keeps the answer from them.
// No cookies go with it: such a page needs a token of its own.
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "webui/http_server.h"

#define HTTP_CORS_REQUEST_HEADERS                                                                  \
    "Authorization, Content-Type, If-Match, If-Modified-Since, If-None-Match, If-Range, "          \
    "If-Unmodified-Since, Range"
#define HTTP_CORS_RESPONSE_HEADERS                                                                 \
    "Accept-Ranges, Content-Disposition, Content-Length, Content-Range, Date, ETag, Location, "    \
    "Retry-After"
#define HTTP_CORS_PREFLIGHT_S "600" // for how long a browser may rely on the answer

static void http_cors_drop(char **origins, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(origins[i]);
    free(origins);
}

void http_set_origins(struct http *http, char *const *origins, size_t count)
{
    char **copy = xcalloc(count + 1, sizeof(copy[0]));
    for (size_t i = 0; i < count; i++)
        copy[i] = xstrdup(origins[i]);
    pthread_mutex_lock(&http->mutex);
    char **former = http->origins;
    size_t former_count = http->origin_count;
    http->origins = copy;
    http->origin_count = count;
    pthread_mutex_unlock(&http->mutex);
    http_cors_drop(former, former_count);
}

void http_cors_fini(struct http *http)
{
    http_cors_drop(http->origins, http->origin_count);
}

struct http_cors http_cors_of(struct http *http, struct MHD_Connection *connection)
{
    const char *origin = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Origin");
    struct http_cors cors = {.origin = origin};
    pthread_mutex_lock(&http->mutex);
    cors.varies = http->origin_count > 0;
    for (size_t i = 0; origin != NULL && i < http->origin_count; i++)
        cors.is_allowed = cors.is_allowed || strcmp(origin, http->origins[i]) == 0;
    pthread_mutex_unlock(&http->mutex);
    return cors;
}

void http_cors_add_headers(
    struct MHD_Response *response, const struct http_cors *cors, const struct reply *reply)
{
    if (cors->varies)
        MHD_add_response_header(response, "Vary", "Origin");
    if (!cors->is_allowed)
        return;
    struct buf exposed = BUF_INIT;
    buf_put(&exposed, HTTP_CORS_RESPONSE_HEADERS, strlen(HTTP_CORS_RESPONSE_HEADERS));
    for (size_t i = 0; i < reply->header_count; i++) {
        const char *name = reply->headers[i].name;
        if (strncmp(name, "X-", 2) != 0)
            continue;
        buf_put(&exposed, ", ", 2);
        buf_put(&exposed, name, strlen(name));
    }
    buf_put_u8(&exposed, 0);
    MHD_add_response_header(response, "Access-Control-Allow-Origin", cors->origin);
    MHD_add_response_header(response, "Access-Control-Expose-Headers", (const char *)exposed.data);
    buf_fini(&exposed);
}

bool http_cors_is_preflight(struct MHD_Connection *connection, const char *method)
{
    return strcmp(method, "OPTIONS") == 0 &&
           MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Origin") != NULL &&
           MHD_lookup_connection_value(
               connection, MHD_HEADER_KIND, "Access-Control-Request-Method") != NULL;
}

void http_cors_answer_preflight(
    const struct http_cors *cors, const char *methods, struct reply *reply)
{
    if (!cors->is_allowed) {
        reply_error(reply, 403, "foreign_origin", NULL,
            "pages of this origin may not ask: it does not stand in http.cors");
        return;
    }
    reply->status = 204;
    reply_header(reply, "Access-Control-Allow-Methods", "%s", methods);
    reply_header(reply, "Access-Control-Allow-Headers", HTTP_CORS_REQUEST_HEADERS);
    reply_header(reply, "Access-Control-Max-Age", HTTP_CORS_PREFLIGHT_S);
}
