// The control protocol: a server in a child process, ctl_call() and raw sockets against it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/core/alloc.h"
#include "lib/core/ctl.h"
#include "lib/core/ctl_socket.h"
#include "lib/core/fsutil.h"

struct fixture {
    char *directory;
    char *path;
    pid_t server;
};

static struct ctl_request *held_request;
static int command_timeout_ms = CTL_COMMAND_TIMEOUT_MS;

// "echo" answers with the request, "hold" later, with the next "release"; "large" with `size`
// bytes.
static void serve_request(struct ctl_request *request, void *arg)
{
    const char *command = ctl_request_command(request);
    const json_t *json = ctl_request_json(request);
    (void)arg;
    if (strcmp(command, "echo") == 0) {
        ctl_reply(request, json_pack("{s:o, s:b}", "request", json_deep_copy(json), "privileged",
                               ctl_request_privileged(request)));
    } else if (strcmp(command, "hold") == 0) {
        held_request = request;
    } else if (strcmp(command, "release") == 0) {
        ctl_reply(held_request, json_string("held"));
        ctl_reply(request, json_string("released"));
    } else if (strcmp(command, "large") == 0) {
        size_t size = (size_t)json_integer_value(json_object_get(json, "size"));
        char *text = xmalloc(size + 1);
        memset(text, 'x', size);
        text[size] = '\0';
        ctl_reply(request, json_string(text));
        free(text);
    } else {
        ctl_fail(request, "unknown", "command", "there is no command %s", command);
    }
}

static void serve(const char *path, int ready)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    char *cause = NULL;
    struct ctl_server *server = ctl_server_open(path, serve_request, NULL, &cause);
    if (server != NULL)
        ctl_server_set_command_timeout(server, command_timeout_ms);
    if (server == NULL || write(ready, "1", 1) != 1)
        _exit(1);
    for (;;) {
        struct pollfd poll_fd = {.fd = ctl_server_fd(server), .events = POLLIN};
        if (poll(&poll_fd, 1, -1) == 1)
            ctl_server_dispatch(server);
    }
}

static void start_server(struct fixture *fixture)
{
    int ready[2];
    char byte;
    assert_int_equal(pipe(ready), 0);
    fixture->server = fork();
    if (fixture->server == 0)
        serve(fixture->path, ready[1]);
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
}

static void kill_server(struct fixture *fixture)
{
    kill(fixture->server, SIGKILL);
    assert_int_equal(waitpid(fixture->server, NULL, 0), fixture->server);
}

static int set_up(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));
    fixture->directory = xstrdup("/tmp/test_ctl.XXXXXX");
    assert_non_null(mkdtemp(fixture->directory));
    fixture->path = xasprintf("%s/control.sock", fixture->directory);
    start_server(fixture);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    kill_server(fixture);
    unlink(fixture->path);
    assert_int_equal(rmdir(fixture->directory), 0);
    free(fixture->path);
    free(fixture->directory);
    free(fixture);
    return 0;
}

static void expect_result(const char *path, const char *request, const char *expected)
{
    char *cause = NULL;
    json_t *json = json_loads(request, 0, NULL),
           *wanted = json_loads(expected, JSON_DECODE_ANY, NULL);
    json_t *result = ctl_call(path, json, 5000, &cause);
    if (result == NULL)
        fail_msg("%s", cause);
    assert_true(json_equal(result, wanted));
    json_decref(result);
    json_decref(wanted);
    json_decref(json);
}

static void expect_call_fails(
    const char *path, const char *request, int timeout_ms, const char *expected)
{
    char *cause = NULL;
    json_t *json = json_loads(request, 0, NULL);
    assert_null(ctl_call(path, json, timeout_ms, &cause));
    assert_non_null(strstr(cause, expected));
    free(cause);
    json_decref(json);
}

static int connect_raw(const struct fixture *fixture)
{
    int fd = ctl_socket_connect(fixture->path, 5000);
    assert_true(fd >= 0);
    return fd;
}

static void send_raw(int fd, const char *text, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(fd, text, size, MSG_NOSIGNAL);
        if (sent < 0)
            return; // the server has seen enough
        text += sent;
        size -= (size_t)sent;
    }
}

// Reads to the end of the stream and closes it.
static void expect_raw(int fd, const char *expected)
{
    char text[4096];
    size_t size = 0;
    ssize_t got;
    while ((got = recv(fd, text + size, sizeof(text) - 1 - size, 0)) > 0)
        size += (size_t)got;
    text[size] = '\0';
    close(fd);
    assert_string_equal(text, expected);
}

static void test_round_trip(void **state)
{
    struct fixture *fixture = *state;
    expect_result(fixture->path, "{\"command\":\"echo\",\"x\":[1,\"ä\"]}",
        "{\"request\":{\"command\":\"echo\",\"x\":[1,\"ä\"]},\"privileged\":true}");
    expect_call_fails(
        fixture->path, "{\"command\":\"nonsense\"}", 5000, "there is no command nonsense");
    struct stat info;
    assert_int_equal(stat(fixture->path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0660);
}

static void test_errors_have_code_and_field(void **state)
{
    static const char *const table[][2] = {
        {"{\"command\":\"nonsense\"}\n",
            "{\"ok\":false,\"error\":{\"code\":\"unknown\",\"message\":\"there is no command "
            "nonsense\",\"field\":\"command\"}}\n"},
        {"{}\n", "{\"ok\":false,\"error\":{\"code\":\"bad_request\",\"message\":\"the command is "
                 "missing\",\"field\":\"command\"}}\n"},
        {"no json\n",
            "{\"ok\":false,\"error\":{\"code\":\"bad_request\",\"message\":\"one line with "
            "a JSON object is expected\",\"field\":null}}\n"},
        {"\n", "{\"ok\":false,\"error\":{\"code\":\"bad_request\",\"message\":\"one line with a "
               "JSON object is expected\",\"field\":null}}\n"},
        {"{\"command\":\"echo\",\"command\":\"x\"}\n",
            "{\"ok\":false,\"error\":{\"code\":\"bad_request\",\"message\":\"one line with a JSON "
            "object is expected\",\"field\":null}}\n"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        int fd = connect_raw(*state);
        send_raw(fd, table[i][0], strlen(table[i][0]));
        expect_raw(fd, table[i][1]);
    }
}

static void test_request_in_pieces_by_a_half_closed_peer(void **state)
{
    int fd = connect_raw(*state);
    send_raw(fd, "{\"command\":", 11);
    expect_result(((struct fixture *)*state)->path, "{\"command\":\"large\",\"size\":1}", "\"x\"");
    send_raw(fd, "\"large\",\"size\":2}\n", 18);
    shutdown(fd, SHUT_WR);
    expect_raw(fd, "{\"ok\":true,\"result\":\"xx\"}\n");
}

static void test_late_answer(void **state)
{
    struct fixture *fixture = *state;
    int fd = connect_raw(fixture);
    send_raw(fd, "{\"command\":\"hold\"}\n", 19);
    // The server reads the sockets in no promised order: ask until it has the held request.
    expect_result(fixture->path, "{\"command\":\"large\",\"size\":1}", "\"x\"");
    expect_result(fixture->path, "{\"command\":\"release\"}", "\"released\"");
    expect_raw(fd, "{\"ok\":true,\"result\":\"held\"}\n");
}

static void test_answer_to_a_peer_that_has_gone(void **state)
{
    struct fixture *fixture = *state;
    int fd = connect_raw(fixture);
    send_raw(fd, "{\"command\":\"hold\"}\n", 19);
    expect_result(fixture->path, "{\"command\":\"large\",\"size\":1}", "\"x\"");
    close(fd);
    expect_result(fixture->path, "{\"command\":\"release\"}", "\"released\"");
}

static int set_up_impatient(void **state)
{
    command_timeout_ms = 200;
    int result = set_up(state);
    command_timeout_ms = CTL_COMMAND_TIMEOUT_MS;
    return result;
}

static void test_a_command_that_does_not_end_is_given_up(void **state)
{
    struct fixture *fixture = *state;
    int fd = connect_raw(fixture);
    send_raw(fd, "{\"command\":\"hold\"}\n", 19);
    expect_raw(fd,
        "{\"ok\":false,\"error\":{\"code\":\"timeout\",\"message\":\"the command has not "
        "ended in time\",\"field\":null}}\n");
    // Its owner may answer all the same, later.
    expect_result(fixture->path, "{\"command\":\"release\"}", "\"released\"");
    expect_result(fixture->path, "{\"command\":\"large\",\"size\":1}", "\"x\"");
}

static void test_other_users_are_told_apart(void **state)
{
    struct fixture *fixture = *state;
    if (geteuid() != 0)
        skip(); // it takes root to be somebody else
    assert_int_equal(chmod(fixture->directory, 0755), 0);
    assert_int_equal(chmod(fixture->path, 0666), 0);
    pid_t pid = fork();
    if (pid == 0) {
        char *cause;
        json_t *request = json_pack("{s:s}", "command", "echo");
        if (setuid(65534) < 0)
            _exit(1);
        json_t *result = ctl_call(fixture->path, request, 5000, &cause);
        _exit(json_is_false(json_object_get(result, "privileged")) ? 7 : 2);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
}

static void test_request_limit(void **state)
{
    struct fixture *fixture = *state;
    // 21 bytes stand around the text; the limit is for all of the line.
    char *text = xmalloc(CTL_REQUEST_SIZE_MAX + 64);
    for (int excess = 0; excess <= 1; excess++) {
        size_t size = CTL_REQUEST_SIZE_MAX + (size_t)excess;
        int head = snprintf(text, 64, "{\"command\":\"none\",\"x\":\"");
        memset(text + head, 'y', size - (size_t)head - 2);
        snprintf(text + size - 2, 8, "\"}\n");
        int fd = connect_raw(fixture);
        send_raw(fd, text, size + 1);
        expect_raw(fd,
            excess ? "{\"ok\":false,\"error\":{\"code\":\"too_large\",\"message\":\"the request is "
                     "larger than 64 KiB\",\"field\":null}}\n"
                   : "{\"ok\":false,\"error\":{\"code\":\"unknown\",\"message\":\"there is no "
                     "command none\",\"field\":\"command\"}}\n");
    }
    free(text);
}

static void test_answer_limit(void **state)
{
    struct fixture *fixture = *state;
    char *cause = NULL;
    // {"ok":true,"result":"…"} is 23 bytes around the text.
    json_t *request = json_pack("{s:s, s:i}", "command", "large", "size", CTL_REPLY_SIZE_MAX - 24);
    json_t *result = ctl_call(fixture->path, request, 10000, &cause);
    assert_non_null(result);
    assert_int_equal(json_string_length(result), CTL_REPLY_SIZE_MAX - 24);
    json_decref(result);
    json_object_set_new(request, "size", json_integer(CTL_REPLY_SIZE_MAX));
    assert_null(ctl_call(fixture->path, request, 10000, &cause));
    assert_string_equal(cause, "the answer is too large");
    free(cause);
    json_decref(request);
}

static void test_peer_limit(void **state)
{
    struct fixture *fixture = *state;
    int idle[CTL_PEERS_MAX];
    for (int i = 0; i < CTL_PEERS_MAX - 1; i++)
        idle[i] = connect_raw(fixture);
    expect_result(fixture->path, "{\"command\":\"large\",\"size\":1}", "\"x\"");
    idle[CTL_PEERS_MAX - 1] = connect_raw(fixture);
    expect_raw(connect_raw(fixture), "{\"ok\":false,\"error\":{\"code\":\"busy\",\"message\":\"too "
                                     "many connections\",\"field\":null}}\n");
    for (int i = 0; i < CTL_PEERS_MAX; i++)
        close(idle[i]);
    // The server learns of the closings in its own time: a new peer is let in at last.
    for (;;) {
        char *cause = NULL;
        json_t *request = json_pack("{s:s}", "command", "nonsense");
        assert_null(ctl_call(fixture->path, request, 5000, &cause));
        bool let_in = strcmp(cause, "there is no command nonsense") == 0;
        json_decref(request);
        free(cause);
        if (let_in)
            break;
    }
}

static void test_silent_peer_is_told_and_closed(void **state)
{
    int fd = connect_raw(*state);
    send_raw(fd, "{", 1);
    expect_raw(fd,
        "{\"ok\":false,\"error\":{\"code\":\"timeout\",\"message\":\"no request within 5 "
        "seconds\",\"field\":null}}\n");
}

static void test_client_without_server(void **state)
{
    struct fixture *fixture = *state;
    expect_call_fails(fixture->path, "{\"command\":\"hold\"}", 50, "no answer in time");
    kill_server(fixture);
    expect_call_fails(fixture->path, "{\"command\":\"x\"}", 1000, "the program is not running");
    expect_call_fails("/nonexistent/x", "{\"command\":\"x\"}", 1000, "the program is not running");
    // The dead server's socket is replaced, a living one's is not, nor is a file that is no socket.
    start_server(fixture);
    char *cause = NULL;
    assert_null(ctl_server_open(fixture->path, serve_request, NULL, &cause));
    assert_non_null(strstr(cause, "another process answers there already"));
    free(cause);
    char *plain = xasprintf("%s/plain", fixture->directory);
    assert_int_equal(fs_write_file(plain, "x", 1, 0600, &cause), 0);
    assert_null(ctl_server_open(plain, serve_request, NULL, &cause));
    assert_non_null(strstr(cause, "can not listen"));
    assert_int_equal(unlink(plain), 0);
    free(plain);
    free(cause);
}

static void expect_refusal(const char *path, const char *request, int cancel_fd, const char *code,
    const char *words, const char *field)
{
    struct ctl_refusal refusal;
    json_t *json = json_loads(request, 0, NULL);
    assert_null(ctl_ask(path, json, 10000, cancel_fd, &refusal));
    assert_string_equal(refusal.code, code);
    assert_non_null(strstr(refusal.message, words));
    if (field != NULL)
        assert_string_equal(refusal.field, field);
    else
        assert_null(refusal.field);
    ctl_refusal_fini(&refusal);
    json_decref(json);
}

static void test_refusals_are_told_apart(void **state)
{
    struct fixture *fixture = *state;
    char *absent = xasprintf("%s/absent.sock", fixture->directory);
    expect_refusal(
        fixture->path, "{\"command\":\"nonsense\"}", -1, "unknown", "no command", "command");
    expect_refusal(absent, "{\"command\":\"echo\"}", -1, "not_running", "not running", NULL);
    free(absent);
    struct ctl_refusal refusal;
    json_t *json = json_loads("{\"command\":\"large\",\"size\":1}", 0, NULL);
    json_t *result = ctl_ask(fixture->path, json, 10000, -1, &refusal);
    assert_string_equal(json_string_value(result), "x");
    ctl_refusal_fini(&refusal);
    json_decref(result);
    json_decref(json);
}

// With the answer still to come, whoever asks can be made to give up.
static void test_a_call_is_cancelled(void **state)
{
    struct fixture *fixture = *state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    expect_refusal(fixture->path, "{\"command\":\"hold\"}", ends[0], "no_answer", "given up", NULL);
    close(ends[0]);
    close(ends[1]);
}

static void test_long_path(void **state)
{
    struct fixture *fixture = *state;
    char *directory = xasprintf("%s/%0100d", fixture->directory, 0);
    assert_int_equal(mkdir(directory, 0700), 0);
    struct fixture inner = {.path = xasprintf("%s/control.sock", directory)};
    start_server(&inner);
    expect_result(inner.path, "{\"command\":\"large\",\"size\":1}", "\"x\"");
    kill_server(&inner);
    unlink(inner.path);
    assert_int_equal(rmdir(directory), 0);
    free(inner.path);
    free(directory);
}

#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(test_round_trip),
        WITH_SERVER(test_errors_have_code_and_field),
        WITH_SERVER(test_request_in_pieces_by_a_half_closed_peer),
        WITH_SERVER(test_late_answer),
        WITH_SERVER(test_answer_to_a_peer_that_has_gone),
        cmocka_unit_test_setup_teardown(
            test_a_command_that_does_not_end_is_given_up, set_up_impatient, tear_down),
        WITH_SERVER(test_other_users_are_told_apart),
        WITH_SERVER(test_request_limit),
        WITH_SERVER(test_answer_limit),
        WITH_SERVER(test_peer_limit),
        WITH_SERVER(test_silent_peer_is_told_and_closed),
        WITH_SERVER(test_client_without_server),
        WITH_SERVER(test_refusals_are_told_apart),
        WITH_SERVER(test_a_call_is_cancelled),
        WITH_SERVER(test_long_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
