// links: kf-supervisor
// The life of a stream: every event in every state, and the ways through them, with children that
// are none. Their functions stand here instead of those of child.c.
#include <ftw.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/core/alloc.h"
#include "lib/core/runfile.h"
#include "lib/core/timeutil.h"
#include "supervisor/backoff.h"
#include "supervisor/run.h"
#include "supervisor/stream.h"

enum {
    EXIT_0 = 0, // as waitpid(2) gives it
    EXIT_1 = 1 << 8,
};

struct child {
    child_line_fn progress, error;
    child_end_fn end;
    void *arg;
    int signals[2]; // TERM, KILL
};

static struct child *the_child; // the newest one that runs
static int starts;
static bool start_fails;

struct child *child_start(struct ev_loop *loop, const struct child_spec *spec, char **cause)
{
    (void)loop;
    starts++;
    if (start_fails) {
        *cause = xstrdup("ffmpeg can not be started: No such file or directory");
        return NULL;
    }
    assert_null(the_child); // never two at once
    the_child = xcalloc(1, sizeof(*the_child));
    the_child->progress = spec->progress;
    the_child->error = spec->error;
    the_child->end = spec->end;
    the_child->arg = spec->arg;
    return the_child;
}

pid_t child_pid(const struct child *child)
{
    (void)child;
    return 4711;
}

int64_t child_cpu_us(const struct child *child)
{
    (void)child;
    return 0;
}

void child_signal(const struct child *child, int signal_number)
{
    assert_ptr_equal(child, the_child);
    the_child->signals[signal_number == SIGKILL]++;
}

struct child *child_take_over(struct handover_reader *reader, json_t *object, struct ev_loop *loop,
    const struct child_spec *spec)
{
    (void)object;
    (void)loop;
    (void)spec;
    handover_fail(reader, "nothing is handed over here");
    return NULL;
}

static void end_child(int status)
{
    struct child *child = the_child;
    the_child = NULL;
    child->end(child->arg, status);
    free(child);
}

// A stream with all that it needs.
struct scene {
    char directory[64];
    struct config config;
    struct config_stream stream_config;
    struct stream_host host;
    struct stream *stream;
    int idles;
    bool frees_when_idle;
};

static void idle_cb(struct stream *stream, void *arg)
{
    struct scene *scene = arg;
    scene->idles++;
    assert_int_equal(stream->state, STREAM_OFF);
    if (scene->frees_when_idle) {
        stream_free(stream);
        scene->stream = NULL;
    }
}

static void scene_begin(struct scene *scene)
{
    *scene = (struct scene){
        .directory = "/tmp/test_stream.XXXXXX",
        .config = {.node = "n", .ffmpeg.path = "ffmpeg"},
        .stream_config = {.camera = "door",
            .name = "main",
            .url = "rtsp://h/",
            .recording = {.segment_us = 60 * US_PER_SECOND, .timeout_us = 5 * US_PER_SECOND}},
    };
    assert_non_null(mkdtemp(scene->directory));
    scene->config.storage.cache = scene->directory;
    stream_host_init(&scene->host, ev_default_loop(0), &scene->config, idle_cb, scene);
    scene->stream = stream_new(&scene->host, &scene->stream_config);
    starts = 0;
    start_fails = false;
}

static int remove_cb(const char *path, const struct stat *info, int type, struct FTW *place)
{
    (void)info;
    (void)type;
    (void)place;
    return remove(path);
}

static void scene_end(struct scene *scene)
{
    if (scene->stream != NULL && scene->stream->child != NULL) {
        stream_stop(scene->stream, REASON_STOPPED);
        end_child(EXIT_0);
    }
    stream_free(scene->stream);
    stream_host_fini(&scene->host);
    nftw(scene->directory, remove_cb, 8, FTW_DEPTH | FTW_PHYS);
}

static void deliver_frames(int frames)
{
    char line[32];
    snprintf(line, sizeof(line), "frame=%d", frames);
    the_child->progress(the_child->arg, line);
    the_child->progress(the_child->arg, "progress=continue");
}

// Leads a new stream into the state.
static void scene_lead(struct scene *scene, enum stream_state state)
{
    scene_begin(scene);
    struct stream *stream = scene->stream;
    if (state == STREAM_OFF)
        return;
    stream_start(stream);
    stream_event(stream, STREAM_EVENT_TURN);
    if (state == STREAM_WAITING)
        end_child(EXIT_1);
    if (state == STREAM_RECORDING || state == STREAM_ENDING)
        deliver_frames(1);
    if (state == STREAM_ENDING) // no word for a minute
        stream_tick(stream, time_monotonic_us() + 60 * US_PER_SECOND);
    assert_int_equal(stream->state, state);
    starts = 0;
    if (the_child != NULL && state != STREAM_ENDING)
        assert_int_equal(the_child->signals[0], 0);
}

static void tell(struct scene *scene, enum stream_event event)
{
    if (event == STREAM_EVENT_START)
        stream_start(scene->stream);
    else if (event == STREAM_EVENT_STOP)
        stream_stop(scene->stream, REASON_DISABLED);
    else if (event == STREAM_EVENT_RESTART)
        stream_restart(scene->stream, REASON_RESTART);
    else if (event == STREAM_EVENT_OVER && the_child != NULL)
        end_child(EXIT_1);
    else
        stream_event(scene->stream, event);
}

// What became of it: the state, then S: a child was started, T, K: signals to it, q: it stands in
// the queue for starts, t: its timer runs, i: it was reported as idle.
static void describe(const struct scene *scene, bool was_ending, char text[64])
{
    const struct stream *stream = scene->stream;
    int terms = the_child ? the_child->signals[0] - was_ending : 0;
    snprintf(text, 64, "%s %s%s%s%s%s%s", stream_state_name(stream->state), starts ? "S" : "",
        terms ? "T" : "", the_child && the_child->signals[1] ? "K" : "",
        stream->turn.is_queued ? "q" : "", ev_is_active(&stream->timer) ? "t" : "",
        scene->idles ? "i" : "");
}

static const char *const expected_table[STREAM_STATE_COUNT][STREAM_EVENT_COUNT] = {
    [STREAM_OFF] =
        {
            [STREAM_EVENT_START] = "waiting q",
            [STREAM_EVENT_STOP] = "off i",
            [STREAM_EVENT_RESTART] = "off ",
            [STREAM_EVENT_DUE] = "off ",
            [STREAM_EVENT_TURN] = "off ",
            [STREAM_EVENT_FRAME] = "off ",
            [STREAM_EVENT_FAILING] = "off ",
            [STREAM_EVENT_PATIENCE] = "off ",
            [STREAM_EVENT_OVER] = "off ",
        },
    [STREAM_WAITING] =
        {
            [STREAM_EVENT_START] = "waiting t",
            [STREAM_EVENT_STOP] = "off i",
            [STREAM_EVENT_RESTART] = "waiting q",
            [STREAM_EVENT_DUE] = "waiting q",
            [STREAM_EVENT_TURN] = "connecting S",
            [STREAM_EVENT_FRAME] = "waiting t",
            [STREAM_EVENT_FAILING] = "waiting t",
            [STREAM_EVENT_PATIENCE] = "waiting t",
            [STREAM_EVENT_OVER] = "waiting t",
        },
    [STREAM_CONNECTING] =
        {
            [STREAM_EVENT_START] = "connecting ",
            [STREAM_EVENT_STOP] = "ending Tt",
            [STREAM_EVENT_RESTART] = "ending Tt",
            [STREAM_EVENT_DUE] = "connecting ",
            [STREAM_EVENT_TURN] = "connecting ",
            [STREAM_EVENT_FRAME] = "recording ",
            [STREAM_EVENT_FAILING] = "ending Tt",
            [STREAM_EVENT_PATIENCE] = "connecting ",
            [STREAM_EVENT_OVER] = "waiting t",
        },
    [STREAM_RECORDING] =
        {
            [STREAM_EVENT_START] = "recording ",
            [STREAM_EVENT_STOP] = "ending Tt",
            [STREAM_EVENT_RESTART] = "ending Tt",
            [STREAM_EVENT_DUE] = "recording ",
            [STREAM_EVENT_TURN] = "recording ",
            [STREAM_EVENT_FRAME] = "recording ",
            [STREAM_EVENT_FAILING] = "ending Tt",
            [STREAM_EVENT_PATIENCE] = "recording ",
            [STREAM_EVENT_OVER] = "waiting t",
        },
    [STREAM_ENDING] =
        {
            [STREAM_EVENT_START] = "ending t",
            [STREAM_EVENT_STOP] = "ending t",
            [STREAM_EVENT_RESTART] = "ending t",
            [STREAM_EVENT_DUE] = "ending t",
            [STREAM_EVENT_TURN] = "ending t",
            [STREAM_EVENT_FRAME] = "ending t",
            [STREAM_EVENT_FAILING] = "ending t",
            [STREAM_EVENT_PATIENCE] = "ending Kt",
            [STREAM_EVENT_OVER] = "waiting t",
        },
};

static void test_every_event_in_every_state(void **context)
{
    (void)context;
    for (int state = 0; state < STREAM_STATE_COUNT; state++) {
        for (int event = 0; event < STREAM_EVENT_COUNT; event++) {
            struct scene scene;
            char text[64];
            scene_lead(&scene, (enum stream_state)state);
            tell(&scene, (enum stream_event)event);
            describe(&scene, state == STREAM_ENDING, text);
            if (strcmp(text, expected_table[state][event]) != 0)
                fail_msg("%s, then %s: \"%s\" instead of \"%s\"",
                    stream_state_name((enum stream_state)state),
                    stream_event_name((enum stream_event)event), text,
                    expected_table[state][event]);
            scene_end(&scene);
        }
    }
}

// The run file of the stream's latest run.
static struct runfile latest_run(const struct scene *scene)
{
    char link[128], target[32] = "";
    char *cause = NULL;
    struct runfile file;
    snprintf(link, sizeof(link), "%s/door/main/.last-run", scene->directory);
    assert_true(readlink(link, target, sizeof(target) - 1) > 0);
    snprintf(link, sizeof(link), "%s/door/main", scene->directory);
    char *path = run_file_path(link, strtoll(target, NULL, 10));
    assert_int_equal(runfile_load(&file, path, &cause), 0);
    free(path);
    return file;
}

static void expect_run(const struct scene *scene, const char *reason, const char *words)
{
    struct runfile file = latest_run(scene);
    assert_true(file.end_us > 0);
    assert_string_equal(file.reason, reason);
    if (words != NULL)
        assert_string_equal(file.detail, words);
    else
        assert_null(file.detail);
    runfile_fini(&file);
}

static void test_attempts_without_a_frame_leave_their_file(void **context)
{
    struct scene scene;
    (void)context;
    scene_lead(&scene, STREAM_CONNECTING);
    struct runfile open = latest_run(&scene);
    assert_int_equal(open.end_us, 0);
    runfile_fini(&open);
    the_child->error(the_child->arg, "[rtsp] method DESCRIBE failed: 401 Unauthorized");
    the_child->error(the_child->arg, "Conversion failed!");
    end_child(EXIT_1);
    assert_int_equal(scene.stream->last_reason, REASON_UNAUTHORIZED);
    expect_run(&scene, "unauthorized", "[rtsp] method DESCRIBE failed: 401 Unauthorized");

    start_fails = true;
    stream_event(scene.stream, STREAM_EVENT_DUE);
    stream_event(scene.stream, STREAM_EVENT_TURN);
    assert_int_equal(scene.stream->state, STREAM_WAITING);
    assert_int_equal(scene.stream->failures, 2);
    expect_run(&scene, "start_failed", "ffmpeg can not be started: No such file or directory");
    scene_end(&scene);
}

static void test_what_the_run_before_said_explains_nothing(void **context)
{
    struct scene scene;
    (void)context;
    scene_lead(&scene, STREAM_CONNECTING);
    the_child->error(the_child->arg, "No space left on device");
    end_child(EXIT_1);
    stream_event(scene.stream, STREAM_EVENT_TURN);
    end_child(EXIT_1);
    assert_int_equal(scene.stream->last_reason, REASON_UNKNOWN);
    assert_null(scene.stream->last_words);
    scene_end(&scene);
}

static void test_a_planned_restart_pauses_not(void **context)
{
    struct scene scene;
    (void)context;
    scene_lead(&scene, STREAM_RECORDING);
    stream_restart(scene.stream, REASON_RELOAD);
    end_child(EXIT_1);
    assert_true(scene.stream->turn.is_queued);
    assert_int_equal(scene.stream->failures, 0);
    assert_int_equal(scene.stream->figures.restarts[REASON_RELOAD], 1);
    expect_run(&scene, "reload", NULL);
    scene_end(&scene);
}

static void test_a_restart_keeps_the_place_among_those_that_wait(void **context)
{
    struct scene scene;
    (void)context;
    scene_begin(&scene);
    struct config_stream other_config = scene.stream_config;
    other_config.name = "sub";
    struct stream *other = stream_new(&scene.host, &other_config);
    stream_start(scene.stream);
    stream_start(other);
    stream_restart(scene.stream, REASON_RELOAD);
    assert_ptr_equal(start_queue_take(&scene.host.starts, INT64_MAX / 2), &scene.stream->turn);
    assert_true(other->turn.is_queued);
    stream_free(other);
    scene_end(&scene);
}

static void test_disabled_and_enabled_while_it_ends(void **context)
{
    struct scene scene;
    (void)context;
    scene_lead(&scene, STREAM_RECORDING);
    stream_stop(scene.stream, REASON_DISABLED);
    stream_start(scene.stream);
    end_child(EXIT_0);
    assert_int_equal(scene.idles, 0);
    assert_true(scene.stream->turn.is_queued);
    stream_stop(scene.stream, REASON_DISABLED);
    assert_int_equal(scene.stream->state, STREAM_OFF);
    assert_int_equal(scene.idles, 1);
    assert_false(scene.stream->turn.is_queued);
    scene_end(&scene);
}

static void test_a_removed_one_is_freed_when_it_is_over(void **context)
{
    struct scene scene;
    (void)context;
    scene_lead(&scene, STREAM_RECORDING);
    scene.frees_when_idle = true;
    scene.stream->config = NULL;
    stream_stop(scene.stream, REASON_REMOVED);
    end_child(EXIT_0);
    assert_null(scene.stream);
    scene_end(&scene);
}

static void test_nothing_starts_before_the_last_one_is_over(void **context)
{
    struct scene scene;
    (void)context;
    scene_lead(&scene, STREAM_ENDING);
    stream_event(scene.stream, STREAM_EVENT_PATIENCE);
    assert_int_equal(the_child->signals[1], 1);
    stream_restart(scene.stream, REASON_RESTART);
    stream_tick(scene.stream, time_monotonic_us() + 600 * US_PER_SECOND);
    assert_int_equal(starts, 0);
    end_child(SIGKILL);
    assert_int_equal(scene.stream->last_reason, REASON_STALLED);
    assert_int_equal(starts, 0);
    scene_end(&scene);
}

static double patience_s(const struct scene *scene)
{
    return ev_timer_remaining(scene->host.loop, &scene->stream->timer);
}

static void test_patience(void **context)
{
    struct scene scene;
    (void)context;
    // The socket's timeout and two seconds more …
    scene_lead(&scene, STREAM_RECORDING);
    scene.stream_config.recording.timeout_us = 30 * US_PER_SECOND;
    stream_restart(scene.stream, REASON_RELOAD);
    assert_true(patience_s(&scene) > 30 && patience_s(&scene) < 33);
    // … but a clean stop has not so much time,
    stream_stop(scene.stream, REASON_STOPPED);
    assert_true(patience_s(&scene) > 6 && patience_s(&scene) < 9);
    scene_end(&scene);
    // from the beginning neither.
    scene_lead(&scene, STREAM_RECORDING);
    scene.stream_config.recording.timeout_us = 30 * US_PER_SECOND;
    stream_stop(scene.stream, REASON_STOPPED);
    assert_true(patience_s(&scene) > 6 && patience_s(&scene) < 9);
    scene_end(&scene);
}

static void test_pauses_grow_and_a_stable_minute_ends_that(void **context)
{
    struct scene scene;
    (void)context;
    scene_lead(&scene, STREAM_WAITING);
    double last_s = patience_s(&scene);
    assert_true(last_s >= 0.7 && last_s <= 1.3);
    for (int failures = 2; failures <= 4; failures++) {
        stream_event(scene.stream, STREAM_EVENT_DUE);
        stream_event(scene.stream, STREAM_EVENT_TURN);
        end_child(EXIT_1);
        assert_int_equal(scene.stream->failures, failures);
        assert_true(patience_s(&scene) > last_s);
        last_s = patience_s(&scene);
    }
    stream_event(scene.stream, STREAM_EVENT_DUE);
    assert_int_equal(scene.stream->turn.class, START_RETRY);
    stream_event(scene.stream, STREAM_EVENT_TURN);
    deliver_frames(5);
    int64_t now_us = time_monotonic_us();
    stream_tick(scene.stream, now_us + US_PER_SECOND);
    assert_int_equal(scene.stream->failures, 4);
    vitality_block(&scene.stream->vitality, 50, now_us + 60 * US_PER_SECOND);
    stream_tick(scene.stream, now_us + 61 * US_PER_SECOND);
    assert_int_equal(scene.stream->state, STREAM_RECORDING);
    assert_int_equal(scene.stream->failures, 0);
    scene_end(&scene);
}

static void test_the_loop_gives_turns_and_ends_pauses(void **context)
{
    struct scene scene;
    (void)context;
    scene_begin(&scene);
    stream_start(scene.stream);
    assert_int_equal(starts, 0);
    while (starts == 0)
        ev_run(scene.host.loop, EVRUN_ONCE);
    end_child(EXIT_1);
    while (starts == 1)
        ev_run(scene.host.loop, EVRUN_ONCE);
    assert_int_equal(scene.stream->state, STREAM_CONNECTING);
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_event_in_every_state),
        cmocka_unit_test(test_attempts_without_a_frame_leave_their_file),
        cmocka_unit_test(test_what_the_run_before_said_explains_nothing),
        cmocka_unit_test(test_a_planned_restart_pauses_not),
        cmocka_unit_test(test_a_restart_keeps_the_place_among_those_that_wait),
        cmocka_unit_test(test_disabled_and_enabled_while_it_ends),
        cmocka_unit_test(test_a_removed_one_is_freed_when_it_is_over),
        cmocka_unit_test(test_nothing_starts_before_the_last_one_is_over),
        cmocka_unit_test(test_patience),
        cmocka_unit_test(test_pauses_grow_and_a_stable_minute_ends_that),
        cmocka_unit_test(test_the_loop_gives_turns_and_ends_pauses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
