// links: kf-supervisor
// What goes over an exec: the memfd, and the modules that have a part of their own in it.
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/core/alloc.h"
#include "lib/core/buf.h"
#include "supervisor/childpipe.h"
#include "supervisor/disabled.h"
#include "supervisor/handover.h"
#include "supervisor/hookqueue.h"
#include "supervisor/hooks.h"
#include "supervisor/logcap.h"
#include "supervisor/loopmeter.h"
#include "supervisor/service.h"

// --- The memfd

static void expect_no_load(int fd, const char *words)
{
    char *cause = NULL;
    assert_null(handover_load(fd, &cause));
    assert_non_null(strstr(cause, words));
    free(cause);
}

static void test_what_is_stored_is_loaded_and_nobody_can_change_it(void **state)
{
    char *cause = NULL;
    (void)state;
    int fd = handover_store(json_pack("{s:i, s:s}", "version", HANDOVER_VERSION, "a", "b"), &cause);
    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    assert_int_equal(pwrite(fd, "x", 1, 0), -1);
    assert_int_equal(ftruncate(fd, 0), -1);
    json_t *root = handover_load(fd, &cause);
    assert_string_equal(json_string_value(json_object_get(root, "a")), "b");
    json_decref(root);
    close(fd);
}

static void test_another_format_is_refused(void **state)
{
    char *cause = NULL;
    (void)state;
    int fd = handover_store(json_pack("{s:i}", "version", HANDOVER_VERSION + 1), &cause);
    expect_no_load(fd, "this program knows");
    close(fd);
    fd = handover_store(json_pack("[i]", HANDOVER_VERSION), &cause);
    expect_no_load(fd, "this program knows");
    close(fd);
}

static void test_what_is_not_sealed_is_refused(void **state)
{
    int fd = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    (void)state;
    assert_int_equal(write(fd, "{\"version\":1}", 13), 13);
    expect_no_load(fd, "no sealed state");
    fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
    char *cause = NULL;
    json_decref(handover_load(fd, &cause));
    assert_null(cause);
    close(fd);
    fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    expect_no_load(fd, "no sealed state");
    close(fd);
}

static void test_any_bytes_are_texts(void **state)
{
    static const char *const texts[] = {
        "", "plain", "\xc3\xa4\xe2\x82\xac", "\xff\xfe broken", NULL};
    struct handover_reader reader;
    (void)state;
    handover_reader_init(&reader, false);
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        json_t *object = json_pack("{s:o}", "text", handover_text(texts[i]));
        char *text = handover_take_text(&reader, object, "text");
        assert_null(reader.cause);
        if (texts[i] != NULL)
            assert_string_equal(text, texts[i]);
        else
            assert_null(text);
        assert_int_equal(json_object_size(object), 0);
        free(text);
        json_decref(object);
    }
    handover_reader_fini(&reader);
}

static void test_a_descriptor_is_what_it_should_be(void **state)
{
    static const struct {
        int fd; // -1: the pipe's
        unsigned kind;
        bool is_good;
    } cases[] = {{-1, S_IFIFO, true}, {-1, S_IFSOCK, false}, {0, S_IFIFO, false},
        {987654, S_IFIFO, false}, {-2, S_IFIFO, false}};
    int pair[2];
    (void)state;
    assert_int_equal(pipe(pair), 0);
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct handover_reader reader;
        json_t *object = json_pack("{s:i}", "fd", cases[i].fd == -1 ? pair[0] : cases[i].fd);
        handover_reader_init(&reader, false);
        handover_take_fd(&reader, object, "fd", cases[i].kind);
        assert_int_equal(reader.cause == NULL, cases[i].is_good);
        handover_reader_fini(&reader);
        json_decref(object);
    }
    assert_int_equal(fcntl(pair[0], F_GETFD), FD_CLOEXEC);
    close(pair[0]);
    close(pair[1]);
}

// --- The parts

static void begin(struct handover_reader *reader)
{
    handover_reader_init(reader, false);
}

static void end(struct handover_reader *reader, json_t *json)
{
    if (reader->cause != NULL)
        fail_msg("%s", reader->cause);
    handover_reader_fini(reader);
    json_decref(json);
}

static void line_cb(void *arg, const char *line)
{
    buf_printf(arg, "[%s]", line);
}

static void end_cb(void *arg)
{
    buf_printf(arg, "end");
}

static void test_a_line_may_stand_on_both_sides(void **state)
{
    struct ev_loop *loop = ev_default_loop(0);
    struct childpipe before, after;
    struct handover_writer writer = {0};
    struct handover_reader reader;
    struct buf heard = BUF_INIT;
    int pair[2];
    (void)state;
    assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
    childpipe_start(&before, loop, pair[0], line_cb, &heard, end_cb, &heard);
    assert_int_equal(write(pair[1], "one\ntw\xff", 7), 7);
    ev_run(loop, EVRUN_ONCE);
    json_t *object = childpipe_hand_over(&writer, &before);
    assert_int_equal(writer.fd_count, 1);
    assert_int_equal(writer.fds[0], pair[0]);
    handover_keep_fds(&writer, true);
    assert_int_equal(fcntl(pair[0], F_GETFD), 0);
    // What an exec does to the one before.
    ev_io_stop(loop, &before.watcher);
    buf_fini(&before.text);

    begin(&reader);
    childpipe_take_over(&reader, object, &after, loop, line_cb, &heard, end_cb, &heard);
    end(&reader, object);
    assert_int_equal(fcntl(pair[0], F_GETFD), FD_CLOEXEC);
    assert_int_equal(write(pair[1], "o\nthree", 7), 7);
    close(pair[1]);
    while (after.fd >= 0)
        ev_run(loop, EVRUN_ONCE);
    assert_string_equal(buf_string(&heard), "[one][tw\xffo][three]end");
    childpipe_fini(&after);
    buf_fini(&heard);
    handover_writer_fini(&writer);
}

static void test_a_flood_is_counted_to_its_end(void **state)
{
    struct ev_loop *loop = ev_default_loop(0);
    struct childpipe before, after;
    struct handover_writer writer = {0};
    struct handover_reader reader;
    struct buf heard = BUF_INIT;
    int pair[2];
    (void)state;
    assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
    childpipe_start(&before, loop, pair[0], line_cb, &heard, end_cb, &heard);
    before.left_out = 12345;
    before.is_overlong = true;
    before.bytes = 7;
    before.second_us = 8;
    ev_timer_set(&before.pause, 100., 0.);
    ev_timer_start(loop, &before.pause);
    json_t *object = childpipe_hand_over(&writer, &before);
    ev_io_stop(loop, &before.watcher);
    ev_timer_stop(loop, &before.pause);
    begin(&reader);
    childpipe_take_over(&reader, object, &after, loop, line_cb, &heard, end_cb, &heard);
    end(&reader, object);
    assert_int_equal(after.left_out, 12345);
    assert_int_equal(after.bytes, 7);
    assert_int_equal(after.second_us, 8);
    assert_true(after.is_overlong);
    assert_true(ev_is_active(&after.pause));
    assert_false(ev_is_active(&after.watcher));
    childpipe_fini(&after);
    assert_non_null(strstr(buf_string(&heard), "12345 bytes of a flood"));
    buf_fini(&heard);
    close(pair[1]);
    handover_writer_fini(&writer);
}

static void test_the_last_lines(void **state)
{
    struct logcap *before = logcap_new(), *after = logcap_new();
    struct handover_reader reader;
    unsigned repeats_before, repeats_after;
    (void)state;
    for (int i = 0; i < 130; i++) {
        char *line = xasprintf("%c%c%c", 'a' + i % 26, 'a' + i / 26, 'x');
        for (int j = 0; j <= i % 3; j++)
            logcap_add(before, line);
        free(line);
    }
    json_t *list = logcap_hand_over(before);
    begin(&reader);
    logcap_take_over(&reader, list, after);
    end(&reader, list);
    assert_int_equal(logcap_count(after), 100);
    for (size_t i = 0; i < 100; i++) {
        const char *line = logcap_line(before, i, &repeats_before);
        assert_string_equal(logcap_line(after, i, &repeats_after), line);
        assert_int_equal(repeats_after, repeats_before);
    }
    logcap_free(before);
    logcap_free(after);
}

static void test_what_a_command_has_disabled(void **state)
{
    struct disabled before = {0}, after = {0};
    struct handover_reader reader;
    (void)state;
    disabled_set(&before, "yard", "sub", true);
    disabled_set(&before, "door", "main", true);
    json_t *list = disabled_hand_over(&before);
    begin(&reader);
    disabled_take_over(&reader, list, &after);
    end(&reader, list);
    assert_int_equal(after.count, 2);
    assert_true(disabled_has(&after, "yard", "sub") && disabled_has(&after, "door", "main"));
    disabled_fini(&before);
    disabled_fini(&after);
}

static void test_how_long_turns_took(void **state)
{
    struct ev_loop *loop = ev_default_loop(0);
    struct loopmeter before, after;
    struct handover_reader reader;
    (void)state;
    loopmeter_start(&before, loop);
    loopmeter_start(&after, loop);
    histogram_add(&before.delay, 0.0002);
    histogram_add(&before.delay, 3.5);
    histogram_add(&before.delay, 99.);
    json_t *object = loopmeter_hand_over(&before);
    begin(&reader);
    loopmeter_take_over(&reader, object, &after);
    end(&reader, object);
    json_t *a = histogram_json(&before.delay), *b = histogram_json(&after.delay);
    assert_true(json_equal(a, b));
    assert_int_equal(json_integer_value(json_object_get(b, "count")), 3);
    json_decref(a);
    json_decref(b);
    loopmeter_stop(&before);
    loopmeter_stop(&after);
}

static struct hook_job *make_job(enum hook_kind kind, const char *url)
{
    struct hook_job *job = xcalloc(1, sizeof(*job));
    job->kind = kind;
    job->camera = xstrdup("door");
    job->stream = xstrdup("main");
    job->body = xstrdup("{}");
    job->timeout_us = 11;
    job->url = url ? xstrdup(url) : NULL;
    if (url == NULL) {
        job->argv = xcalloc(3, sizeof(*job->argv));
        job->argv[0] = xstrdup("/bin/x");
        job->argv[1] = xstrdup("b\xff");
    }
    return job;
}

static void test_hooks_that_wait(void **state)
{
    struct hookqueue before = {.dropped = {1, 2, 3}}, after = {0};
    struct handover_reader reader;
    (void)state;
    hookqueue_put(&before, make_job(HOOK_SEGMENT, NULL));
    hookqueue_put(&before, make_job(HOOK_STREAM_UP, "https://h/secret"));
    hookqueue_put(&before, make_job(HOOK_STREAM_DOWN, NULL));
    json_t *object = hookqueue_hand_over(&before);
    begin(&reader);
    hookqueue_take_over(&reader, object, &after);
    end(&reader, object);
    assert_memory_equal(after.dropped, before.dropped, sizeof(after.dropped));
    assert_int_equal(hookqueue_waiting(&after), 3);
    struct hook_job *job = hookqueue_take(&after);
    assert_int_equal(job->kind, HOOK_STREAM_UP);
    assert_string_equal(job->url, "https://h/secret");
    assert_null(job->argv);
    assert_int_equal(job->timeout_us, 11);
    hook_job_free(job);
    job = hookqueue_take(&after);
    assert_int_equal(job->kind, HOOK_STREAM_DOWN);
    assert_string_equal(job->argv[1], "b\xff");
    assert_null(job->argv[2]);
    assert_string_equal(job->camera, "door");
    assert_string_equal(job->stream, "main");
    assert_string_equal(job->body, "{}");
    hook_job_free(job);
    hookqueue_fini(&before);
    hookqueue_fini(&after);
}

static void test_hooks_and_their_counts(void **state)
{
    struct ev_loop *loop = ev_default_loop(0);
    struct hooks *before = hooks_new(loop, NULL, NULL), *after = hooks_new(loop, NULL, NULL);
    char *words[] = {(char *)"/nowhere/hook"};
    const struct config_hook hook = {.command = {words, 1}, .timeout_us = 1000000};
    struct handover_writer writer = {0};
    struct handover_reader reader;
    (void)state;
    hooks_post(before, HOOK_STREAM_DOWN, &hook, "door", "main", json_object());
    json_t *object = hooks_hand_over(&writer, before);
    begin(&reader);
    hooks_take_over(&reader, object, after);
    end(&reader, object);
    json_t *a = hooks_status(before), *b = hooks_status(after);
    assert_true(json_equal(a, b));
    const json_t *down = json_object_get(json_object_get(b, "by_event"), "stream_down");
    assert_int_equal(json_integer_value(json_object_get(down, "failed")), 1);
    json_decref(a);
    json_decref(b);
    hooks_free(before);
    hooks_free(after);
    handover_writer_fini(&writer);
}

static void idle_cb(void *arg)
{
    (void)arg;
}

static void test_a_service_in_its_pause(void **state)
{
    static const char *const argv[] = {"keepframe-that-is-not-there", NULL};
    struct ev_loop *loop = ev_default_loop(0);
    struct service *before = service_new(loop, argv, 0, idle_cb, NULL);
    struct service *after = service_new(loop, argv, 0, idle_cb, NULL);
    struct handover_writer writer = {0};
    struct handover_reader reader;
    (void)state;
    service_start(before);
    assert_int_equal(service_restarts(before), 1);
    json_t *object = service_hand_over(&writer, before);
    begin(&reader);
    service_take_over(&reader, object, after);
    end(&reader, object);
    assert_true(service_is_wanted(after));
    assert_int_equal(service_restarts(after), 1);
    assert_string_equal(service_last_failure(after), service_last_failure(before));
    // Its pause goes on: being started again changes nothing.
    service_start(after);
    assert_int_equal(service_restarts(after), 1);
    service_free(before);
    service_free(after);
    handover_writer_fini(&writer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_stored_is_loaded_and_nobody_can_change_it),
        cmocka_unit_test(test_another_format_is_refused),
        cmocka_unit_test(test_what_is_not_sealed_is_refused),
        cmocka_unit_test(test_any_bytes_are_texts),
        cmocka_unit_test(test_a_descriptor_is_what_it_should_be),
        cmocka_unit_test(test_a_line_may_stand_on_both_sides),
        cmocka_unit_test(test_a_flood_is_counted_to_its_end),
        cmocka_unit_test(test_the_last_lines),
        cmocka_unit_test(test_what_a_command_has_disabled),
        cmocka_unit_test(test_how_long_turns_took),
        cmocka_unit_test(test_hooks_that_wait),
        cmocka_unit_test(test_hooks_and_their_counts),
        cmocka_unit_test(test_a_service_in_its_pause),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
