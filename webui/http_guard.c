// Which POST may go on. See http_guard.h.
#include "webui/http_guard.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

bool http_guard_type(const char *content_type)
{
    static const char json[] = "application/json";
    size_t length = sizeof(json) - 1;
    if (content_type == NULL || strncasecmp(content_type, json, length) != 0)
        return false;
    content_type += length;
    content_type += strspn(content_type, " \t");
    return *content_type == '\0' || *content_type == ';';
}

bool http_guard_origin(const struct http_post *post)
{
    if (post->is_allowed)
        return true;
    if (post->fetch_site != NULL && strcmp(post->fetch_site, "same-origin") != 0 &&
        strcmp(post->fetch_site, "none") != 0)
        return false;
    if (post->origin == NULL)
        return true;
    const char *host = strstr(post->origin, "://");
    // A proxy may speak TLS in our place, so the scheme does not count.
    return host != NULL && post->host != NULL && *post->host != '\0' &&
           strcasecmp(host + 3, post->host) == 0;
}

// A length in digits alone. Returns false for anything else.
static bool http_guard_length(const char *text, uint64_t *length)
{
    size_t digits = strspn(text, "0123456789");
    *length = strtoull(text, NULL, 10);
    return digits > 0 && digits < 19 && text[digits] == '\0';
}

unsigned http_guard_bare(const struct http_post *request, const char **code, const char **message)
{
    if (http_guard_origin(request))
        return 0;
    *code = "foreign_origin";
    *message = "another site's page may not send this";
    return 403;
}

unsigned http_guard_check(
    const struct http_post *post, uint64_t size_max, const char **code, const char **message)
{
    uint64_t length;
    unsigned status = http_guard_bare(post, code, message);
    if (status != 0)
        return status;
    if (!http_guard_type(post->content_type)) {
        *code = "bad_content_type";
        *message = "the body must be JSON, with Content-Type: application/json";
        return 415;
    }
    if (post->content_length == NULL || post->transfer_encoding != NULL ||
        !http_guard_length(post->content_length, &length)) {
        *code = "length_required";
        *message = "the body needs a Content-Length";
        return 411;
    }
    if (length > size_max) {
        *code = "too_large";
        *message = "the body is too large";
        return 413;
    }
    return 0;
}
