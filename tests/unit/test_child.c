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
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/core/alloc.h"
#include "lib/core/buf.h"
#include "supervisor/child.h"

struct result {
    struct buf progress; // lines, each ended by '|'
    struct buf error;
    int ends;
    int status;
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

static void test_pipes_that_never_end_are_given_up(void **state)
{
    char *argv[4];
    struct result result;
    struct child_spec spec = shell(argv, "sleep 20 & echo $! >&4; exit 0", &result);
    start(&spec);
    ev_run(EV_DEFAULT, 0);
    assert_int_equal(result.ends, 1);
    pid_t left = (pid_t)strtol(buf_string(&result.progress), NULL, 10);
    assert_int_equal(kill(left, SIGKILL), 0);
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
        shell(argv, "head -c 100000 /dev/zero | tr '\\0' x >&2; echo >&2; echo next >&2", &result);
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
    char *missing[] = {"/nonexistent", NULL};
    assert_null(child_capture(missing, 100, &cause));
    assert_string_equal(cause, "/nonexistent can not be started: No such file or directory");
    free(cause);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pipes),
        cmocka_unit_test(test_over_only_when_the_pipes_have_ended),
        cmocka_unit_test(test_pipes_that_never_end_are_given_up),
        cmocka_unit_test(test_signals),
        cmocka_unit_test(test_nothing_else_is_inherited),
        cmocka_unit_test(test_overlong_lines_are_cut),
        cmocka_unit_test(test_what_can_not_be_executed),
        cmocka_unit_test(test_input_that_is_too_large),
        cmocka_unit_test(test_capture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
