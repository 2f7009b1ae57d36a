// links: kf-supervisor
// Children: what they are given, what they say, when they are over.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/core/alloc.h"
#include "lib/core/buf.h"
#include "lib/core/timeutil.h"
#include "supervisor/child.h"
#include "supervisor/limits.h"

enum {
    DEATHS = 90,
};

struct result {
    struct buf progress; // lines, each ended by '|'
    struct buf error;
    int ends;
    int status;
    struct child *child;
    int64_t cpu_us;
};

static void progress_cb(void *arg, const char *line)
{
    buf_printf(&((struct result *)arg)->progress, "%s|", line);
}

static void error_cb(void *arg, const char *line)
{
    buf_printf(&((struct result *)arg)->error, "%s|", line);
}

static void end_cb(void *arg, int status)
{
    struct result *result = arg;
    result->ends++;
    result->status = status;
    if (result->child != NULL)
        result->cpu_us = child_cpu_us(result->child);
    ev_break(EV_DEFAULT, EVBREAK_ALL);
}

static struct child_spec shell(char **argv, const char *script, struct result *result)
{
    argv[0] = "/bin/sh";
    argv[1] = "-c";
    argv[2] = (char *)script;
    argv[3] = NULL;
    *result = (struct result){0};
    return (struct child_spec){
        .argv = argv,
        .death_signal = SIGKILL,
        .progress = progress_cb,
        .error = error_cb,
        .end = end_cb,
        .arg = result,
    };
}

static struct child *start(const struct child_spec *spec)
{
    char *cause = NULL;
    struct child *child = child_start(EV_DEFAULT, spec, &cause);
    if (child == NULL)
        fail_msg("%s", cause);
    return child;
}

static void expect_result(struct result *result, const char *progress, const char *error)
{
    assert_int_equal(result->ends, 1);
    assert_string_equal(buf_string(&result->progress), progress);
    assert_string_equal(buf_string(&result->error), error);
    buf_fini(&result->progress);
    buf_fini(&result->error);
}

static void test_pipes(void **state)
{
    char *argv[4];
    struct result result;
    struct child_spec spec = shell(argv,
        "cat <&3; printf 'a=1\\nb=2\\r\\n\\nlast' >&4; echo out; printf 'x\\0y\\n' >&2; exit 7",
        &result);
    spec.input = "the script\nof two lines";
    start(&spec);
    ev_run(EV_DEFAULT, 0);
    assert_true(WIFEXITED(result.status) && WEXITSTATUS(result.status) == 7);
    expect_result(&result, "a=1|b=2|last|", "the script|of two linesout|xy|");
    (void)state;
}

static void test_over_only_when_the_pipes_have_ended(void **state)
{
    char *argv[4];
    struct result result;
    // The shell ends at once; what it leaves behind writes when its own pipe has ended with it.
    struct child_spec spec =
        shell(argv, "exec 5<&3; (cat <&3 >/dev/null; echo late >&2) & exit 0", &result);
    spec.input = "x";
    start(&spec);
    ev_run(EV_DEFAULT, 0);
    expect_result(&result, "", "late|");
    (void)state;
}

// Until it is dead; whether somebody has waited for it is not our business.
static void expect_gone(pid_t pid)
{
    char *path = xasprintf("/proc/%d/stat", (int)pid), state = 0;
    assert_true(pid > 0);
    for (;;) {
        FILE *file = fopen(path, "re");
        if (file == NULL)
            break;
        int found = fscanf(file, "%*d (%*[^)]) %c", &state);
        fclose(file);
        if (found == 1 && (state == 'Z' || state == 'X'))
            break;
    }
    free(path);
}

static void test_pipes_that_never_end_are_given_up(void **state)
{
    char *argv[4];
    struct result result;
    struct child_spec spec = shell(argv, "sleep 20 & echo $! >&4; exit 0", &result);
    start(&spec);
    ev_run(EV_DEFAULT, 0);
    assert_int_equal(result.ends, 1);
    expect_gone((pid_t)strtol(buf_string(&result.progress), NULL, 10));
    buf_fini(&result.progress);
    buf_fini(&result.error);
    (void)state;
}

static void test_signals(void **state)
{
    char *argv[4];
    struct result result;
    sigset_t blocked, before;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    sigprocmask(SIG_BLOCK, &blocked, &before);
    signal(SIGTERM, SIG_IGN);
    struct child_spec spec = shell(argv, "", &result);
    char *sleeping[] = {"sleep", "60", NULL}; // a shell would clear its mask itself
    spec.argv = sleeping;
    struct child *child = start(&spec);
    sigprocmask(SIG_SETMASK, &before, NULL);
    signal(SIGTERM, SIG_DFL);
    // Neither our mask nor our handlers reach it.
    child_signal(child, SIGTERM);
    ev_run(EV_DEFAULT, 0);
    assert_true(WIFSIGNALED(result.status) && WTERMSIG(result.status) == SIGTERM);
    buf_fini(&result.progress);
    buf_fini(&result.error);
    (void)state;
}

static void timer_cb(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)timer;
    (void)events;
    ev_break(loop, EVBREAK_ALL);
}

static void test_pipes_closed_is_not_over(void **state)
{
    char *argv[4];
    struct result result;
    struct child_spec spec = shell(argv, "exec 2>&- 4>&- >&-; exec sleep 60", &result);
    struct child *child = start(&spec);
    ev_timer timer;
    ev_timer_init(&timer, timer_cb, 0.5, 0.);
    ev_timer_start(EV_DEFAULT, &timer);
    ev_run(EV_DEFAULT, 0);
    assert_int_equal(result.ends, 0);
    child_signal(child, SIGKILL);
    ev_run(EV_DEFAULT, 0);
    expect_result(&result, "", "");
    assert_true(WIFSIGNALED(result.status) && WTERMSIG(result.status) == SIGKILL);
    (void)state;
}

static void test_signals_reach_what_a_wrapper_script_has_started(void **state)
{
    char *argv[4];
    struct result result;
    struct child_spec spec = shell(argv,
        "(trap 'echo bye >&4; exit' TERM; echo ready >&4; while :; do sleep 0.05; done) & wait",
        &result);
    struct child *child = start(&spec);
    while (result.progress.size == 0)
        ev_run(EV_DEFAULT, EVRUN_ONCE);
    child_signal(child, SIGTERM);
    ev_run(EV_DEFAULT, 0);
    assert_true(WIFSIGNALED(result.status) && WTERMSIG(result.status) == SIGTERM);
    assert_string_equal(buf_string(&result.progress), "ready|bye|");
    buf_fini(&result.progress);
    buf_fini(&result.error); // the shell may tell of its sleep's end there
    (void)state;
}

static void test_hangup_is_ignored_if_wanted(void **state)
{
    char *argv[4];
    struct result result;
    struct child_spec spec = shell(argv,
        "while read -r key value; do case $key in SigBlk:|SigIgn:) echo $key$value;; "
        "esac; done </proc/self/status >&4",
        &result);
    spec.ignores_hangup = true;
    start(&spec);
    ev_run(EV_DEFAULT, 0);
    expect_result(&result, "SigBlk:0000000000000000|SigIgn:0000000000000001|", "");
    (void)state;
}

static void test_limits_and_scores(void **state)
{
    char *argv[4];
    struct result result;
    struct rlimit before, raised;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    before.rlim_cur = 300;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    limits_raise();
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &raised), 0);
    assert_int_equal(raised.rlim_cur, before.rlim_max);
    struct child_spec spec =
        shell(argv, "ulimit -Sn >&4; cat /proc/self/oom_score_adj >&4", &result);
    spec.oom_score = 300;
    start(&spec);
    ev_run(EV_DEFAULT, 0);
    long ours = -1;
    FILE *file = fopen("/proc/self/oom_score_adj", "re");
    assert_int_equal(fscanf(file, "%ld", &ours), 1);
    fclose(file);
    char *expected = xasprintf("300|%ld|", ours > 700 ? 1000 : ours + 300);
    expect_result(&result, expected, "");
    free(expected);
    (void)state;
}

static void test_pipe_sizes(void **state)
{
    char *argv[4];
    struct result result;
    // F_GETPIPE_SZ is 1032.
    struct child_spec spec = shell(argv,
        "exec /usr/bin/python3 -c 'import fcntl; "
        "print(*(fcntl.fcntl(fd, 1032) for fd in (2, 3, 4)), file=open(4, \"w\"))'",
        &result);
    spec.input = "x";
    start(&spec);
    ev_run(EV_DEFAULT, 0);
    expect_result(&result, "16384 16384 16384|", "");
    (void)state;
}

static void test_it_dies_with_us(void **state)
{
    int pipe_fds[2], status;
    pid_t left = 0;
    assert_int_equal(pipe(pipe_fds), 0);
    pid_t parent = fork();
    if (parent == 0) {
        char *argv[4];
        struct result result;
        struct child_spec spec = shell(argv, "exec sleep 60", &result);
        pid_t pid = child_pid(child_start(EV_DEFAULT, &spec, &(char *){NULL}));
        if (write(pipe_fds[1], &pid, sizeof(pid)) == sizeof(pid))
            kill(getpid(), SIGKILL);
        _exit(1);
    }
    assert_int_equal(read(pipe_fds[0], &left, sizeof(left)), sizeof(left));
    assert_int_equal(waitpid(parent, &status, 0), parent);
    assert_true(WIFSIGNALED(status));
    expect_gone(left);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    (void)state;
}

static void test_a_flood_is_left_out(void **state)
{
    char *argv[4];
    struct result result;
    // 1 MB: read, lest the child hang, but not line by line.
    struct child_spec spec = shell(argv,
        "exec >&2; echo first; yes 'a line of a flood' | head -c 1000000; echo; echo why; exit 3",
        &result);
    start(&spec);
    ev_run(EV_DEFAULT, 0);
    assert_true(WIFEXITED(result.status) && WEXITSTATUS(result.status) == 3);
    const char *text = buf_string(&result.error);
    assert_memory_equal(text, "first|a line of a flood|", 24);
    assert_non_null(strstr(text, " bytes of a flood left out)|"));
    // What some seconds may hold at the most.
    assert_true(result.error.size < 500000);
    // All bytes are there or counted.
    unsigned long long counted = 0;
    for (const char *at = text; *at != '\0'; at = strchr(at, '|') + 1) {
        unsigned long long left_out = 0;
        if (sscanf(at, "(%llu bytes", &left_out) == 1)
            counted += left_out;
        else
            counted += (unsigned long long)(strchr(at, '|') + 1 - at);
    }
    assert_in_range(counted, 1000011 - 200, 1000011 + 200);
    assert_string_equal(text + result.error.size - 5, "|why|");
    buf_fini(&result.progress);
    buf_fini(&result.error);
    (void)state;
}

static void test_processor_time(void **state)
{
    char *argv[4];
    struct result result, idle;
    struct child_spec spec =
        shell(argv, "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; times >&4", &result);
    int64_t start_us = time_monotonic_us();
    result.child = start(&spec);
    assert_int_equal(child_cpu_us(result.child), 0);
    ev_run(EV_DEFAULT, 0);
    assert_in_range(result.cpu_us, 10000, time_monotonic_us() - start_us);
    spec = shell(argv, "exit 0", &idle);
    idle.child = start(&spec);
    ev_run(EV_DEFAULT, 0);
    assert_true(idle.cpu_us < result.cpu_us);
    buf_fini(&result.progress);
    buf_fini(&result.error);
    (void)state;
}

static void test_nothing_else_is_inherited(void **state)
{
    char *argv[4], *environment[] = {"ONLY=this", "PATH=/usr/bin:/bin", NULL};
    struct result result;
    int fd = open("/dev/null", O_RDONLY); // without O_CLOEXEC
    int high = fcntl(fd, F_DUPFD, 200);
    char *script = xasprintf("for f in 0 1 2 3 4 %d %d; do [ -e /proc/$$/fd/$f ] && echo $f; done "
                             ">&4; echo $ONLY$HOME >&2",
        fd > 4 ? fd : high, high);
    struct child_spec spec = shell(argv, script, &result);
    spec.environment = environment;
    spec.input = "";
    start(&spec);
    ev_run(EV_DEFAULT, 0);
    expect_result(&result, "0|1|2|3|4|", "this|");
    close(fd);
    close(high);
    free(script);
    (void)state;
}

static void test_overlong_lines_are_cut(void **state)
{
    char *argv[4];
    struct result result;
    struct child_spec spec =
        shell(argv, "head -c 20000 /dev/zero | tr '\\0' x >&2; echo >&2; echo next >&2", &result);
    start(&spec);
    ev_run(EV_DEFAULT, 0);
    assert_int_equal(result.error.size, 8192 - 512 + strlen("|next|"));
    assert_memory_equal(result.error.data + result.error.size - 6, "|next|", 6);
    buf_fini(&result.progress);
    buf_fini(&result.error);
    (void)state;
}

static void test_what_can_not_be_executed(void **state)
{
    char *argv[4], *cause = NULL;
    struct result result;
    struct child_spec spec = shell(argv, "", &result);
    argv[0] = "/nonexistent/ffmpeg";
    assert_null(child_start(EV_DEFAULT, &spec, &cause));
    assert_string_equal(cause, "/nonexistent/ffmpeg can not be started: No such file or directory");
    free(cause);
    argv[0] = "/etc/passwd";
    assert_null(child_start(EV_DEFAULT, &spec, &cause));
    assert_string_equal(cause, "/etc/passwd can not be started: Permission denied");
    free(cause);
    char text[] = "/tmp/keepframe-test-XXXXXX";
    int fd = mkstemp(text);
    assert_true(fd >= 0 && write(fd, "exit 0\n", 7) == 7 && fchmod(fd, 0755) == 0);
    close(fd);
    argv[0] = text;
    assert_null(child_start(EV_DEFAULT, &spec, &cause));
    assert_non_null(strstr(cause, "can not be started: Exec format error"));
    unlink(text);
    free(cause);
    assert_int_equal(result.ends, 0);
    (void)state;
}

static void test_input_that_is_too_large(void **state)
{
    char *argv[4], *cause = NULL;
    struct result result;
    struct child_spec spec = shell(argv, "", &result);
    char *input = xmalloc(2000001);
    memset(input, 'x', 2000000);
    input[2000000] = '\0';
    spec.input = input;
    assert_null(child_start(EV_DEFAULT, &spec, &cause));
    assert_string_equal(cause, "/bin/sh can not be started: Message too long");
    free(cause);
    free(input);
    (void)state;
}

static void test_a_limit_is_named(void **state)
{
    char *argv[4], *cause = NULL;
    struct result result;
    const struct child_spec spec = shell(argv, "", &result);
    struct rlimit before, none;
    getrlimit(RLIMIT_NOFILE, &before);
    none = before;
    none.rlim_cur = 3;
    setrlimit(RLIMIT_NOFILE, &none);
    assert_null(child_start(EV_DEFAULT, &spec, &cause));
    setrlimit(RLIMIT_NOFILE, &before);
    assert_string_equal(cause,
        "/bin/sh can not be started: no more open files are allowed (LimitNOFILE=, ulimit -n)");
    free(cause);
    (void)state;
}

static void test_capture(void **state)
{
    char *cause = NULL;
    char *argv[] = {"/bin/sh", "-c", "echo one; echo two >&2", NULL};
    char *output = child_capture(argv, 10000, &cause);
    assert_string_equal(output, "one\ntwo\n");
    free(output);
    char *slow[] = {"sleep", "20", NULL};
    assert_null(child_capture(slow, 100, &cause));
    assert_string_equal(cause, "sleep does not end within 0 seconds");
    free(cause);
    char *silent[] = {"/bin/sh", "-c", "exec >&- 2>&-; exec sleep 20", NULL};
    assert_null(child_capture(silent, 1000, &cause));
    assert_string_equal(cause, "/bin/sh does not end within 1 seconds");
    free(cause);
    char *missing[] = {"/nonexistent", NULL};
    assert_null(child_capture(missing, 100, &cause));
    assert_string_equal(cause, "/nonexistent can not be started: No such file or directory");
    free(cause);
    (void)state;
}

struct ends {
    unsigned count;
    unsigned turns[DEATHS];
};

static void note_end(void *arg, int status)
{
    struct ends *ends = arg;
    assert_true(WIFEXITED(status));
    ends->turns[ends->count++] = ev_iteration(EV_DEFAULT);
}

static void test_many_deaths_share_the_loop_with_others(void **state)
{
    char *argv[] = {"/bin/true", NULL}, *cause = NULL;
    struct ends ends = {0};
    const struct child_spec spec = {.argv = argv, .end = note_end, .arg = &ends};
    for (int i = 0; i < DEATHS; i++) {
        siginfo_t info;
        const struct child *child = child_start(EV_DEFAULT, &spec, &cause);
        assert_non_null(child);
        waitid(P_PID, (id_t)child_pid(child), &info, WEXITED | WNOWAIT);
    }
    ev_run(EV_DEFAULT, 0);
    assert_int_equal(ends.count, DEATHS);
    for (int i = 20; i < DEATHS; i++) // at most twenty in a turn, and one turn after the other
        assert_in_range(ends.turns[i] - ends.turns[i - 20], 1, 2);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pipes),
        cmocka_unit_test(test_many_deaths_share_the_loop_with_others),
        cmocka_unit_test(test_over_only_when_the_pipes_have_ended),
        cmocka_unit_test(test_pipes_that_never_end_are_given_up),
        cmocka_unit_test(test_pipes_closed_is_not_over),
        cmocka_unit_test(test_signals),
        cmocka_unit_test(test_signals_reach_what_a_wrapper_script_has_started),
        cmocka_unit_test(test_hangup_is_ignored_if_wanted),
        cmocka_unit_test(test_it_dies_with_us),
        cmocka_unit_test(test_pipe_sizes),
        cmocka_unit_test(test_a_flood_is_left_out),
        cmocka_unit_test(test_processor_time),
        cmocka_unit_test(test_nothing_else_is_inherited),
        cmocka_unit_test(test_overlong_lines_are_cut),
        cmocka_unit_test(test_what_can_not_be_executed),
        cmocka_unit_test(test_input_that_is_too_large),
        cmocka_unit_test(test_a_limit_is_named),
        cmocka_unit_test(test_capture),
        cmocka_unit_test(test_limits_and_scores),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
