// links: kf-webui
// The web interface's heartbeat: given only while the HTTP thread and the I/O thread answer.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <fcntl.h>
#include <poll.h>
#include <semaphore.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/core/alloc.h"
#include "lib/core/heartbeat.h"
#include "lib/core/timeutil.h"
#include "webui/http_server.h"
#include "webui/pulse.h"
#include "webui/traffic.h"

struct fixture {
    int beats; // the reading end
    struct io *io;
    struct traffic *traffic;
    struct http *http;
    struct pulse *pulse;
    int64_t now_us;
};

static int set_up(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));
    char *cause = NULL;
    int fds[2];
    assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
    fixture->beats = fds[0];
    char *number = xasprintf("%d", fds[1]);
    setenv(HEARTBEAT_VARIABLE, number, 1);
    free(number);
    void *const context = NULL;
    const struct io_crew crew = {.contexts = &context, .count = 1};
    fixture->io = io_start(&crew, &cause);
    assert_non_null(fixture->io);
    fixture->traffic = traffic_new();
    const struct http_helpers helpers = {.io = fixture->io, .traffic = fixture->traffic};
    fixture->http = http_open("127.0.0.1:0", &helpers, &cause);
    assert_non_null(fixture->http);
    fixture->pulse = pulse_new(fixture->io);
    fixture->now_us = time_monotonic_us();
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    io_stop(fixture->io);
    http_close(fixture->http);
    pulse_free(fixture->pulse);
    io_free(fixture->io);
    traffic_free(fixture->traffic);
    close(fixture->beats);
    free(fixture);
    return 0;
}

// Ticks for a while, a second of its own clock each time. Returns whether there was a beat.
static bool beats_within(struct fixture *fixture, int ticks)
{
    for (int i = 0; i < ticks; i++) {
        char text[64];
        pulse_tick(fixture->pulse, fixture->http, fixture->now_us += US_PER_SECOND);
        if (read(fixture->beats, text, sizeof(text)) > 0)
            return true;
        poll(NULL, 0, 5);
    }
    return false;
}

static void test_it_beats_on(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 5; i++)
        assert_true(beats_within(fixture, 12000));
}

struct slow_job {
    struct io_job job;
    sem_t begun, go;
};

static void slow_run(struct io_job *job, void *context)
{
    struct slow_job *slow = (struct slow_job *)job;
    (void)context;
    sem_post(&slow->begun);
    sem_wait(&slow->go);
}

static void slow_done(struct io_job *job, bool expired)
{
    (void)job;
    (void)expired;
}

static void test_no_beat_while_the_io_thread_hangs(void **state)
{
    struct fixture *fixture = *state;
    struct slow_job slow = {.job = {.run = slow_run, .done = slow_done}};
    sem_init(&slow.begun, 0, 0);
    sem_init(&slow.go, 0, 0);
    io_submit(fixture->io, &slow.job);
    sem_wait(&slow.begun);
    assert_false(beats_within(fixture, 40));
    sem_post(&slow.go);
    assert_true(beats_within(fixture, 12000));
    sem_destroy(&slow.begun);
    sem_destroy(&slow.go);
}

static void test_no_beat_while_the_http_thread_hangs(void **state)
{
    struct fixture *fixture = *state;
    // It takes this lock for every new connection.
    pthread_mutex_lock(&fixture->http->mutex);
    assert_false(beats_within(fixture, 40));
    pthread_mutex_unlock(&fixture->http->mutex);
    assert_true(beats_within(fixture, 12000));
}

#define WITH_THREADS(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_THREADS(test_it_beats_on),
        WITH_THREADS(test_no_beat_while_the_io_thread_hangs),
        WITH_THREADS(test_no_beat_while_the_http_thread_hangs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
