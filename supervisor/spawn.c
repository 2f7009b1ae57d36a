// Fork and exec. See spawn.h.
#include "supervisor/spawn.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/core/alloc.h"
#include "supervisor/limits.h"

enum {
    SPAWN_FREE_FD = 10, // the pipes are moved here or above before they take their places
    SPAWN_PIPE_SIZE = 16 * 1024,
    SPAWN_OOM_SCORE_MAX = 1000,
};

// The ends of the pipes while a child is being started; -1 where there is none.
struct spawn_ends {
    int input[2];    // it reads 0, we write 1
    int progress[2]; // we read 0, it writes 1
    int error[2];
    int exec[2]; // closed by a successful exec, else errno is written
};

static void spawn_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void spawn_close_ends(struct spawn_ends *ends)
{
    int *const pairs[] = {ends->input, ends->progress, ends->error, ends->exec};
    for (size_t i = 0; i < ARRAY_LENGTH(pairs); i++) {
        spawn_close(&pairs[i][0]);
        spawn_close(&pairs[i][1]);
    }
}

// Opens a pipe of a size of our own choice: once a user has 1,024 pipes of the kernel's choice, the
// kernel makes further ones as small as one page. Where it refuses, its own size has to do.
static int spawn_open_pipe(int pair[2], size_t size)
{
    if (pipe2(pair, O_CLOEXEC) < 0)
        return -1;
    fcntl(pair[0], F_SETPIPE_SZ, (int)size);
    return 0;
}

// Writes all that the child shall read into a pipe that is able to take it.
static int spawn_open_input(int pair[2], const char *input)
{
    size_t length = strlen(input);
    if (spawn_open_pipe(pair, length > SPAWN_PIPE_SIZE ? length : SPAWN_PIPE_SIZE) < 0 ||
        fcntl(pair[1], F_SETFL, O_NONBLOCK) < 0)
        return -1;
    ssize_t written = write(pair[1], input, length);
    if (written >= 0 && (size_t)written < length)
        errno = EMSGSIZE;
    spawn_close(&pair[1]);
    return written == (ssize_t)length ? 0 : -1;
}

static int spawn_open_ends(struct spawn_ends *ends, const struct spawn_spec *spec)
{
    *ends = (struct spawn_ends){{-1, -1}, {-1, -1}, {-1, -1}, {-1, -1}};
    if (pipe2(ends->exec, O_CLOEXEC) < 0 ||
        (spec->has_progress && spawn_open_pipe(ends->progress, SPAWN_PIPE_SIZE) < 0) ||
        (spec->has_error && spawn_open_pipe(ends->error, SPAWN_PIPE_SIZE) < 0))
        return -1;
    if (spec->input_fd > 0)
        return (ends->input[0] = fcntl(spec->input_fd, F_DUPFD_CLOEXEC, SPAWN_FREE_FD));
    return spec->input ? spawn_open_input(ends->input, spec->input) : 0;
}

// Makes it so much likelier than us to be the one that dies when memory is short.
static void spawn_add_oom_score(int score)
{
    char text[16] = "";
    int fd = score != 0 ? open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    ssize_t got = read(fd, text, sizeof(text) - 1);
    long sum = score + (got > 0 ? strtol(text, NULL, 10) : 0);
    int length = snprintf(
        text, sizeof(text), "%ld", sum < SPAWN_OOM_SCORE_MAX ? sum : (long)SPAWN_OOM_SCORE_MAX);
    ssize_t ignored = pwrite(fd, text, (size_t)length, 0);
    (void)ignored;
    close(fd);
}

// Puts `from` at descriptor `to`, inherited.
static int spawn_place(int from, int to)
{
    return from < 0 || dup2(from, to) == to ? 0 : -1;
}

static int spawn_place_all(struct spawn_ends *ends, bool input_is_stdin)
{
    int *moved[] = {&ends->input[0], &ends->progress[1], &ends->error[1], &ends->exec[1]};
    for (size_t i = 0; i < ARRAY_LENGTH(moved); i++) {
        if (*moved[i] >= 0 && (*moved[i] = fcntl(*moved[i], F_DUPFD_CLOEXEC, SPAWN_FREE_FD)) < 0)
            return -1;
    }
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null < 0 || spawn_place(null, STDIN_FILENO) < 0)
        return -1;
    // What we were started with beyond stderr is nobody's business.
    close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
    if (spawn_place(ends->input[0], input_is_stdin ? STDIN_FILENO : SPAWN_INPUT_FD) < 0 ||
        spawn_place(ends->progress[1], SPAWN_PROGRESS_FD) < 0 ||
        spawn_place(ends->error[1], STDERR_FILENO) < 0)
        return -1;
    // Stdout of a child is never read: it goes where stderr goes.
    return spawn_place(STDERR_FILENO, STDOUT_FILENO);
}

static void spawn_reset_signals(bool ignores_hangup)
{
    const struct sigaction plain = {.sa_handler = SIG_DFL};
    const struct sigaction ignored = {.sa_handler = SIG_IGN};
    for (int number = 1; number < NSIG; number++)
        sigaction(number, ignores_hangup && number == SIGHUP ? &ignored : &plain, NULL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

// Goes on in the child, up to the exec. Nothing after prctl(2) may change the user: that would
// take the death signal back.
static void spawn_become(const struct spawn_spec *spec, struct spawn_ends *ends, pid_t parent)
{
    int place_result = spawn_place_all(ends, spec->input_is_stdin);
    int place_error = errno;
    if (prctl(PR_SET_PDEATHSIG, spec->death_signal) < 0 || getppid() != parent)
        _exit(EXIT_FAILURE); // the parent died before it could be watched
    setsid();
    spawn_add_oom_score(spec->oom_score);
    limits_restore();
    spawn_reset_signals(spec->ignores_hangup);
    errno = place_error;
    if (place_result == 0) {
        char *const *environment = spec->environment ? spec->environment : environ;
        // What stands at a path is executed or refused, never handed to a shell.
        if (strchr(spec->argv[0], '/') != NULL)
            execve(spec->argv[0], spec->argv, environment);
        else
            execvpe(spec->argv[0], spec->argv, environment);
    }
    int error = errno;
    ssize_t ignored = write(ends->exec[1], &error, sizeof(error));
    (void)ignored;
    _exit(127);
}

// Forks. Signals are held back so that no handler of ours runs in the child.
static pid_t spawn_fork(const struct spawn_spec *spec, struct spawn_ends *ends)
{
    sigset_t all, before;
    pid_t parent = getpid();
    assert(gettid() == parent);
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &before);
    pid_t pid = fork();
    if (pid == 0)
        spawn_become(spec, ends, parent);
    int saved_errno = errno;
    sigprocmask(SIG_SETMASK, &before, NULL);
    errno = saved_errno;
    return pid;
}

// Waits for the exec. Returns 0, or what kept it from happening.
static int spawn_exec_error(struct spawn_ends *ends)
{
    int error = 0;
    ssize_t got;
    spawn_close(&ends->exec[1]);
    do
        got = read(ends->exec[0], &error, sizeof(error));
    while (got < 0 && errno == EINTR);
    return got == sizeof(error) ? error : 0;
}

// The limits that are reached first where there are many streams, by the names that raise them.
static const char *spawn_explain(int error)
{
    switch (error) {
    case EAGAIN:
        return "no more processes are allowed (TasksMax=, ulimit -u)";
    case EMFILE:
        return "no more open files are allowed (LimitNOFILE=, ulimit -n)";
    default:
        return strerror(error);
    }
}

pid_t spawn(const struct spawn_spec *spec, struct spawn_pipes *pipes, char **cause)
{
    struct spawn_ends ends;
    pid_t pid = spawn_open_ends(&ends, spec) < 0 ? -1 : spawn_fork(spec, &ends);
    int error = pid < 0 ? errno : spawn_exec_error(&ends);
    if (error != 0) {
        if (pid > 0)
            waitpid(pid, NULL, 0);
        *cause = xasprintf("%s can not be started: %s", spec->argv[0], spawn_explain(error));
        pid = -1;
    } else {
        *pipes = (struct spawn_pipes){ends.progress[0], ends.error[0]};
        ends.progress[0] = ends.error[0] = -1;
    }
    spawn_close_ends(&ends);
    return pid;
}
