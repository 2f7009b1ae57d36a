// links: kf-supervisor
// The difference between two configurations.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/core/alloc.h"
#include "lib/core/buf.h"
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
        cmocka_unit_test(test_what_needs_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
