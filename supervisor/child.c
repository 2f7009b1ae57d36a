// Child processes. See child.h.
#include "supervisor/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/core/alloc.h"
#include "lib/core/buf.h"
#include "lib/core/timeutil.h"

enum {
    CHILD_INPUT_FD = 3,
    CHILD_PROGRESS_FD = 4,
    CHILD_FREE_FD = 10, // the pipes are moved here or above before they take their places
    CHILD_LINE_MAX = 8192,
    CHILD_LINE_CUT = 512, // given up at the end of a longer line: half a secret can not be masked
    CHILD_CAPTURE_MAX = 65536,
};

// How long pipes may stay open after the exit: something else has inherited them.
#define CHILD_PIPES_GRACE_S 2.0

struct child_pipe {
    struct child *child;
    ev_io watcher;
    child_line_fn line;
    int fd; // -1 when it has ended
    struct buf text;
    bool is_overlong; // passing over the rest of a line
};

struct child {
    struct ev_loop *loop;
    pid_t pid;
    bool has_exited;
    int status;
    child_end_fn end;
    void *arg;
    ev_child watcher;
    ev_timer grace;
    struct child_pipe progress;
    struct child_pipe error;
};

// The ends of the pipes while a child is being started; -1 where there is none.
struct child_ends {
    int input[2];    // it reads 0, we write 1
    int progress[2]; // we read 0, it writes 1
    int error[2];
    int exec[2]; // closed by a successful exec, else errno is written
};

static void child_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void child_close_pair(int pair[2])
{
    child_close(&pair[0]);
    child_close(&pair[1]);
}

static void child_close_ends(struct child_ends *ends)
{
    child_close_pair(ends->input);
    child_close_pair(ends->progress);
    child_close_pair(ends->error);
    child_close_pair(ends->exec);
}

// Writes all that the child shall read into the pipe, which must be able to take it.
static int child_fill_input(int fd, const char *input)
{
    size_t length = strlen(input);
    if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
        return -1;
    ssize_t written = write(fd, input, length);
    if (written >= 0 && (size_t)written < length)
        errno = EMSGSIZE;
    return written == (ssize_t)length ? 0 : -1;
}

static int child_open_ends(struct child_ends *ends, const struct child_spec *spec)
{
    *ends = (struct child_ends){{-1, -1}, {-1, -1}, {-1, -1}, {-1, -1}};
    if (pipe2(ends->exec, O_CLOEXEC) < 0 ||
        (spec->input != NULL && pipe2(ends->input, O_CLOEXEC) < 0) ||
        (spec->progress != NULL && pipe2(ends->progress, O_CLOEXEC) < 0) ||
        (spec->error != NULL && pipe2(ends->error, O_CLOEXEC) < 0))
        return -1;
    if (spec->input != NULL && child_fill_input(ends->input[1], spec->input) < 0)
        return -1;
    child_close(&ends->input[1]);
    return 0;
}

static void child_set_oom_score(int score)
{
    char text[16];
    int length = snprintf(text, sizeof(text), "%d", score);
    int fd = score != 0 ? open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    ssize_t ignored = write(fd, text, (size_t)length);
    (void)ignored;
    close(fd);
}

// Puts `from` at descriptor `to`, inherited.
static int child_place(int from, int to)
{
    return from < 0 || dup2(from, to) == to ? 0 : -1;
}

static int child_place_all(struct child_ends *ends)
{
    int *moved[] = {&ends->input[0], &ends->progress[1], &ends->error[1], &ends->exec[1]};
    for (size_t i = 0; i < ARRAY_LENGTH(moved); i++) {
        if (*moved[i] >= 0 && (*moved[i] = fcntl(*moved[i], F_DUPFD_CLOEXEC, CHILD_FREE_FD)) < 0)
            return -1;
    }
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null < 0 || child_place(null, STDIN_FILENO) < 0)
        return -1;
    // What we were started with beyond stderr is nobody's business.
    close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
    if (child_place(ends->input[0], CHILD_INPUT_FD) < 0 ||
        child_place(ends->progress[1], CHILD_PROGRESS_FD) < 0 ||
        child_place(ends->error[1], STDERR_FILENO) < 0)
        return -1;
    // Stdout of a child is never read: it goes where stderr goes.
    return child_place(STDERR_FILENO, STDOUT_FILENO);
}

static void child_reset_signals(void)
{
    const struct sigaction plain = {.sa_handler = SIG_DFL};
    for (int number = 1; number < NSIG; number++)
        sigaction(number, &plain, NULL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

// Goes on in the child, up to the exec.
static void child_become(const struct child_spec *spec, struct child_ends *ends, pid_t parent)
{
    int place_result = child_place_all(ends);
    if (prctl(PR_SET_PDEATHSIG, spec->death_signal) < 0 || getppid() != parent)
        _exit(EXIT_FAILURE); // the parent died before it could be watched
    setsid();
    child_set_oom_score(spec->oom_score);
    child_reset_signals();
    if (place_result == 0) {
        if (spec->environment != NULL)
            execvpe(spec->argv[0], spec->argv, spec->environment);
        else
            execvp(spec->argv[0], spec->argv);
    }
    int error = errno;
    ssize_t ignored = write(ends->exec[1], &error, sizeof(error));
    (void)ignored;
    _exit(127);
}

// Forks. Signals are held back so that no handler of ours runs in the child.
static pid_t child_fork(const struct child_spec *spec, struct child_ends *ends)
{
    sigset_t all, before;
    pid_t parent = getpid();
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &before);
    pid_t pid = fork();
    if (pid == 0)
        child_become(spec, ends, parent);
    int saved_errno = errno;
    sigprocmask(SIG_SETMASK, &before, NULL);
    errno = saved_errno;
    return pid;
}

// Waits for the exec. Returns 0, or what kept it from happening.
static int child_exec_error(struct child_ends *ends)
{
    int error = 0;
    ssize_t got;
    child_close(&ends->exec[1]);
    do
        got = read(ends->exec[0], &error, sizeof(error));
    while (got < 0 && errno == EINTR);
    return got == sizeof(error) ? error : 0;
}

static void child_free(struct child *child)
{
    ev_child_stop(child->loop, &child->watcher);
    ev_timer_stop(child->loop, &child->grace);
    buf_fini(&child->progress.text);
    buf_fini(&child->error.text);
    free(child);
}

static void child_finish_if_over(struct child *child)
{
    if (!child->has_exited || child->progress.fd >= 0 || child->error.fd >= 0)
        return;
    child->end(child->arg, child->status);
    child_free(child);
}

static void child_pipe_end(struct child_pipe *output)
{
    if (output->fd < 0)
        return;
    ev_io_stop(output->child->loop, &output->watcher);
    if (output->text.size > 0)
        output->line(output->child->arg, buf_string(&output->text));
    buf_consume(&output->text, output->text.size);
    child_close(&output->fd);
}

// Takes one more byte of output; gives the line away when it is whole.
static void child_pipe_byte(struct child_pipe *output, char byte)
{
    if (byte == '\n' || byte == '\r') {
        if (output->text.size > 0)
            output->line(output->child->arg, buf_string(&output->text));
        buf_consume(&output->text, output->text.size);
        output->is_overlong = false;
    } else if (!output->is_overlong && byte != '\0') {
        buf_put_u8(&output->text, (uint8_t)byte);
        if (output->text.size == CHILD_LINE_MAX) {
            output->text.size -= CHILD_LINE_CUT;
            output->is_overlong = true;
        }
    }
}

static void child_pipe_cb(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct child_pipe *output = watcher->data;
    struct child *child = output->child;
    char bytes[8192];
    (void)loop;
    (void)events;
    ssize_t got = read(output->fd, bytes, sizeof(bytes));
    if (got < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    for (ssize_t i = 0; i < got; i++)
        child_pipe_byte(output, bytes[i]);
    if (got > 0)
        return;
    child_pipe_end(output);
    child_finish_if_over(child);
}

static void child_grace_cb(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct child *child = timer->data;
    (void)loop;
    (void)events;
    child_pipe_end(&child->progress);
    child_pipe_end(&child->error);
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
    ev_timer_start(loop, &child->grace);
    child_finish_if_over(child);
}

static void child_pipe_start(
    struct child *child, struct child_pipe *output, int *fd, child_line_fn line)
{
    *output = (struct child_pipe){.child = child, .line = line, .fd = *fd};
    if (*fd < 0)
        return;
    *fd = -1; // ours now
    fcntl(output->fd, F_SETFL, O_NONBLOCK);
    ev_io_init(&output->watcher, child_pipe_cb, output->fd, EV_READ);
    output->watcher.data = output;
    ev_io_start(child->loop, &output->watcher);
}

static struct child *child_new(
    struct ev_loop *loop, const struct child_spec *spec, struct child_ends *ends, pid_t pid)
{
    struct child *child = xcalloc(1, sizeof(*child));
    child->loop = loop;
    child->pid = pid;
    child->end = spec->end;
    child->arg = spec->arg;
    child_pipe_start(child, &child->progress, &ends->progress[0], spec->progress);
    child_pipe_start(child, &child->error, &ends->error[0], spec->error);
    ev_timer_init(&child->grace, child_grace_cb, CHILD_PIPES_GRACE_S, 0.);
    child->grace.data = child;
    ev_child_init(&child->watcher, child_exit_cb, pid, 0);
    child->watcher.data = child;
    ev_child_start(loop, &child->watcher);
    return child;
}

struct child *child_start(struct ev_loop *loop, const struct child_spec *spec, char **cause)
{
    struct child *child = NULL;
    struct child_ends ends;
    int error = 0;
    pid_t pid = child_open_ends(&ends, spec) < 0 ? -1 : child_fork(spec, &ends);
    if (pid < 0)
        error = errno;
    else
        error = child_exec_error(&ends);
    if (error != 0) {
        if (pid > 0)
            waitpid(pid, NULL, 0);
        *cause = xasprintf("%s can not be started: %s", spec->argv[0], strerror(error));
    } else {
        child_close(&ends.progress[1]);
        child_close(&ends.error[1]);
        child = child_new(loop, spec, &ends, pid);
    }
    child_close_ends(&ends);
    return child;
}

pid_t child_pid(const struct child *child)
{
    return child->pid;
}

void child_signal(const struct child *child, int signal_number)
{
    if (!child->has_exited)
        kill(child->pid, signal_number);
}

// Reads up to the end of the pipe or the deadline. Returns false at the deadline.
static bool child_capture_read(int fd, struct buf *output, int64_t deadline_us)
{
    for (;;) {
        int64_t left_us = deadline_us - time_monotonic_us();
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        if (left_us <= 0 || poll(&poll_fd, 1, (int)(left_us / 1000) + 1) == 0)
            return false;
        char bytes[4096];
        ssize_t got = read(fd, bytes, sizeof(bytes));
        if (got == 0)
            return true;
        if (got > 0 && output->size < CHILD_CAPTURE_MAX)
            buf_put(output, bytes, (size_t)got);
    }
}

static void child_capture_line(void *arg, const char *line)
{
    (void)arg;
    (void)line;
}

char *child_capture(char *const *argv, int timeout_ms, char **cause)
{
    struct buf output = BUF_INIT;
    // No watcher reads the pipe, so the function is never called: it says that there is a pipe.
    const struct child_spec spec = {
        .argv = argv, .death_signal = SIGKILL, .error = child_capture_line};
    struct child_ends ends;
    bool in_time = false;
    pid_t pid = child_open_ends(&ends, &spec) < 0 ? -1 : child_fork(&spec, &ends);
    int error = pid < 0 ? errno : child_exec_error(&ends);
    child_close(&ends.error[1]);
    if (error == 0) {
        int64_t deadline_us = time_monotonic_us() + timeout_ms * INT64_C(1000);
        in_time = child_capture_read(ends.error[0], &output, deadline_us);
        if (!in_time)
            kill(pid, SIGKILL);
    }
    if (pid > 0)
        waitpid(pid, NULL, 0);
    child_close_ends(&ends);
    if (error != 0)
        *cause = xasprintf("%s can not be started: %s", argv[0], strerror(error));
    else if (!in_time)
        *cause = xasprintf("%s does not end within %d seconds", argv[0], timeout_ms / 1000);
    else
        return buf_string(&output);
    buf_fini(&output);
    return NULL;
}
