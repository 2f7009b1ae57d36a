// Signs of life: when they are given, and to whom.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/core/alloc.h"
#include "lib/core/heartbeat.h"
#include "lib/core/timeutil.h"

static void set_variable(int fd)
{
    char *text = xasprintf("%d", fd);
    assert_int_equal(setenv("KEEPFRAME_HEARTBEAT", text, 1), 0);
    free(text);
}

// What stands in the pipe, which does not block.
static const char *heard(int fd)
{
    static char text[64];
    ssize_t got = read(fd, text, sizeof(text) - 1);
    text[got > 0 ? got : 0] = '\0';
    return text;
}

static void test_a_line_a_second(void **state)
{
    int fds[2];
    assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
    set_variable(fds[1]);
    struct heartbeat heartbeat;
    heartbeat_open(&heartbeat);
    assert_int_equal(fcntl(fds[1], F_GETFD), FD_CLOEXEC);
    const int64_t now_us = 5 * US_PER_SECOND;
    heartbeat_beat(&heartbeat, 0);
    assert_string_equal(heard(fds[0]), "beat\n");
    heartbeat_beat(&heartbeat, now_us);
    heartbeat_beat(&heartbeat, now_us + 999999);
    assert_string_equal(heard(fds[0]), "beat\n");
    heartbeat_beat(&heartbeat, now_us + 1000000);
    assert_string_equal(heard(fds[0]), "beat\n");
    heartbeat_close(&heartbeat);
    heartbeat_beat(&heartbeat, 2 * now_us);
    assert_int_equal(read(fds[0], &(char){0}, 1), 0); // closed
    close(fds[0]);
    (void)state;
}

static void test_who_does_not_read_holds_nothing_up(void **state)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    set_variable(fds[1]);
    struct heartbeat heartbeat;
    heartbeat_open(&heartbeat);
    for (int64_t second = 0; second < 20000; second++)
        heartbeat_beat(&heartbeat, second * US_PER_SECOND);
    close(fds[0]);
    signal(SIGPIPE, SIG_IGN);
    heartbeat_beat(&heartbeat, 30000 * US_PER_SECOND);
    heartbeat_close(&heartbeat);
    (void)state;
}

static void test_nobody_to_tell(void **state)
{
    static const char *const table[] = {NULL, "", "x", "4x", "-1", "0", "2", "99999", "4294967300"};
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC); // a descriptor, but no pipe
    for (size_t i = 0; i <= ARRAY_LENGTH(table); i++) {
        struct heartbeat heartbeat;
        if (i == ARRAY_LENGTH(table))
            set_variable(null);
        else if (table[i] == NULL)
            unsetenv("KEEPFRAME_HEARTBEAT");
        else
            setenv("KEEPFRAME_HEARTBEAT", table[i], 1);
        heartbeat_open(&heartbeat);
        assert_int_equal(heartbeat.fd, -1);
        heartbeat_beat(&heartbeat, US_PER_SECOND);
        heartbeat_close(&heartbeat);
    }
    assert_int_equal(close(null), 0);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_line_a_second),
        cmocka_unit_test(test_who_does_not_read_holds_nothing_up),
        cmocka_unit_test(test_nobody_to_tell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
