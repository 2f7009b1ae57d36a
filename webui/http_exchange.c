// One request and its answer. See http.h and http_server.h.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "lib/core/alloc.h"
#include "lib/core/log.h"
#include "lib/core/timeutil.h"
#include "webui/http_guard.h"
#include "webui/http_range.h"
#include "webui/http_server.h"
#include "webui/route.h"

// A request from its first line until its answer is sent.
struct http_exchange {
    struct io_job job;
    struct http *http;
    struct MHD_Connection *connection;
    int64_t begin_us; // monotonic
    char *uri;        // as it came
    char *path;
    struct request request;
    struct http_cors cors;
    struct buf body; // of the request
    struct reply reply;
    struct http_waiter waiter; // for a reply that comes later
    enum {
        HTTP_EXCHANGE_NEW,
        HTTP_EXCHANGE_READ,  // the header is complete
        HTTP_EXCHANGE_BODY,  // and its body is coming
        HTTP_EXCHANGE_READY, // the reply is filled
    } state;
};

// --- Answers ---

static struct MHD_Response *http_bytes_response(
    struct reply *reply, const struct http_outcome *outcome)
{
    if (reply->fixed != NULL)
        return MHD_create_response_from_buffer(
            outcome->length, (char *)reply->fixed + outcome->offset, MHD_RESPMEM_PERSISTENT);
    if (outcome->offset > 0 || outcome->length < reply->body.size)
        return MHD_create_response_from_buffer(
            outcome->length, reply->body.data + outcome->offset, MHD_RESPMEM_MUST_COPY);
    size_t size;
    uint8_t *data = buf_take(&reply->body, &size);
    return MHD_create_response_from_buffer(size, data, MHD_RESPMEM_MUST_FREE);
}

// What may be kept: nothing that has no tag, nor an error; what never changes for its time; all
// else only as long as it is asked for each time whether it is still the same.
static void http_add_cache_control(
    struct MHD_Response *response, const struct reply *reply, unsigned status)
{
    char text[64] = "private, no-cache";
    if (reply->etag[0] == '\0' || status >= 400)
        snprintf(text, sizeof(text), "no-store");
    else if (reply->lasts_s > 0)
        snprintf(text, sizeof(text), "private, max-age=%d, immutable", reply->lasts_s);
    MHD_add_response_header(response, "Cache-Control", text);
}

static void http_add_headers(
    struct MHD_Response *response, const struct reply *reply, unsigned status)
{
    static const char *const always[][2] = {
        {"Content-Security-Policy",
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
            "media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
            "frame-ancestors 'none'"},
        {"X-Content-Type-Options", "nosniff"},
        {"Referrer-Policy", "no-referrer"},
        {"Cross-Origin-Resource-Policy", "same-origin"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(always); i++)
        MHD_add_response_header(response, always[i][0], always[i][1]);
    for (size_t i = 0; i < reply->header_count; i++)
        MHD_add_response_header(response, reply->headers[i].name, reply->headers[i].value);
    if (reply->content_type != NULL)
        MHD_add_response_header(response, "Content-Type", reply->content_type);
    http_add_cache_control(response, reply, status);
}

static void http_add_validators(struct MHD_Response *response, const struct reply *reply,
    const struct http_outcome *outcome, uint64_t size)
{
    char text[96];
    if (reply->etag[0] == '\0')
        return;
    MHD_add_response_header(response, "ETag", reply->etag);
    MHD_add_response_header(response, "Accept-Ranges", "bytes");
    if (reply->modified_s != 0) {
        http_format_date(reply->modified_s, text);
        MHD_add_response_header(response, "Last-Modified", text);
    }
    if (outcome->status == 206)
        snprintf(text, sizeof(text), "bytes %llu-%llu/%llu", (unsigned long long)outcome->offset,
            (unsigned long long)(outcome->offset + outcome->length - 1), (unsigned long long)size);
    else if (outcome->status == 416)
        snprintf(text, sizeof(text), "bytes */%llu", (unsigned long long)size);
    else
        return;
    MHD_add_response_header(response, "Content-Range", text);
}

static void http_decide_reply(
    struct http_exchange *exchange, uint64_t *size, struct http_outcome *outcome)
{
    struct reply *reply = &exchange->reply;
    *size = reply->stream  ? reply->stream->size
            : reply->fixed ? reply->fixed_size
                           : reply->body.size;
    *outcome = (struct http_outcome){.status = reply->status, .length = *size};
    if (reply->status != 200 || reply->etag[0] == '\0')
        return;
    const struct http_entity entity = {reply->etag, reply->modified_s, *size};
    http_decide(&exchange->request.conditions, &entity, exchange->request.head, outcome);
}

// The error body that goes with a condition that did not hold.
static void http_replace_body(struct reply *reply, unsigned status)
{
    struct reply error = {0};
    if (status == 416)
        reply_error(&error, status, "range_not_satisfiable", NULL,
            "the file has no byte in the range asked for");
    else if (status == 412)
        reply_error(&error, status, "precondition_failed", NULL,
            "the file is not the one that the request is meant for");
    buf_fini(&reply->body);
    reply->body = error.body;
    reply->fixed = NULL;
    reply->content_type = error.content_type;
}

// Counts the answer; a body that is made while it is sent is counted on its way.
static void http_count(
    const struct http_exchange *exchange, unsigned status, bool streamed, uint64_t body_bytes)
{
    struct traffic *traffic = exchange->http->traffic;
    traffic_count(
        traffic, exchange->request.route, status, time_monotonic_us() - exchange->begin_us);
    if (!streamed && !exchange->request.head && status != 304)
        traffic_count_bytes(traffic, body_bytes);
}

static const char *http_method(const struct http_exchange *exchange)
{
    const struct request *request = &exchange->request;
    return request->head ? "HEAD" : request->write ? request->write->method : "GET";
}

static enum MHD_Result http_answer(struct http_exchange *exchange)
{
    struct reply *reply = &exchange->reply;
    struct http_outcome outcome;
    uint64_t size;
    http_decide_reply(exchange, &size, &outcome);
    struct MHD_Response *response;
    bool streamed = false;
    if (outcome.status != reply->status && outcome.status != 206) {
        http_replace_body(reply, outcome.status);
        outcome.length = reply->body.size;
        const struct http_outcome whole = {.length = reply->body.size};
        response = http_bytes_response(reply, &whole);
    } else if (reply->stream != NULL) {
        streamed = true;
        response = http_body_response(
            exchange->http, exchange->connection, reply->stream, &outcome, exchange->uri);
        reply->stream = NULL;
    } else {
        response = http_bytes_response(reply, &outcome);
    }
    if (response == NULL)
        return MHD_NO;
    http_add_headers(response, reply, outcome.status);
    http_cors_add_headers(response, &exchange->cors, reply);
    http_add_validators(response, reply, &outcome, size);
    log_debug("%s %s: %u", http_method(exchange), exchange->uri, outcome.status);
    enum MHD_Result result = MHD_queue_response(exchange->connection, outcome.status, response);
    MHD_destroy_response(response);
    http_count(exchange, outcome.status, streamed, outcome.length);
    return result;
}

// --- Requests ---

void *http_exchange_begin(void *cls, const char *uri, struct MHD_Connection *connection)
{
    struct http_exchange *exchange = xcalloc(1, sizeof(*exchange));
    exchange->http = cls;
    exchange->connection = connection;
    exchange->begin_us = time_monotonic_us();
    exchange->uri = xstrdup(uri);
    pthread_mutex_lock(&exchange->http->mutex);
    exchange->http->stats.requests++;
    pthread_mutex_unlock(&exchange->http->mutex);
    return exchange;
}

void http_exchange_end(void *cls, struct MHD_Connection *connection, void **con_cls,
    enum MHD_RequestTerminationCode reason)
{
    (void)reason;
    struct http_exchange *exchange = *con_cls;
    if (exchange == NULL)
        return;
    *con_cls = NULL;
    http_arm(cls, connection, HTTP_KEEP_ALIVE_TIMEOUT_S);
    reply_fini(&exchange->reply);
    buf_fini(&exchange->body);
    free(exchange->uri);
    free(exchange->path);
    free(exchange);
}

static void http_exchange_run(struct io_job *job, void *context)
{
    struct http_exchange *exchange = (struct http_exchange *)job;
    exchange->request.route->handle(context, &exchange->request, &exchange->reply);
}

static void http_exchange_done(struct io_job *job, bool expired)
{
    struct http_exchange *exchange = (struct http_exchange *)job;
    if (expired) {
        reply_error(
            &exchange->reply, 503, "busy", NULL, "the disks did not answer in time; try again");
        reply_header(&exchange->reply, "Retry-After", "5");
    }
    exchange->state = HTTP_EXCHANGE_READY;
    http_resume(exchange->http, exchange->connection);
}

static const char *http_header(struct MHD_Connection *connection, const char *name)
{
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

// The client's address as text.
static void http_read_client(struct MHD_Connection *connection, char client[REQUEST_CLIENT_SIZE])
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *address = info != NULL ? info->client_addr : NULL;
    const void *number = NULL;
    if (address != NULL && address->sa_family == AF_INET)
        number = &((const struct sockaddr_in *)(const void *)address)->sin_addr;
    else if (address != NULL && address->sa_family == AF_INET6)
        number = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
    if (number == NULL ||
        inet_ntop(address->sa_family, number, client, REQUEST_CLIENT_SIZE) == NULL)
        client[0] = '\0';
}

static void http_read_conditions(
    struct MHD_Connection *connection, struct http_conditions *conditions)
{
    *conditions = (struct http_conditions){
        .range = http_header(connection, "Range"),
        .if_range = http_header(connection, "If-Range"),
        .if_match = http_header(connection, "If-Match"),
        .if_none_match = http_header(connection, "If-None-Match"),
        .if_modified_since = http_header(connection, "If-Modified-Since"),
        .if_unmodified_since = http_header(connection, "If-Unmodified-Since"),
    };
}

// Splits the address into path and query; a proxy's absolute form (RFC 9112, 3.2.2) too. Returns
// false when the path can not be read.
static bool http_split_uri(struct http_exchange *exchange, const char **query)
{
    const char *uri = exchange->uri;
    if (strncasecmp(uri, "http://", 7) == 0) {
        uri += 7;
        uri += strcspn(uri, "/?");
    }
    size_t length = strcspn(uri, "?");
    *query = uri[length] == '?' ? uri + length + 1 : NULL;
    exchange->path = xmalloc(length + 2);
    return query_unescape(uri, length, false, exchange->path, length + 2);
}

// Returns false with the reply filled when the route has no such method.
static bool http_knows_method(struct http_exchange *exchange, const char *method)
{
    struct reply *reply = &exchange->reply;
    char known[ROUTE_METHODS_SIZE];
    if (route_find_method(&exchange->request, method, known))
        return true;
    if (http_cors_is_preflight(exchange->connection, method)) {
        http_cors_answer_preflight(&exchange->cors, known, reply);
        return false;
    }
    reply_error(
        reply, 405, "method_not_allowed", NULL, "this address knows no such method, but %s", known);
    reply_header(reply, "Allow", "%s", known);
    return false;
}

// Finds the route and reads the parameters. Returns false with the reply filled on failure.
static bool http_understand(struct http_exchange *exchange, const char *method)
{
    struct reply *reply = &exchange->reply;
    struct request *request = &exchange->request;
    struct query_error error;
    const char *query;
    exchange->cors = http_cors_of(exchange->http, exchange->connection);
    if (!http_split_uri(exchange, &query)) {
        reply_error(reply, 400, "bad_address", NULL, "the address can not be read");
        return false;
    }
    if (!route_find(exchange->path, request)) {
        reply_error(reply, 404, "not_found", NULL, "there is nothing at this address");
        return false;
    }
    if (!http_knows_method(exchange, method))
        return false;
    static const struct query_rule none[] = {{0}};
    const struct query_rule *rules = request->write ? none : request->route->rules;
    if (!query_parse(query, rules, request->values, &error)) {
        reply_error(reply, 400, error.code, error.field, "%s", error.message);
        return false;
    }
    http_read_conditions(exchange->connection, &request->conditions);
    http_read_client(exchange->connection, request->client);
    return true;
}

// Answers, or waits until the answer is known.
static enum MHD_Result http_exchange_answer(struct http_exchange *exchange)
{
    struct reply_later *later = exchange->reply.later;
    if (later == NULL)
        return http_answer(exchange);
    if (later->waker == NULL) {
        http_waiter_init(&exchange->waiter, exchange->http, exchange->connection);
        later->waker = &exchange->waiter.waker;
    }
    http_waiter_begin(&exchange->waiter);
    exchange->reply.later = NULL;
    if (exchange->waiter.is_gone || !later->try(later, &exchange->reply)) {
        exchange->reply.later = later;
        return http_waiter_wait(&exchange->waiter, later->wait_until_us) ? MHD_YES : MHD_NO;
    }
    later->free(later);
    return http_answer(exchange);
}

static bool http_has_body(struct MHD_Connection *connection)
{
    const char *length = http_header(connection, "Content-Length");
    return (length != NULL && strcmp(length, "0") != 0) ||
           http_header(connection, "Transfer-Encoding") != NULL;
}

// Returns false with the reply filled when the request's body, or the lack of one, or where it
// comes from, is not as its route wants it.
static bool http_check_body(struct http_exchange *exchange)
{
    struct MHD_Connection *connection = exchange->connection;
    const struct route_write *write = exchange->request.write;
    const struct http_post post = {
        .content_type = http_header(connection, "Content-Type"),
        .content_length = http_header(connection, "Content-Length"),
        .transfer_encoding = http_header(connection, "Transfer-Encoding"),
        .origin = http_header(connection, "Origin"),
        .host = http_header(connection, "Host"),
        .fetch_site = http_header(connection, "Sec-Fetch-Site"),
        .is_allowed = exchange->cors.is_allowed,
    };
    const char *code, *message;
    unsigned status = 0;
    if (write != NULL && write->has_body) {
        status = http_guard_check(&post, HTTP_BODY_SIZE_MAX, &code, &message);
    } else if (http_has_body(connection)) {
        status = 400;
        code = "unexpected_body";
        message = "a request to this address has no body";
    } else if (write != NULL) {
        status = http_guard_bare(&post, &code, &message);
    }
    if (status != 0)
        reply_error(&exchange->reply, status, code, NULL, "%s", message);
    return status == 0;
}

static void http_exchange_asked(void *arg)
{
    struct http_exchange *exchange = arg;
    exchange->state = HTTP_EXCHANGE_READY;
    http_resume(exchange->http, exchange->connection);
}

// Puts the command of a request to the program that it is for.
static enum MHD_Result http_exchange_ask(struct http_exchange *exchange)
{
    struct http *http = exchange->http;
    const struct route_write *write = exchange->request.write;
    exchange->request.body = (const char *)exchange->body.data;
    exchange->request.body_size = exchange->body.size;
    exchange->state = HTTP_EXCHANGE_READY;
    const struct asker_question question = {
        write->peer, write->command(&exchange->request, &exchange->reply), write->answer};
    if (question.command == NULL)
        return http_answer(exchange);
    if (!http_hold(http, exchange->connection)) {
        json_decref(question.command);
        return MHD_NO;
    }
    if (!asker_put(http->asker, &question, &exchange->reply, http_exchange_asked, exchange))
        http_resume(http, exchange->connection);
    return MHD_YES;
}

// The request is complete and understood: has it answered.
static enum MHD_Result http_exchange_serve(struct http_exchange *exchange)
{
    const struct route *route = exchange->request.route;
    if (exchange->request.write != NULL)
        return http_exchange_ask(exchange);
    if (route->direct) {
        exchange->state = HTTP_EXCHANGE_READY;
        route->handle(NULL, &exchange->request, &exchange->reply);
        return http_answer(exchange);
    }
    exchange->job.run = http_exchange_run;
    exchange->job.done = http_exchange_done;
    return http_suspend(exchange->http, exchange->connection, &exchange->job) ? MHD_YES : MHD_NO;
}

enum MHD_Result http_exchange_handle(void *cls, struct MHD_Connection *connection, const char *url,
    const char *method, const char *version, const char *upload_data, size_t *upload_data_size,
    void **con_cls)
{
    (void)url;
    (void)version;
    struct http *http = cls;
    struct http_exchange *exchange = *con_cls;
    bool has_body = http_has_body(connection);
    if (exchange->state == HTTP_EXCHANGE_READY)
        return http_exchange_answer(exchange);
    if (exchange->state == HTTP_EXCHANGE_BODY && *upload_data_size > 0) {
        // Its length was checked, and the library keeps to it.
        buf_put(&exchange->body, upload_data, *upload_data_size);
        *upload_data_size = 0;
        return MHD_YES;
    }
    http_arm(http, connection, 0);
    if (exchange->state == HTTP_EXCHANGE_BODY)
        return http_exchange_serve(exchange);
    bool is_new = exchange->state == HTTP_EXCHANGE_NEW;
    exchange->state = HTTP_EXCHANGE_READ;
    // With a body that is not wanted: answer at once, the library then closes the connection.
    if (is_new && !has_body)
        return MHD_YES;
    *upload_data_size = 0;
    if (!http_understand(exchange, method) || !http_check_body(exchange)) {
        exchange->state = HTTP_EXCHANGE_READY;
        return http_answer(exchange);
    }
    if (!has_body)
        return http_exchange_serve(exchange);
    exchange->state = HTTP_EXCHANGE_BODY;
    http_arm(http, connection, HTTP_BODY_TIMEOUT_S);
    return MHD_YES;
}
