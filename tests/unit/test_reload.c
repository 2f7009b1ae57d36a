// links: kf-supervisor
// The difference between two configurations.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/core/alloc.h"
#include "lib/core/buf.h"
#include "lib/core/fsutil.h"
#include "supervisor/reload.h"

static struct config_stream stream_named(const char *camera)
{
    return (struct config_stream){
        .camera = (char *)camera,
        .name = "main",
        .url = "rtsp://h/",
        .recording = {.segment_us = 60000000, .timeout_us = 5000000, .enabled = true},
    };
}

static struct config config_with(struct config_stream *streams, size_t count)
{
    return (struct config){
        .node = "n", .ffmpeg.path = "ffmpeg", .streams = streams, .stream_count = count};
}

static struct disabled disabled; // by a command

// The plan as text: "+a" start, "-a" stop, "!a" restart, "=a" keep.
static char *plan_text(const struct config *before, const struct config *after)
{
    static const char signs[] = {
        [RELOAD_KEEP] = '=', [RELOAD_START] = '+', [RELOAD_STOP] = '-', [RELOAD_RESTART] = '!'};
    struct reload_plan plan;
    struct buf text = BUF_INIT;
    reload_plan_init(&plan, before, after, &disabled);
    assert_int_equal(plan.started + plan.stopped + plan.restarted + plan.kept, plan.count);
    for (size_t i = 0; i < plan.count; i++) {
        const struct reload_item *item = &plan.items[i];
        const char *camera = item->after ? item->after->camera : item->before->camera;
        buf_printf(&text, "%c%s ", signs[item->action], camera);
    }
    reload_plan_fini(&plan);
    return buf_string(&text);
}

static void expect_plan(
    const struct config *before, const struct config *after, const char *expected)
{
    char *text = plan_text(before, after);
    assert_string_equal(text, expected);
    free(text);
}

static void test_added_removed_changed_untouched(void **state)
{
    struct config_stream before[] = {
        stream_named("changed"), stream_named("removed"), stream_named("untouched")};
    struct config_stream after[] = {
        stream_named("added"), stream_named("changed"), stream_named("untouched")};
    after[1].url = "rtsp://other/";
    // Other strings with the same text are no change.
    after[2].url = (char[]){"rtsp://h/"};
    struct config one = config_with(before, 3), two = config_with(after, 3);
    expect_plan(&one, &two, "+added !changed -removed =untouched ");
    expect_plan(&one, &one, "=changed =removed =untouched ");
    struct config none = config_with(NULL, 0);
    expect_plan(&one, &none, "-changed -removed -untouched ");
    expect_plan(&none, &two, "+added +changed +untouched ");
    expect_plan(&none, &none, "");
    (void)state;
}

static void test_what_restarts_a_stream(void **state)
{
    struct config_stream before = stream_named("a");
    struct config one = config_with(&before, 1);
#define EXPECT_CHANGE(change, expected)                                                            \
    do {                                                                                           \
        struct config_stream after = stream_named("a");                                            \
        struct config two = config_with(&after, 1);                                                \
        change;                                                                                    \
        expect_plan(&one, &two, expected);                                                         \
    } while (0)
    EXPECT_CHANGE(after.username = "u", "!a ");
    EXPECT_CHANGE(after.password = "p", "!a ");
    EXPECT_CHANGE(after.recording.segment_us = 1, "!a ");
    EXPECT_CHANGE(after.recording.timeout_us = 1, "!a ");
    EXPECT_CHANGE(after.recording.audio = CONFIG_AUDIO_OFF, "!a ");
    EXPECT_CHANGE(after.recording.transport = CONFIG_TRANSPORT_AUTO, "!a ");
    EXPECT_CHANGE(two.ffmpeg.path = "/other", "!a ");
    EXPECT_CHANGE(two.node = "m", "!a ");
    static char *options[] = {"-x", "y"};
    EXPECT_CHANGE(two.ffmpeg.input_options = ((struct config_list){options, 2}), "!a ");
    EXPECT_CHANGE(two.ffmpeg.output_options = ((struct config_list){options, 1}), "!a ");
    EXPECT_CHANGE(after.recording.transport = CONFIG_TRANSPORT_UDP, "!a ");
    static const struct config_hook hook = {.url = "https://h/"};
    EXPECT_CHANGE(after.recording.on_stream_down = &hook, "=a ");
    EXPECT_CHANGE(after.recording.on_stream_up = &hook, "=a ");
    EXPECT_CHANGE(after.recording.on_segment = &hook, "=a ");
    EXPECT_CHANGE(after.recording.latency_us = 1, "=a ");
    EXPECT_CHANGE(after.recording.retain.continuous_us = 1, "=a ");
    EXPECT_CHANGE(two.http.listen = "127.0.0.1:1", "=a ");
    EXPECT_CHANGE(after.recording.enabled = false, "-a ");
    (void)state;
}

static void test_disabled_streams(void **state)
{
    struct config_stream off = stream_named("a"), on = stream_named("a");
    off.recording.enabled = false;
    struct config with_off = config_with(&off, 1), with_on = config_with(&on, 1);
    struct config none = config_with(NULL, 0);
    expect_plan(&with_off, &with_on, "+a ");
    expect_plan(&with_off, &with_off, "=a ");
    expect_plan(&none, &with_off, "=a "); // known, but not started
    expect_plan(&with_off, &none, "-a ");
    struct config_stream changed = off;
    changed.url = "rtsp://other/";
    struct config with_changed = config_with(&changed, 1);
    expect_plan(&with_off, &with_changed, "=a ");
    (void)state;
}

// What a command has disabled stays so, whatever the configuration says, until it leaves it.
static void test_streams_disabled_by_a_command(void **state)
{
    struct config_stream stream = stream_named("a"), changed = stream, off = stream;
    changed.url = "rtsp://other/";
    off.recording.enabled = false;
    struct config one = config_with(&stream, 1), two = config_with(&changed, 1);
    struct config with_off = config_with(&off, 1), none = config_with(NULL, 0);
    disabled_set(&disabled, "a", "main", true);
    expect_plan(&one, &one, "=a ");
    expect_plan(&one, &two, "=a ");
    expect_plan(&one, &with_off, "=a ");
    expect_plan(&with_off, &one, "=a ");
    expect_plan(&none, &one, "=a ");
    expect_plan(&one, &none, "-a ");
    disabled_fini(&disabled);
    (void)state;
}

enum {
    MANY = 1000,
};

// A configuration of many cameras as a user writes it; every tenth has a length of its own. The
// text in front of the cameras and the one behind number 500 are the caller's.
static struct config *many_cameras(const char *directory, const char *head, const char *extra)
{
    struct buf text = BUF_INIT;
    char *cause = NULL, *path = xasprintf("%s/k.yaml", directory);
    buf_printf(&text, "%scameras:\n", head);
    for (int i = 0; i < MANY; i++)
        buf_printf(&text, "  c%04d: {url: 'rtsp://u:p%d@h/%d'%s%s}\n", i, i, i,
            i % 10 == 0 ? ", segment: 10s" : "", i == 500 ? extra : "");
    assert_int_equal(fs_write_file(path, (char *)text.data, text.size, 0600, &cause), 0);
    struct config_source source = {.file = path, .flags = CONFIG_SECRETS};
    struct config *config = config_load(&source, &cause);
    if (config == NULL)
        fail_msg("%s", cause);
    buf_fini(&text);
    assert_int_equal(unlink(path), 0);
    free(path);
    return config;
}

// Of a thousand cameras exactly those are touched that a change concerns.
static void test_a_thousand_cameras(void **state)
{
    static const struct {
        const char *head, *extra;
        size_t started, stopped, restarted, kept;
    } changes[] = {
        {"", "", 0, 0, 0, MANY},
        {"", ", audio: off", 0, 0, 1, MANY - 1},
        {"", ", enabled: false", 0, 1, 0, MANY - 1},
        {"", ", latency: 1s, retain: {continuous: 1d}, on_segment: {command: [x]}", 0, 0, 0, MANY},
        // A default touches those that inherit it, whether or not it stood there before.
        {"recording: {segment: 60s}\n", "", 0, 0, 0, MANY},
        {"recording: {segment: 10s}\n", "", 0, 0, MANY - MANY / 10, MANY / 10},
        {"recording: {latency: 1s, retain: {continuous: 1d}, on_stream_down: {url: 'http://h'}}\n",
            "", 0, 0, 0, MANY},
        {"recording: {enabled: false}\n", ", enabled: true", 0, MANY - 1, 0, 1},
        {"ffmpeg: {output_options: [-x]}\n", "", 0, 0, MANY, 0},
    };
    char directory[] = "/tmp/test_reload.XXXXXX";
    assert_non_null(mkdtemp(directory));
    struct config *before = many_cameras(directory, "", "");
    for (size_t i = 0; i < ARRAY_LENGTH(changes); i++) {
        struct config *after = many_cameras(directory, changes[i].head, changes[i].extra);
        struct reload_plan plan;
        reload_plan_init(&plan, before, after, &disabled);
        assert_int_equal(plan.count, MANY);
        assert_int_equal(plan.started, changes[i].started);
        assert_int_equal(plan.stopped, changes[i].stopped);
        assert_int_equal(plan.restarted, changes[i].restarted);
        assert_int_equal(plan.kept, changes[i].kept);
        for (size_t j = 0; j < plan.count; j++) {
            const struct reload_item *item = &plan.items[j];
            assert_ptr_equal(item->before, &before->streams[j]);
            assert_ptr_equal(item->after, &after->streams[j]);
            if (plan.restarted == 1 || plan.stopped == 1)
                assert_int_equal(item->action != RELOAD_KEEP, j == 500);
        }
        reload_plan_fini(&plan);
        config_free(after);
    }
    config_free(before);
    assert_int_equal(rmdir(directory), 0);
    (void)state;
}

static void test_what_needs_a_restart(void **state)
{
    struct config_volume volumes[] = {{.path = "/v"}, {.path = "/w"}};
    struct config one = {.runtime = "/r",
        .storage = {.database = "/d", .cache = "/c", .volumes = volumes, .volume_count = 1}};
    struct config two = one;
    assert_null(reload_needs_restart(&one, &two));
    two.runtime = "/x";
    assert_string_equal(reload_needs_restart(&one, &two), "runtime");
    two = one;
    two.storage.database = "/x";
    assert_string_equal(reload_needs_restart(&one, &two), "storage.database");
    two = one;
    two.storage.cache = "/x";
    assert_string_equal(reload_needs_restart(&one, &two), "storage.cache");
    two = one;
    two.storage.volumes = &volumes[1];
    assert_string_equal(reload_needs_restart(&one, &two), "storage.volumes[].path");
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_added_removed_changed_untouched),
        cmocka_unit_test(test_what_restarts_a_stream),
        cmocka_unit_test(test_disabled_streams),
        cmocka_unit_test(test_streams_disabled_by_a_command),
        cmocka_unit_test(test_a_thousand_cameras),
        cmocka_unit_test(test_what_needs_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
