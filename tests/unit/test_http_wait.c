// links: kf-webui
// Bodies that wait for what is not there yet: a real server and a real client, with a route of our
// own, whose stream gives what the test puts into it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/core/alloc.h"
#include "lib/core/timeutil.h"
#include "webui/http_server.h"
#include "webui/route.h"
#include "webui/traffic.h"

enum {
    PATIENCE_MS = 60000,
};

// --- A stream that gives what is put into it ---

struct source {
    pthread_mutex_t mutex;
    char text[256];
    size_t size;
    bool over;
    bool is_timed;   // it waits until now only
    bool wakes_late; // something comes between its look and its answer
    unsigned tries;
    unsigned waits;
    unsigned streams; // that are open
    struct reply_stream *reader;
};

static struct source source = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static ssize_t source_try(
    struct reply_stream *stream, uint64_t offset, void *data, size_t size, char **cause)
{
    (void)cause;
    pthread_mutex_lock(&source.mutex);
    source.tries++;
    source.reader = stream;
    ssize_t got = source.over ? REPLY_TRY_END : REPLY_TRY_WAIT;
    if (offset < source.size) {
        got = (ssize_t)(source.size - offset);
        got = (size_t)got > size ? (ssize_t)size : got;
        memcpy(data, source.text + offset, (size_t)got);
    } else if (got == REPLY_TRY_WAIT) {
        source.waits++;
        stream->wait_until_us = source.is_timed ? time_monotonic_us() : 0;
        if (source.wakes_late) {
            source.wakes_late = false;
            memcpy(source.text, "late", 4);
            source.size = 4;
            reply_wake(stream->waker);
        }
    }
    pthread_mutex_unlock(&source.mutex);
    return got;
}

static void source_free(struct reply_stream *stream)
{
    pthread_mutex_lock(&source.mutex);
    source.streams--;
    source.reader = NULL;
    pthread_mutex_unlock(&source.mutex);
    free(stream);
}

static void source_put(const char *text, bool over)
{
    pthread_mutex_lock(&source.mutex);
    size_t length = strlen(text);
    assert_true(source.size + length <= sizeof(source.text));
    memcpy(source.text + source.size, text, length);
    source.size += length;
    source.over = over;
    if (source.reader != NULL)
        reply_wake(source.reader->waker);
    pthread_mutex_unlock(&source.mutex);
}

static unsigned source_get(const unsigned *counter)
{
    pthread_mutex_lock(&source.mutex);
    unsigned value = *counter;
    pthread_mutex_unlock(&source.mutex);
    return value;
}

static void source_await(const unsigned *counter, unsigned value)
{
    for (int i = 0; source_get(counter) != value && i < PATIENCE_MS / 2; i++)
        poll(NULL, 0, 2);
    assert_int_equal(source_get(counter), value);
}

// --- The one route ---

static void source_handle(struct worker *worker, const struct request *request, struct reply *reply)
{
    (void)worker;
    (void)request;
    struct reply_stream *stream = xcalloc(1, sizeof(*stream));
    *stream =
        (struct reply_stream){.size = REPLY_SIZE_UNKNOWN, .try = source_try, .free = source_free};
    reply->status = 200;
    reply->content_type = "text/plain";
    reply->stream = stream;
    pthread_mutex_lock(&source.mutex);
    source.streams++;
    pthread_mutex_unlock(&source.mutex);
}

static const struct query_rule source_rules[] = {{0}};

const struct route route_table[] = {
    {.pattern = "/",
        .permission = ROUTE_PUBLIC,
        .direct = true,
        .rules = source_rules,
        .handle = source_handle},
    {0},
};

bool route_find(const char *path, struct request *request)
{
    request->route = &route_table[0];
    request->path = path;
    return true;
}

bool route_find_method(struct request *request, const char *method, char known[ROUTE_METHODS_SIZE])
{
    (void)known;
    request->head = strcmp(method, "HEAD") == 0;
    return true;
}

// --- A client ---

struct fixture {
    struct io *io;
    struct traffic *traffic;
    struct http *http;
    int client;
};

static int set_up(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));
    char *cause = NULL;
    source = (struct source){.mutex = PTHREAD_MUTEX_INITIALIZER};
    fixture->client = -1;
    void *const context = NULL;
    const struct io_crew crew = {.contexts = &context, .count = 1};
    fixture->io = io_start(&crew, &cause);
    assert_non_null(fixture->io);
    fixture->traffic = traffic_new();
    const struct http_helpers helpers = {.io = fixture->io, .traffic = fixture->traffic};
    fixture->http = http_open("127.0.0.1:0", &helpers, &cause);
    assert_non_null(fixture->http);
    *state = fixture;
    return 0;
}

static void server_close(struct fixture *fixture)
{
    io_stop(fixture->io);
    http_close(fixture->http);
    fixture->http = NULL;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    if (fixture->http != NULL)
        server_close(fixture);
    if (fixture->client >= 0)
        close(fixture->client);
    io_free(fixture->io);
    traffic_free(fixture->traffic);
    assert_int_equal(source.streams, 0);
    free(fixture);
    return 0;
}

static void ask(struct fixture *fixture, const char *method)
{
    const char *port = strrchr(http_address(fixture->http), ':') + 1;
    const struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)strtoul(port, NULL, 10)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    fixture->client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(
        connect(fixture->client, (const struct sockaddr *)&address, sizeof(address)), 0);
    char *request = xasprintf("%s / HTTP/1.1\r\nHost: here\r\n\r\n", method);
    assert_int_equal(write(fixture->client, request, strlen(request)), (ssize_t)strlen(request));
    free(request);
}

// Reads until `end` has come, or the end of the stream where it is NULL.
static void expect(struct fixture *fixture, const char *end, char *text, size_t size)
{
    size_t got = 0;
    text[0] = '\0';
    while (end == NULL || strstr(text, end) == NULL) {
        struct pollfd item = {.fd = fixture->client, .events = POLLIN};
        assert_int_equal(poll(&item, 1, PATIENCE_MS), 1);
        ssize_t count = read(fixture->client, text + got, size - 1 - got);
        if (count <= 0) {
            assert_null(end);
            return;
        }
        got += (size_t)count;
        text[got] = '\0';
    }
}

// --- The cases ---

static void test_pieces_arrive_as_they_come(void **state)
{
    char text[4096];
    ask(*state, "GET");
    source_await(&source.waits, 1);
    source_put("one", false);
    expect(*state, "\r\n3\r\none\r\n", text, sizeof(text));
    assert_non_null(strstr(text, "Transfer-Encoding: chunked"));
    assert_null(strstr(text, "Content-Length"));
    source_put("three", true);
    expect(*state, "0\r\n\r\n", text, sizeof(text));
    assert_string_equal(text, "5\r\nthree\r\n0\r\n\r\n");
}

// Whoever waits is asked when it is woken, and not again and again meanwhile.
static void test_waiting_is_idle(void **state)
{
    struct fixture *fixture = *state;
    ask(fixture, "GET");
    source_await(&source.waits, 1);
    for (int i = 0; i < 20; i++) {
        http_tick(fixture->http);
        poll(NULL, 0, 5);
    }
    assert_int_equal(source_get(&source.tries), 1);
    source_put("x", true);
    source_await(&source.streams, 0);
    assert_true(source_get(&source.tries) <= 4);
}

static void test_a_wake_before_the_wait_is_not_lost(void **state)
{
    char text[4096];
    source.wakes_late = true;
    ask(*state, "GET");
    expect(*state, "\r\n4\r\nlate\r\n", text, sizeof(text));
}

static void test_waiting_has_an_end(void **state)
{
    struct fixture *fixture = *state;
    source.is_timed = true;
    ask(fixture, "GET");
    source_await(&source.waits, 1);
    // No wake: the tick finds that its time has come.
    for (int i = 0; source_get(&source.tries) < 2 && i < PATIENCE_MS / 5; i++) {
        http_tick(fixture->http);
        poll(NULL, 0, 5);
    }
    assert_true(source_get(&source.tries) >= 2);
}

static void test_a_client_that_goes_is_noticed(void **state)
{
    struct fixture *fixture = *state;
    ask(fixture, "GET");
    source_await(&source.waits, 1);
    close(fixture->client);
    fixture->client = -1;
    for (int i = 0; source_get(&source.streams) > 0 && i < PATIENCE_MS / 5; i++) {
        http_tick(fixture->http);
        poll(NULL, 0, 5);
    }
    assert_int_equal(source_get(&source.streams), 0);
    assert_int_equal(source_get(&source.tries), 1);
}

static void test_a_server_that_stops_ends_it(void **state)
{
    char text[4096];
    struct fixture *fixture = *state;
    ask(fixture, "GET");
    source_await(&source.waits, 1);
    server_close(fixture);
    expect(fixture, NULL, text, sizeof(text));
    assert_null(strstr(text, "\r\n0\r\n")); // it does not look complete
    assert_int_equal(source.streams, 0);
}

static void test_head_tells_no_size(void **state)
{
    char text[4096];
    ask(*state, "HEAD");
    expect(*state, "\r\n\r\n", text, sizeof(text));
    assert_null(strstr(text, "Content-Length"));
    source_await(&source.streams, 0);
    assert_int_equal(source_get(&source.tries), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_pieces_arrive_as_they_come, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_waiting_is_idle, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_wake_before_the_wait_is_not_lost, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_waiting_has_an_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_client_that_goes_is_noticed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_server_that_stops_ends_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_head_tells_no_size, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
