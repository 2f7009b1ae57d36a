// Epochs in the catalog: found by time, gone with their run.
#include "tests/unit/catalog.h"

#include "lib/media/catalog_epoch.h"

#define RUN (NOON_US / 1000)

static const struct catalog_epoch *epochs_read(
    const struct fixture *fixture, int64_t start_us, int64_t end_us, size_t limit, size_t *count)
{
    static struct catalog_epoch *epochs;
    free(epochs);
    CHECK(catalog_epochs_in(
        fixture->catalog, fixture->stream_id, start_us, end_us, limit, &epochs, count, &cause));
    return epochs;
}

static void epochs_are_found_by_their_beginning(void **state)
{
    struct fixture *fixture = *state;
    struct catalog_epoch epoch = {.stream_id = fixture->stream_id,
        .run = RUN,
        .first_number = 7,
        .start_us = NOON_US + 420 * US_PER_SECOND,
        .cause = "clock_step",
        .moved_us = -3600000000};
    CHECK(catalog_begin(fixture->catalog, &cause));
    CHECK(catalog_epoch_add(fixture->catalog, &epoch, &cause));
    // Told twice, it stays as it was.
    struct catalog_epoch again = epoch;
    again.moved_us = 1;
    CHECK(catalog_epoch_add(fixture->catalog, &again, &cause));
    epoch.first_number = 9;
    epoch.start_us += 120 * US_PER_SECOND;
    snprintf(epoch.cause, sizeof(epoch.cause), "camera_jump");
    CHECK(catalog_epoch_add(fixture->catalog, &epoch, &cause));
    CHECK(catalog_commit(fixture->catalog, &cause));

    size_t count;
    const struct catalog_epoch *found = epochs_read(fixture, 0, INT64_MAX, 0, &count);
    assert_int_equal(count, 2);
    assert_int_equal(found[0].run, RUN);
    assert_int_equal(found[0].first_number, 7);
    assert_int_equal(found[0].start_us, NOON_US + 420 * US_PER_SECOND);
    assert_string_equal(found[0].cause, "clock_step");
    assert_int_equal(found[0].moved_us, -3600000000);
    assert_string_equal(found[1].cause, "camera_jump");
    epochs_read(fixture, NOON_US, NOON_US + 420 * US_PER_SECOND, 0, &count);
    assert_int_equal(count, 0);
    epochs_read(fixture, NOON_US + 420 * US_PER_SECOND, NOON_US + 421 * US_PER_SECOND, 0, &count);
    assert_int_equal(count, 1);
    epochs_read(fixture, 0, INT64_MAX, 1, &count);
    assert_int_equal(count, 1);
    epochs_read(fixture, 0, 0, 0, &count);
}

static void epochs_go_with_their_run(void **state)
{
    struct fixture *fixture = *state;
    struct catalog_run lives = {.stream_id = fixture->stream_id, .run = RUN, .start_us = NOON_US};
    struct catalog_epoch epoch = {.stream_id = fixture->stream_id,
        .run = RUN,
        .first_number = 7,
        .start_us = NOON_US + 420 * US_PER_SECOND,
        .cause = "delay"};
    CHECK(catalog_begin(fixture->catalog, &cause));
    CHECK(catalog_run_put(fixture->catalog, &lives, &cause));
    CHECK(catalog_epoch_add(fixture->catalog, &epoch, &cause));
    epoch.run++; // of a run that is not there any more
    epoch.start_us++;
    CHECK(catalog_epoch_add(fixture->catalog, &epoch, &cause));
    CHECK(catalog_runs_expire(fixture->catalog, fixture->stream_id, NOON_US + HOUR_US, &cause));
    CHECK(catalog_commit(fixture->catalog, &cause));
    size_t count;
    const struct catalog_epoch *found = epochs_read(fixture, 0, INT64_MAX, 0, &count);
    assert_int_equal(count, 1);
    assert_int_equal(found[0].run, RUN);
    epochs_read(fixture, 0, 0, 0, &count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            epochs_are_found_by_their_beginning, fixture_make, fixture_free),
        cmocka_unit_test_setup_teardown(epochs_go_with_their_run, fixture_make, fixture_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
