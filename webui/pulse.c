// Whether all threads still answer. See pulse.h.
#include "webui/pulse.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/core/alloc.h"
#include "lib/core/heartbeat.h"
#include "lib/core/notify.h"
#include "webui/http.h"
#include "webui/io.h"

enum pulse_answer {
    PULSE_ASKED,
    PULSE_ANSWERED,
    PULSE_LOST, // the question was given up: it is to be asked again
};

struct pulse {
    struct io_job job; // the question to the I/O thread
    struct io *io;
    _Atomic enum pulse_answer io_answer; // written by whoever ends the job
    bool is_http_asked;
    int http_fd; // ends when the HTTP thread has seen that nobody is there; -1: answered
    struct heartbeat heartbeat;
};

static void pulse_job_run(struct io_job *job, void *context)
{
    (void)job;
    (void)context;
}

static void pulse_job_done(struct io_job *job, bool expired)
{
    struct pulse *pulse = (struct pulse *)job;
    atomic_store(&pulse->io_answer, expired ? PULSE_LOST : PULSE_ANSWERED);
}

static void pulse_ask_io(struct pulse *pulse)
{
    atomic_store(&pulse->io_answer, PULSE_ASKED);
    io_submit(pulse->io, &pulse->job);
}

static void pulse_look_at_http(struct pulse *pulse)
{
    char byte;
    if (pulse->http_fd < 0)
        return;
    ssize_t got = recv(pulse->http_fd, &byte, 1, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    close(pulse->http_fd);
    pulse->http_fd = -1;
}

struct pulse *pulse_new(struct io *io)
{
    struct pulse *pulse = xcalloc(1, sizeof(*pulse));
    pulse->job.run = pulse_job_run;
    pulse->job.done = pulse_job_done;
    pulse->io = io;
    pulse->http_fd = -1;
    atomic_store(&pulse->io_answer, PULSE_LOST);
    heartbeat_open(&pulse->heartbeat);
    return pulse;
}

void pulse_tick(struct pulse *pulse, struct http *http, int64_t now_us)
{
    pulse_look_at_http(pulse);
    enum pulse_answer io_answer = atomic_load(&pulse->io_answer);
    bool is_http_well = pulse->is_http_asked && pulse->http_fd < 0;
    if (is_http_well && io_answer == PULSE_ANSWERED) {
        heartbeat_beat(&pulse->heartbeat, now_us);
        notify_alive();
        pulse->is_http_asked = false;
        io_answer = PULSE_LOST;
    }
    if (!pulse->is_http_asked) {
        pulse->is_http_asked = true;
        pulse->http_fd = http_ping(http);
    }
    if (io_answer == PULSE_LOST)
        pulse_ask_io(pulse);
}

void pulse_free(struct pulse *pulse)
{
    if (pulse == NULL)
        return;
    if (pulse->http_fd >= 0)
        close(pulse->http_fd);
    heartbeat_close(&pulse->heartbeat);
    free(pulse);
}
