// Messages to the service manager: where they go, and that they stay away where nobody listens.
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/core/notify.h"

// A manager's socket; the abstract one has no file.
static int listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(path);
    memcpy(address.sun_path, path, length);
    if (*path == '@')
        address.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address,
                         (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)),
        0);
    setenv("NOTIFY_SOCKET", path, 1);
    return fd;
}

static void assert_next(int fd, const char *expected)
{
    char text[64] = "";
    ssize_t size = recv(fd, text, sizeof(text) - 1, 0);
    if (expected == NULL)
        assert_int_equal(size, -1);
    else
        assert_string_equal(text, expected);
}

static void test_a_message_reaches_a_path(void **state)
{
    (void)state;
    char path[64];
    snprintf(path, sizeof(path), "/tmp/kf-notify-%d", getpid());
    int fd = listen_at(path);
    notify_send("READY=1");
    assert_next(fd, "READY=1");
    close(fd);
    unlink(path);
    notify_send("READY=1"); // nobody is there: no harm
}

static void test_a_message_reaches_an_abstract_socket(void **state)
{
    (void)state;
    char path[64];
    snprintf(path, sizeof(path), "@kf-notify-%d", getpid());
    int fd = listen_at(path);
    notify_send("STOPPING=1");
    assert_next(fd, "STOPPING=1");
    close(fd);
}

static void test_the_watchdog_is_fed_only_where_one_is(void **state)
{
    (void)state;
    char path[64], pid[16];
    snprintf(path, sizeof(path), "@kf-watchdog-%d", getpid());
    snprintf(pid, sizeof(pid), "%d", getpid());
    int fd = listen_at(path);
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    notify_alive();
    assert_next(fd, NULL);
    setenv("WATCHDOG_USEC", "30000000", 1);
    notify_alive();
    assert_next(fd, "WATCHDOG=1");
    setenv("WATCHDOG_PID", pid, 1);
    notify_alive();
    assert_next(fd, "WATCHDOG=1");
    setenv("WATCHDOG_PID", "1", 1); // our parent's, inherited
    notify_alive();
    assert_next(fd, NULL);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_message_reaches_a_path),
        cmocka_unit_test(test_a_message_reaches_an_abstract_socket),
        cmocka_unit_test(test_the_watchdog_is_fed_only_where_one_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
