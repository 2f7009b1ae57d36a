// links: kf-indexer
// Rows on their way into the catalog: what it refuses is kept and told, and holds up nothing else.
#include "tests/unit/corpus.h"

#include <ftw.h>

#include <ev.h>

#include "indexer/committer.h"
#include "lib/core/timeutil.h"
#include "lib/media/catalog_epoch.h"

#define NOON_US INT64_C(1774958400000000)

struct fixture {
    char directory[64];
    struct ev_loop *loop;
    struct committer *committer;
    int64_t volume_id;
    unsigned done;
    unsigned dropped;
};

static struct fixture *fixture; // for drop(), which is given nothing else

static int fixture_make(void **state)
{
    char *cause = NULL;
    fixture = xcalloc(1, sizeof(*fixture));
    snprintf(fixture->directory, sizeof(fixture->directory), "/tmp/test_committer.XXXXXX");
    assert_non_null(mkdtemp(fixture->directory));
    struct catalog *catalog = catalog_open_writer(fixture->directory, &cause);
    if (catalog == NULL || catalog_volume_add(catalog, "00000000-0000-4000-8000-000000000000",
                               "/video", &fixture->volume_id, &cause) != CATALOG_OK)
        fail_msg("%s", cause);
    fixture->loop = ev_default_loop(EVFLAG_AUTO);
    fixture->committer = committer_new(fixture->loop, catalog);
    *state = fixture;
    return 0;
}

static void drop(struct commit *commit)
{
    fixture->dropped++;
    filing_free(commit->filing);
    free(commit);
}

static int remove_cb(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
    (void)info, (void)type, (void)ftw;
    return remove(path);
}

static int fixture_free(void **state)
{
    (void)state;
    committer_free(fixture->committer, drop);
    ev_loop_destroy(fixture->loop);
    nftw(fixture->directory, remove_cb, 16, FTW_DEPTH | FTW_PHYS);
    free(fixture);
    return 0;
}

static void done(struct commit *commit)
{
    fixture->done++;
    filing_free(commit->filing);
    free(commit);
}

static struct filing *put_segment(uint32_t number, int64_t start_us)
{
    struct commit *commit = xcalloc(1, sizeof(*commit));
    struct filing *filing = xcalloc(1, sizeof(*filing));
    *commit = (struct commit){
        .kind = COMMIT_SEGMENT,
        .done = done,
        .camera = "yard",
        .stream = "main",
        .run = {.run = NOON_US / 1000, .start_us = NOON_US},
        .filing = filing,
        .volume_id = fixture->volume_id,
    };
    filing->row = (struct catalog_segment){.run = NOON_US / 1000,
        .number = number,
        .start_us = start_us,
        .end_us = start_us + US_PER_SECOND,
        .size_bytes = 1000,
        .key = xasprintf("yard/main/%u.mp4", number)};
    buf_put_u8(&filing->packed, 1);
    committer_put(fixture->committer, commit);
    return filing;
}

// Until the round in hand is over.
static void run_round(void)
{
    committer_tick(fixture->committer);
    ev_run(fixture->loop, EVRUN_ONCE);
}

static void one_row_that_is_refused_holds_up_no_other(void **state)
{
    (void)state;
    put_segment(0, NOON_US);
    put_segment(1, -1); // before the epoch
    put_segment(2, NOON_US + US_PER_SECOND);
    run_round();
    assert_int_equal(fixture->done, 2);
    assert_int_equal(committer_pending(fixture->committer), 1);
    assert_non_null(strstr(committer_trouble(fixture->committer), "can not be right"));
}

static void many_refused_rows_hold_up_the_rest_for_some_rounds_only(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 20; i++)
        put_segment(i, -1);
    put_segment(20, NOON_US);
    for (int tick = 0; tick < 100 && fixture->done == 0; tick++) {
        committer_tick(fixture->committer);
        ev_run(fixture->loop, tick % 5 == 0 ? EVRUN_ONCE : EVRUN_NOWAIT);
    }
    assert_int_equal(fixture->done, 1);
    assert_int_equal(committer_pending(fixture->committer), 20);
}

// How often something was committed: frames of the write-ahead log that end a transaction name the
// size of the database, all others 0.
static size_t commits_in_log(void)
{
    char *path = xasprintf("%s/catalog.db-wal", fixture->directory), *cause = NULL;
    size_t size, commits = 0;
    uint8_t *log = (uint8_t *)fs_read_file(path, 64 << 20, &size, &cause);
    assert_non_null(log);
    size_t page = (size_t)log[10] << 8 | log[11];
    for (size_t at = 32; at + 24 + page <= size; at += 24 + page)
        commits += (log[at + 4] | log[at + 5] | log[at + 6] | log[at + 7]) != 0;
    free(log);
    free(path);
    return commits;
}

static void what_comes_in_a_second_is_one_commit(void **state)
{
    (void)state;
    size_t before = commits_in_log();
    for (uint32_t i = 0; i < 500; i++)
        put_segment(i, NOON_US + i * US_PER_SECOND);
    run_round();
    assert_int_equal(fixture->done, 500);
    assert_int_equal(commits_in_log() - before, 1);
}

static void a_segment_brings_the_epoch_that_it_begins(void **state)
{
    (void)state;
    put_segment(0, NOON_US);
    struct filing *filing = put_segment(1, NOON_US + 100 * US_PER_SECOND);
    filing->time.step = SEGTIME_CAMERA_JUMP;
    filing->time.step_us = 40 * US_PER_SECOND;
    put_segment(2, NOON_US + 101 * US_PER_SECOND);
    run_round();
    assert_int_equal(fixture->done, 3);
    struct catalog *catalog;
    struct catalog_epoch *epochs;
    size_t count;
    char *cause = NULL;
    assert_int_equal(catalog_open_reader(fixture->directory, &catalog, &cause), CATALOG_OK);
    assert_int_equal(
        catalog_epochs_in(catalog, 1, 0, INT64_MAX, 0, &epochs, &count, &cause), CATALOG_OK);
    assert_int_equal(count, 1);
    assert_int_equal(epochs[0].run, NOON_US / 1000);
    assert_int_equal(epochs[0].first_number, 1);
    assert_int_equal(epochs[0].start_us, NOON_US + 100 * US_PER_SECOND);
    assert_string_equal(epochs[0].cause, "camera_jump");
    assert_int_equal(epochs[0].moved_us, 40 * US_PER_SECOND);
    free(epochs);
    catalog_close(catalog);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            one_row_that_is_refused_holds_up_no_other, fixture_make, fixture_free),
        cmocka_unit_test_setup_teardown(
            many_refused_rows_hold_up_the_rest_for_some_rounds_only, fixture_make, fixture_free),
        cmocka_unit_test_setup_teardown(
            what_comes_in_a_second_is_one_commit, fixture_make, fixture_free),
        cmocka_unit_test_setup_teardown(
            a_segment_brings_the_epoch_that_it_begins, fixture_make, fixture_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
