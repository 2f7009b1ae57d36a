// links: kf-webui
// What is remembered of a stream: where time runs on, which bytes are kept.
#include "tests/unit/live.h"

#include "lib/core/timeutil.h"
#include "webui/live_history.h"

static struct live_corpus corpus;

static int setup(void **state)
{
    (void)state;
    live_corpus_open(&corpus, "h264-000000");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    live_corpus_close(&corpus);
    return 0;
}

// One fragment of half a second after the other, as a follower gives them.
struct camera {
    struct live_history history;
    struct live_part part;
    struct segment_id id;
};

static void camera_begin(struct camera *camera)
{
    live_history_init(&camera->history);
    camera->part = corpus.parts[0];
    camera->id = corpus.owner->id;
    camera->part.start_us = 7 * US_PER_SECOND;
    camera->part.duration_us = 500000;
    camera->part.appeared_us = 1000 * US_PER_SECOND;
    camera->part.index = 0;
}

// Adds the part as it is, then moves on. Returns its continuity.
static uint64_t camera_add(struct camera *camera, bool key)
{
    struct live_part part = camera->part;
    part.key = key;
    part.has_video = true;
    part.file = live_file_new(&camera->id, -1);
    live_history_place(&camera->history, &part);
    struct live_fragment *fragment = live_corpus_fragment(&corpus, &part);
    live_history_add(&camera->history, &part);
    live_history_keep(&camera->history, fragment);
    live_fragment_unref(fragment);
    live_file_unref(part.file);
    camera->part.index++;
    camera->part.start_us += camera->part.duration_us;
    camera->part.appeared_us += camera->part.duration_us;
    return part.continuity;
}

static void camera_next_file(struct camera *camera, int64_t run, uint32_t number)
{
    camera->id.run = run;
    camera->id.number = number;
    camera->part.index = 0;
}

static void test_time_runs_on_over_the_files_of_a_run(void **state)
{
    (void)state;
    struct camera camera;
    camera_begin(&camera);
    uint64_t first = camera_add(&camera, true);
    assert_int_equal(camera_add(&camera, false), first);
    camera_next_file(&camera, camera.id.run, 1);
    camera.part.start_us -= 120000; // as B-frames have it
    assert_int_equal(camera_add(&camera, true), first);
    camera.part.start_us += 2 * US_PER_SECOND; // the camera was silent
    assert_int_equal(camera_add(&camera, true), first);
    assert_int_equal(live_history_last(&camera.history)->serial, 4);
    live_history_fini(&camera.history);
}

static void test_time_does_not_run_on(void **state)
{
    (void)state;
    struct camera camera;
    camera_begin(&camera);
    uint64_t last = camera_add(&camera, true), next;
    camera_next_file(&camera, camera.id.run + 1, 0); // another run
    assert_int_not_equal(next = camera_add(&camera, true), last);
    last = next;
    camera_next_file(&camera, camera.id.run, 2); // a file is missing
    assert_int_not_equal(next = camera_add(&camera, true), last);
    last = next;
    camera.part.index++; // a fragment is missing
    assert_int_not_equal(next = camera_add(&camera, true), last);
    last = next;
    live_history_break(&camera.history); // what was lost was told
    assert_int_not_equal(next = camera_add(&camera, true), last);
    last = next;
    camera.part.start_us -= 3 * US_PER_SECOND; // the camera's clock was set
    assert_int_not_equal(next = camera_add(&camera, true), last);
    last = next;
    camera.part.start_us += 3600 * US_PER_SECOND;
    assert_int_not_equal(next = camera_add(&camera, true), last);
    assert_int_equal(camera_add(&camera, true), next);
    live_history_fini(&camera.history);
}

static void check_group(const struct camera *camera, uint64_t first, size_t count)
{
    assert_int_equal(camera->history.group_count, count);
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        const struct live_fragment *fragment = camera->history.group[i];
        assert_int_equal(fragment->part.serial, first + i);
        assert_int_equal(fragment->part.key, i == 0);
        bytes += fragment->bytes.size;
    }
    assert_int_equal(camera->history.group_bytes, bytes);
}

static void test_the_last_group_is_kept_whole_or_not_at_all(void **state)
{
    (void)state;
    struct camera camera;
    camera_begin(&camera);
    camera_add(&camera, false);
    check_group(&camera, 0, 0); // it began in the middle
    camera_add(&camera, true);
    camera_add(&camera, false);
    camera_add(&camera, false);
    check_group(&camera, 2, 3);
    camera_add(&camera, true);
    check_group(&camera, 5, 1);
    live_history_break(&camera.history);
    camera_add(&camera, false);
    check_group(&camera, 0, 0);
    camera_add(&camera, true);
    check_group(&camera, 7, 1);
    live_history_fini(&camera.history);
}

static void test_a_group_that_is_too_large_is_given_up(void **state)
{
    (void)state;
    struct camera camera;
    camera_begin(&camera);
    camera_add(&camera, true);
    size_t most = 0, count = 2 + LIVE_GROUP_SIZE_MAX / corpus.parts[0].size;
    for (size_t i = 0; i < count; i++) {
        camera_add(&camera, false);
        assert_true(camera.history.group_bytes <= LIVE_GROUP_SIZE_MAX);
        if (camera.history.group_count > most)
            most = camera.history.group_count;
    }
    assert_true(most >= count - 4);
    check_group(&camera, 0, 0);
    live_history_fini(&camera.history);
}

static void test_it_forgets_what_is_old(void **state)
{
    (void)state;
    struct camera camera;
    camera_begin(&camera);
    for (int i = 0; i < 500; i++) {
        camera_add(&camera, i % 4 == 0);
        const struct live_part *last = live_history_last(&camera.history);
        assert_int_equal(last->serial, i + 1);
        size_t expected = i < 2 * LIVE_HISTORY_S ? (size_t)i + 1 : 2 * LIVE_HISTORY_S + 1;
        assert_int_equal(camera.history.count, expected);
        for (size_t k = 0; k < expected; k++)
            assert_int_equal(
                live_history_part(&camera.history, k)->serial, last->serial + 1 + k - expected);
    }
    // Of tiny fragments there are not more than so many.
    camera.part.duration_us = 1000;
    for (int i = 0; i < 2000; i++)
        camera_add(&camera, i % 4 == 0);
    assert_int_equal(camera.history.count, LIVE_HISTORY_PARTS_MAX);
    live_history_fini(&camera.history);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_time_runs_on_over_the_files_of_a_run),
        cmocka_unit_test(test_time_does_not_run_on),
        cmocka_unit_test(test_the_last_group_is_kept_whole_or_not_at_all),
        cmocka_unit_test(test_a_group_that_is_too_large_is_given_up),
        cmocka_unit_test(test_it_forgets_what_is_old),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
