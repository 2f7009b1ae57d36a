// Child processes. See child.h.
#include "supervisor/child.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/core/alloc.h"
#include "lib/core/buf.h"
#include "lib/core/timeutil.h"
#include "supervisor/childpipe.h"
#include "supervisor/spawn.h"

enum {
    CHILD_CAPTURE_MAX = 65536,
    CHILD_ENDS_MAX = 20, // that are told in one turn of the loop
};

// How long pipes may stay open after the exit: something else has inherited them.
#define CHILD_PIPES_GRACE_S 2.0

struct child {
    struct ev_loop *loop;
    pid_t pid;
    bool has_exited;
    int status;
    int64_t cpu_us; // once it has exited
    child_end_fn end;
    void *arg;
    ev_child watcher;
    ev_timer grace;
    struct childpipe progress;
    struct childpipe error;
    bool is_queued; // its end is told in a later turn
    struct child *next;
};

// Ends that are still to be told, in order. Each costs its owner writes to the disk, and a whole
// site's recorders may die at once: other events must get their turn in between.
static struct child_ends {
    struct child *first;
    struct child *last;
    unsigned turn; // of the loop, in which so many were
    unsigned told;
    ev_timer next_turn;
} child_ends;

// The processor time of the child that was reaped last: by how much that of all has grown since the
// one before. libev reaps one child at a time and tells us of it before it reaps the next. To be
// called before the first one too: an earlier program of this process may have had children.
static int64_t child_reaped_us(void)
{
    static int64_t before_us = -1;
    struct rusage usage;
    if (getrusage(RUSAGE_CHILDREN, &usage) < 0)
        return 0;
    int64_t now_us = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * US_PER_SECOND +
                     usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
    int64_t grown_us = before_us < 0 ? 0 : now_us - before_us;
    before_us = now_us;
    return grown_us;
}

static void child_begin_reaping(void)
{
    static bool has_begun;
    if (!has_begun)
        child_reaped_us();
    has_begun = true;
}

static void child_free(struct child *child)
{
    ev_child_stop(child->loop, &child->watcher);
    ev_timer_stop(child->loop, &child->grace);
    childpipe_fini(&child->progress);
    childpipe_fini(&child->error);
    free(child);
}

static void child_tell_end(struct child *child)
{
    child->end(child->arg, child->status);
    child_free(child);
}

static bool child_may_tell(struct ev_loop *loop)
{
    unsigned turn = ev_iteration(loop);
    if (turn != child_ends.turn)
        child_ends.told = 0;
    child_ends.turn = turn;
    return child_ends.told++ < CHILD_ENDS_MAX;
}

static void child_turn_cb(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)events;
    while (child_ends.first != NULL && child_may_tell(loop)) {
        struct child *child = child_ends.first;
        child_ends.first = child->next;
        child_tell_end(child);
    }
    if (child_ends.first == NULL || ev_is_active(timer))
        return;
    ev_timer_set(timer, 0., 0.);
    ev_timer_start(loop, timer);
}

static void child_queue_end(struct child *child)
{
    struct child_ends *ends = &child_ends;
    child->is_queued = true;
    child->next = NULL;
    if (ends->first == NULL)
        ends->first = child;
    else
        ends->last->next = child;
    ends->last = child;
    if (ev_is_active(&ends->next_turn))
        return;
    ev_timer_init(&ends->next_turn, child_turn_cb, 0., 0.);
    ev_timer_start(child->loop, &ends->next_turn);
}

static void child_finish_if_over(struct child *child)
{
    bool is_over = child->has_exited && child->progress.fd < 0 && child->error.fd < 0;
    if (!is_over || child->is_queued)
        return;
    if (child_ends.first == NULL && child_may_tell(child->loop))
        child_tell_end(child);
    else
        child_queue_end(child);
}

static void child_pipe_end_cb(void *arg)
{
    child_finish_if_over(arg);
}

// Ends what a child has left behind in its process group. The group's number is ours as long as
// anything is in the group; it could only mean another one if a process has got that number since.
static void child_end_group(pid_t pid)
{
    if (kill(pid, 0) < 0 && errno == ESRCH)
        kill(-pid, SIGKILL);
}

static void child_grace_cb(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct child *child = timer->data;
    (void)loop;
    (void)events;
    child_end_group(child->pid);
    childpipe_stop(&child->progress);
    childpipe_stop(&child->error);
    child_finish_if_over(child);
}

static void child_exit_cb(struct ev_loop *loop, ev_child *watcher, int events)
{
    struct child *child = watcher->data;
    (void)events;
    if (!WIFEXITED(watcher->rstatus) && !WIFSIGNALED(watcher->rstatus))
        return;
    ev_child_stop(loop, watcher);
    child->has_exited = true;
    child->status = watcher->rstatus;
    child->cpu_us = child_reaped_us();
    ev_timer_start(loop, &child->grace);
    child_finish_if_over(child);
}

static void child_watch(struct child *child)
{
    ev_timer_init(&child->grace, child_grace_cb, CHILD_PIPES_GRACE_S, 0.);
    child->grace.data = child;
    ev_child_init(&child->watcher, child_exit_cb, child->pid, 0);
    child->watcher.data = child;
    if (!child->has_exited)
        ev_child_start(child->loop, &child->watcher);
}

struct child *child_start(struct ev_loop *loop, const struct child_spec *spec, char **cause)
{
    const struct spawn_spec spawn_spec = {
        .argv = spec->argv,
        .environment = spec->environment,
        .death_signal = spec->death_signal,
        .oom_score = spec->oom_score,
        .ignores_hangup = spec->ignores_hangup,
        .input = spec->input,
        .input_is_stdin = spec->input_is_stdin,
        .input_fd = spec->input_fd,
        .has_progress = spec->progress != NULL,
        .has_error = spec->error != NULL,
    };
    struct spawn_pipes pipes;
    child_begin_reaping();
    pid_t pid = spawn(&spawn_spec, &pipes, cause);
    if (pid < 0)
        return NULL;
    struct child *child = xcalloc(1, sizeof(*child));
    child->loop = loop;
    child->pid = pid;
    child->end = spec->end;
    child->arg = spec->arg;
    childpipe_start(&child->progress, loop, pipes.progress, spec->progress, spec->arg,
        child_pipe_end_cb, child);
    childpipe_start(
        &child->error, loop, pipes.error, spec->error, spec->arg, child_pipe_end_cb, child);
    child_watch(child);
    return child;
}

pid_t child_pid(const struct child *child)
{
    return child->pid;
}

int64_t child_cpu_us(const struct child *child)
{
    return child->cpu_us;
}

void child_signal(const struct child *child, int signal_number)
{
    if (!child->has_exited)
        kill(-child->pid, signal_number);
}

// --- Over an exec of ours ---

json_t *child_hand_over(struct handover_writer *writer, const struct child *child)
{
    return json_pack("{s:i, s:b, s:i, s:I, s:o, s:o, s:o}", "pid", (int)child->pid, "has_exited",
        child->has_exited, "status", child->status, "cpu_us", (json_int_t)child->cpu_us, "grace",
        handover_timer(child->loop, &child->grace), "progress",
        childpipe_hand_over(writer, &child->progress), "error",
        childpipe_hand_over(writer, &child->error));
}

// Whoever is not our child any more, or never was, must never get a signal of ours.
static void child_check_is_ours(struct handover_reader *reader, const struct child *child)
{
    siginfo_t info;
    if (!reader->is_trial && !child->has_exited &&
        waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
        handover_fail(reader, "process %d is no child of this one", (int)child->pid);
}

struct child *child_take_over(struct handover_reader *reader, json_t *object, struct ev_loop *loop,
    const struct child_spec *spec)
{
    struct child *child = xcalloc(1, sizeof(*child));
    child_begin_reaping();
    child->loop = loop;
    child->end = spec->end;
    child->arg = spec->arg;
    child->pid = (pid_t)handover_take_int(reader, object, "pid", 2, INT_MAX);
    child->has_exited = handover_take_bool(reader, object, "has_exited");
    child->status = (int)handover_take_int(reader, object, "status", INT_MIN, INT_MAX);
    child->cpu_us = handover_take_int(reader, object, "cpu_us", 0, INT64_MAX);
    child_check_is_ours(reader, child);
    child_watch(child);
    handover_take_timer(reader, object, "grace", loop, &child->grace);
    childpipe_take_over(reader, handover_take(reader, object, "progress", JSON_OBJECT),
        &child->progress, loop, spec->progress, spec->arg, child_pipe_end_cb, child);
    childpipe_take_over(reader, handover_take(reader, object, "error", JSON_OBJECT), &child->error,
        loop, spec->error, spec->arg, child_pipe_end_cb, child);
    handover_end(reader, object);
    return child;
}

// --- Capture ---

// Waits until the descriptor is readable. Returns false at the deadline.
static bool child_capture_wait(int fd, int64_t deadline_us)
{
    for (;;) {
        int64_t left_us = deadline_us - time_monotonic_us();
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        int ready = left_us <= 0 ? 0 : poll(&poll_fd, 1, (int)(left_us / 1000) + 1);
        if (ready >= 0 || errno != EINTR)
            return ready > 0;
    }
}

// Reads up to the end of the pipe. Returns false at the deadline.
static bool child_capture_read(int fd, struct buf *output, int64_t deadline_us)
{
    while (child_capture_wait(fd, deadline_us)) {
        char bytes[4096];
        ssize_t got = read(fd, bytes, sizeof(bytes));
        if (got == 0)
            return true;
        if (got > 0 && output->size < CHILD_CAPTURE_MAX)
            buf_put(output, bytes, (size_t)got);
    }
    return false;
}

// Waits for the exit: who has closed its pipes may live on. Returns false at the deadline.
static bool child_capture_exit(pid_t pid, int64_t deadline_us)
{
    int fd = pidfd_open(pid, 0);
    if (fd < 0)
        return false;
    bool has_exited = child_capture_wait(fd, deadline_us);
    close(fd);
    return has_exited;
}

char *child_capture(char *const *argv, int timeout_ms, char **cause)
{
    const struct spawn_spec spec = {.argv = argv, .death_signal = SIGKILL, .has_error = true};
    int64_t deadline_us = time_monotonic_us() + timeout_ms * INT64_C(1000);
    struct spawn_pipes pipes;
    struct buf output = BUF_INIT;
    pid_t pid = spawn(&spec, &pipes, cause);
    if (pid < 0)
        return NULL;
    bool in_time = child_capture_read(pipes.error, &output, deadline_us) &&
                   child_capture_exit(pid, deadline_us);
    if (!in_time)
        kill(-pid, SIGKILL);
    waitpid(pid, NULL, 0);
    child_reaped_us();
    close(pipes.error);
    if (in_time)
        return buf_string(&output);
    *cause = xasprintf("%s does not end within %d seconds", argv[0], timeout_ms / 1000);
    buf_fini(&output);
    return NULL;
}
