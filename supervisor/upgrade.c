// An upgrade in place. See upgrade.h.
#include "supervisor/upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/core/alloc.h"
#include "lib/core/log.h"
#include "lib/core/timeutil.h"
#include "supervisor/daemon.h"
#include "supervisor/daemon_handover.h"

#define UPGRADE_VARIABLE "KEEPFRAME_HANDOVER"

#define UPGRADE_CHECK_US (30 * US_PER_SECOND) // for the new program to say yes or no
#define UPGRADE_LOOK_S 0.05                   // whether all is quiet
#define UPGRADE_QUIET_US (30 * US_PER_SECOND)

enum upgrade_state {
    UPGRADE_NONE,
    UPGRADE_CHECKING, // the new program is asked
    UPGRADE_WAITING,  // for what can not be handed over
    UPGRADE_DUE,
};

struct upgrade {
    struct daemon *daemon;
    char *program; // the file's absolute path
    char **argv;
    enum upgrade_state state;
    struct stat file; // of the program that is checked
    struct child *child;
    char *answer;
    char *last_line; // of its stderr
    bool is_late;
    ev_timer timer;   // patience with the child, then the looks whether all is quiet
    int64_t check_us; // how long the child may take
    int64_t quiet_by_us;

    // How it went so far.
    uint64_t count, failed;
    int64_t time_us; // UTC, of the last one; 0: there was none
    char *error;     // of the last one; NULL: it went well
};

static const struct handover_field upgrade_fields[] = {
    HANDOVER_VALUE(struct upgrade, count),
    HANDOVER_VALUE(struct upgrade, failed),
};
static const struct handover_table upgrade_table = HANDOVER_TABLE(struct upgrade, upgrade_fields);

// --- The program

// The file that the shell's rules find for that name, absolute; or NULL.
static char *upgrade_find(const char *name)
{
    const char *path = getenv("PATH");
    if (*name == '/')
        return xstrdup(name);
    if (strchr(name, '/') != NULL) {
        char *folder = getcwd(NULL, 0);
        char *found = folder ? xasprintf("%s/%s", folder, name) : NULL;
        free(folder);
        return found;
    }
    for (; path != NULL && *path != '\0'; path += *path == ':') {
        size_t length = strcspn(path, ":");
        char *found = xasprintf("%.*s/%s", (int)length, path, name);
        path += length;
        if (*found == '/' && access(found, X_OK) == 0)
            return found;
        free(found);
    }
    return NULL;
}

static bool upgrade_is_same_file(const char *a, const char *b)
{
    struct stat info_a, info_b;
    return stat(a, &info_a) == 0 && stat(b, &info_b) == 0 && info_a.st_dev == info_b.st_dev &&
           info_a.st_ino == info_b.st_ino;
}

// The path by which we were started: not where that leads by symbolic links, which an upgrade may
// turn. What argv[0] says counts as long as it is true.
static char *upgrade_own_program(const char *name)
{
    char self[4096];
    char *found = upgrade_find(name);
    if (found != NULL && upgrade_is_same_file(found, "/proc/self/exe"))
        return found;
    ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
    self[length > 0 ? length : 0] = '\0';
    if (length <= 0 || !upgrade_is_same_file(self, "/proc/self/exe"))
        return found ? found : xstrdup(name); // it has been replaced in this very moment
    free(found);
    return xstrdup(self);
}

// --- The end of one

static void upgrade_forget_child(struct upgrade *upgrade)
{
    ev_timer_stop(upgrade->daemon->loop, &upgrade->timer);
    free(upgrade->answer);
    free(upgrade->last_line);
    upgrade->answer = upgrade->last_line = NULL;
    upgrade->child = NULL;
    upgrade->is_late = false;
}

// Takes the cause.
static void upgrade_fail(struct upgrade *upgrade, char *cause)
{
    log_err("upgrade: keepframe %s stays at work: %s", KEEPFRAME_VERSION, cause);
    upgrade_forget_child(upgrade);
    free(upgrade->error);
    upgrade->error = cause;
    upgrade->time_us = time_now_us();
    upgrade->failed++;
    upgrade->state = UPGRADE_NONE;
}

// --- The wait for quiet

// What is answered by this program alone. Everything else goes along.
static bool upgrade_is_quiet(const struct daemon *daemon)
{
    return probes_are_idle(daemon->probes) && reloader_is_idle(daemon->reloader) &&
           ctl_server_is_idle(daemon->control);
}

static void upgrade_look(struct upgrade *upgrade)
{
    bool is_quiet = upgrade_is_quiet(upgrade->daemon);
    if (!is_quiet && time_monotonic_us() < upgrade->quiet_by_us)
        return;
    if (!is_quiet)
        log_warn("upgrade: somebody still waits for an answer, and gets none");
    ev_timer_stop(upgrade->daemon->loop, &upgrade->timer);
    upgrade->state = UPGRADE_DUE;
    ev_break(upgrade->daemon->loop, EVBREAK_ALL);
}

static void upgrade_wait(struct upgrade *upgrade)
{
    upgrade_forget_child(upgrade);
    upgrade->state = UPGRADE_WAITING;
    upgrade->quiet_by_us = time_monotonic_us() + UPGRADE_QUIET_US;
    ev_timer_set(&upgrade->timer, 0., UPGRADE_LOOK_S);
    ev_timer_start(upgrade->daemon->loop, &upgrade->timer);
}

// --- The check

static void upgrade_answer_cb(void *arg, const char *line)
{
    struct upgrade *upgrade = arg;
    free(upgrade->answer);
    upgrade->answer = xstrdup(line);
}

static void upgrade_line_cb(void *arg, const char *line)
{
    struct upgrade *upgrade = arg;
    log_debug("upgrade: the new program says: %s", line);
    free(upgrade->last_line);
    upgrade->last_line = xstrdup(line);
}

// Why the new program can not be used; NULL: it can. The caller owns the text.
static char *upgrade_refusal(const struct upgrade *upgrade, int status)
{
    const char *answer = upgrade->answer ? upgrade->answer : "";
    const char *words = upgrade->last_line;
    bool has_succeeded = WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS;
    if (upgrade->is_late)
        return xasprintf("%s did not say within %.0f s whether it can take over", upgrade->program,
            (double)upgrade->check_us / US_PER_SECOND);
    if (strncmp(answer, "no ", 3) == 0)
        return xasprintf("%s can not take over: %s", upgrade->program, answer + 3);
    if (strncmp(answer, "yes ", 4) == 0 && has_succeeded)
        return NULL;
    return xasprintf("%s does not say that it can take over: it %s %d%s%s", upgrade->program,
        WIFSIGNALED(status) ? "was ended by signal" : "ended with",
        WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), words ? ": " : "",
        words ? words : "");
}

static void upgrade_end_cb(void *arg, int status)
{
    struct upgrade *upgrade = arg;
    char *refusal = upgrade_refusal(upgrade, status);
    if (refusal == NULL && upgrade->daemon->is_stopping)
        refusal = xstrdup("it is being stopped");
    if (refusal != NULL) {
        upgrade_fail(upgrade, refusal);
        return;
    }
    log_info("upgrade: keepframe %s is able to take over", upgrade->answer + strlen("yes "));
    upgrade_wait(upgrade);
}

static void upgrade_timer_cb(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct upgrade *upgrade = timer->data;
    (void)loop;
    (void)events;
    if (upgrade->state == UPGRADE_WAITING) {
        upgrade_look(upgrade);
        return;
    }
    upgrade->is_late = true;
    child_signal(upgrade->child, SIGKILL);
}

// Has the new program look at the state as it is now.
static struct child *upgrade_start_check(struct upgrade *upgrade, char **cause)
{
    struct handover_writer writer = {0};
    int fd = daemon_hand_over(upgrade->daemon, &writer, cause);
    handover_writer_fini(&writer);
    if (fd < 0)
        return NULL;
    size_t count = 0;
    while (upgrade->argv[count] != NULL)
        count++;
    char **argv = xcalloc(count + 2, sizeof(*argv));
    argv[0] = upgrade->program;
    argv[1] = (char *)UPGRADE_CHECK_ARGUMENT;
    for (size_t i = 1; i < count; i++)
        argv[i + 1] = upgrade->argv[i];
    const struct child_spec spec = {
        .argv = argv,
        .death_signal = SIGKILL,
        .input_fd = fd,
        .progress = upgrade_answer_cb,
        .error = upgrade_line_cb,
        .end = upgrade_end_cb,
        .arg = upgrade,
    };
    struct child *child = child_start(upgrade->daemon->loop, &spec, cause);
    free(argv);
    close(fd);
    return child;
}

void upgrade_begin(struct upgrade *upgrade)
{
    char *cause = NULL;
    if (upgrade->state != UPGRADE_NONE || upgrade->daemon->is_stopping) {
        log_warn("upgrade: %s", upgrade->daemon->is_stopping ? "keepframe is being stopped"
                                                             : "one is under way already");
        return;
    }
    log_info("upgrade: %s is asked whether it can take over", upgrade->program);
    upgrade->state = UPGRADE_CHECKING;
    if (stat(upgrade->program, &upgrade->file) < 0) {
        upgrade_fail(upgrade, xasprintf("%s: %s", upgrade->program, strerror(errno)));
        return;
    }
    upgrade->child = upgrade_start_check(upgrade, &cause);
    if (upgrade->child == NULL) {
        upgrade_fail(upgrade, cause);
        return;
    }
    ev_timer_set(&upgrade->timer, (double)upgrade->check_us / US_PER_SECOND, 0.);
    ev_timer_start(upgrade->daemon->loop, &upgrade->timer);
}

// --- The exec

static bool upgrade_has_changed(const struct upgrade *upgrade)
{
    struct stat now;
    const struct stat *then = &upgrade->file;
    return stat(upgrade->program, &now) < 0 || now.st_dev != then->st_dev ||
           now.st_ino != then->st_ino || now.st_size != then->st_size ||
           now.st_mtim.tv_sec != then->st_mtim.tv_sec ||
           now.st_mtim.tv_nsec != then->st_mtim.tv_nsec;
}

// Returns why it could not be done.
static char *upgrade_exec(struct upgrade *upgrade)
{
    struct handover_writer writer = {0};
    char *cause = NULL, variable[16], *name = upgrade->argv[0];
    int fd = daemon_hand_over(upgrade->daemon, &writer, &cause);
    if (fd >= 0) {
        snprintf(variable, sizeof(variable), "%d", fd);
        setenv(UPGRADE_VARIABLE, variable, true);
        fcntl(fd, F_SETFD, 0);
        handover_keep_fds(&writer, true);
        upgrade->argv[0] = upgrade->program;
        execv(upgrade->program, upgrade->argv);
        cause = xasprintf("%s can not be executed: %s", upgrade->program, strerror(errno));
        upgrade->argv[0] = name;
        handover_keep_fds(&writer, false);
        unsetenv(UPGRADE_VARIABLE);
        close(fd);
    }
    handover_writer_fini(&writer);
    return cause;
}

bool upgrade_is_due(const struct upgrade *upgrade)
{
    return upgrade->state == UPGRADE_DUE;
}

void upgrade_execute(struct upgrade *upgrade)
{
    struct daemon *daemon = upgrade->daemon;
    sigset_t all, before;
    char *cause;
    probes_end(daemon->probes, "keepframe is being upgraded; try again in a moment");
    // From here on signals wait for the new program. Those that have come are dealt with here.
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &before);
    ev_run(daemon->loop, EVRUN_NOWAIT);
    if (daemon->is_stopping)
        cause = xstrdup("it is being stopped");
    else if (upgrade_has_changed(upgrade))
        cause = xasprintf("%s has changed again; ask anew", upgrade->program);
    else
        cause = upgrade_exec(upgrade);
    sigprocmask(SIG_SETMASK, &before, NULL);
    upgrade_fail(upgrade, cause);
}

int upgrade_inherited(void)
{
    const char *text = getenv(UPGRADE_VARIABLE);
    char *end;
    long fd = text ? strtol(text, &end, 10) : -1;
    bool is_number = text != NULL && *text != '\0' && *end == '\0';
    unsetenv(UPGRADE_VARIABLE);
    return is_number && fd > STDERR_FILENO && fcntl((int)fd, F_GETFD) >= 0 ? (int)fd : -1;
}

// --- The rest

void upgrade_set_patience(struct upgrade *upgrade, int64_t check_us)
{
    upgrade->check_us = check_us;
}

struct upgrade *upgrade_new(struct daemon *daemon, char **argv)
{
    struct upgrade *upgrade = xcalloc(1, sizeof(*upgrade));
    upgrade->daemon = daemon;
    upgrade->argv = argv;
    upgrade->check_us = UPGRADE_CHECK_US;
    upgrade->program = argv ? upgrade_own_program(argv[0]) : NULL;
    ev_timer_init(&upgrade->timer, upgrade_timer_cb, 0., 0.);
    upgrade->timer.data = upgrade;
    return upgrade;
}

void upgrade_free(struct upgrade *upgrade)
{
    if (upgrade == NULL)
        return;
    upgrade_forget_child(upgrade);
    free(upgrade->error);
    free(upgrade->program);
    free(upgrade);
}

json_t *upgrade_status(const struct upgrade *upgrade)
{
    char time[TIME_TEXT_SIZE];
    if (upgrade->time_us != 0)
        time_format_utc(upgrade->time_us, time);
    return json_pack("{s:I, s:I, s:s?, s:s?}", "count", (json_int_t)upgrade->count, "failed",
        (json_int_t)upgrade->failed, "time", upgrade->time_us ? time : NULL, "error",
        upgrade->error);
}

json_t *upgrade_hand_over(const struct upgrade *upgrade)
{
    return handover_write(&upgrade_table, upgrade);
}

void upgrade_take_over(struct handover_reader *reader, json_t *object, struct upgrade *upgrade)
{
    handover_read(reader, object, &upgrade_table, upgrade);
    upgrade->count++;
    upgrade->time_us = time_now_us();
}
