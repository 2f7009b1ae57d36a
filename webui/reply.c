// What a handler answers. See reply.h.
#include "webui/reply.h"

#include <assert.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/timeutil.h"

// Decimal fractions stay short: 172.8, not 172.80000000000001.
#define REPLY_PRECISION JSON_REAL_PRECISION(15)

void reply_fini(struct reply *reply)
{
    for (size_t i = 0; i < reply->header_count; i++)
        free(reply->headers[i].value);
    buf_fini(&reply->body);
    if (reply->stream != NULL)
        reply->stream->free(reply->stream);
    if (reply->later != NULL)
        reply->later->free(reply->later);
    *reply = (struct reply){0};
}

void reply_header(struct reply *reply, const char *name, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *value = xvasprintf(format, args);
    va_end(args);
    for (const char *at = value; *at != '\0'; at++)
        assert(!iscntrl((unsigned char)*at));
    assert(reply->header_count < REPLY_HEADERS_MAX);
    reply->headers[reply->header_count].name = name;
    reply->headers[reply->header_count].value = value;
    reply->header_count++;
}

static int reply_dump(const char *data, size_t size, void *arg)
{
    buf_put(arg, data, size);
    return 0;
}

void reply_json(struct reply *reply, unsigned status, json_t *json)
{
    reply->status = status;
    reply->content_type = "application/json";
    json_dump_callback(json, reply_dump, &reply->body, JSON_COMPACT | REPLY_PRECISION);
    buf_put_u8(&reply->body, '\n');
    json_decref(json);
}

static __attribute__((format(printf, 1, 0))) json_t *reply_vtext(const char *format, va_list args)
{
    char *text = xvasprintf(format, args);
    json_t *json = json_string(text);
    if (json == NULL) {
        for (char *at = text; *at != '\0'; at++)
            if ((unsigned char)*at >= 0x80)
                *at = '?';
        json = json_string(text);
    }
    free(text);
    return json;
}

json_t *reply_text(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    json_t *json = reply_vtext(format, args);
    va_end(args);
    return json;
}

void reply_error(struct reply *reply, unsigned status, const char *code, const char *field,
    const char *format, ...)
{
    va_list args;
    va_start(args, format);
    json_t *message = reply_vtext(format, args);
    va_end(args);
    reply_fini(reply);
    reply_json(reply, status,
        json_pack(
            "{s:{s:s, s:o, s:s?}}", "error", "code", code, "message", message, "field", field));
}

void reply_busy(struct reply *reply)
{
    reply_error(reply, 503, "catalog_busy", NULL, REPLY_BUSY);
    reply_header(reply, "Retry-After", "1");
}

json_t *reply_time(int64_t time_us)
{
    char text[TIME_TEXT_SIZE];
    if (time_us == 0)
        return json_null();
    time_format_utc(time_us, text);
    return json_string(text);
}
