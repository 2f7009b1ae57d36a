// links: kf-indexer
// Two volumes held against a catalog: what each lacks and has too much, and what is no finding.
#include "tests/unit/catalog.h"

#include <fcntl.h>
#include <ftw.h>

#include "indexer/survey.h"
#include "indexer/volume.h"
#include "lib/core/fsutil.h"

enum {
    VOLUMES = 2,
    EACH = 6, // segments on each volume, six hours apart
};

struct place {
    struct fixture *fixture;
    char *paths[VOLUMES];
    struct catalog_segment rows[VOLUMES * EACH];
    atomic_bool stop;
    struct survey survey;
};

static void put_file(const struct place *place, int volume, const char *key)
{
    char *path = xasprintf("%s/%s", place->paths[volume], key), *why = NULL;
    char *directory = xasprintf("%.*s", (int)(strrchr(path, '/') - path), path);
    assert_int_equal(fs_make_dirs(directory, 0755, &why), 0);
    assert_int_equal(fs_write_file(path, "x", 1, 0640, &why), 0);
    free(directory);
    free(path);
}

static void drop_file(const struct place *place, int volume, const char *key)
{
    char *path = xasprintf("%s/%s", place->paths[volume], key);
    assert_int_equal(unlink(path), 0);
    free(path);
}

static int place_make(void **state)
{
    struct place *place = xcalloc(1, sizeof(*place));
    fixture_make((void **)&place->fixture);
    struct fixture *fixture = place->fixture;
    CHECK(catalog_begin(fixture->catalog, &cause));
    for (int i = 0; i < VOLUMES; i++) {
        char uuid[VOLUME_UUID_SIZE];
        int64_t id;
        place->paths[i] = xasprintf("%s.volume%d", fixture->directory, i);
        assert_int_equal(volume_mark(place->paths[i], uuid, &cause), 0);
        CHECK(catalog_volume_add(fixture->catalog, uuid, place->paths[i], &id, &cause));
        for (uint32_t j = 0; j < EACH; j++) {
            struct catalog_segment *row = &place->rows[i * EACH + (int)j];
            uint32_t number = (uint32_t)i * EACH + j;
            *row = test_segment(fixture, NOON_US + number * 6 * HOUR_US, HOUR_US, number);
            row->volume_id = id;
            segment_set_key(row);
            CHECK(catalog_segment_add(fixture->catalog, row, &cause));
            put_file(place, i, row->key);
        }
    }
    CHECK(catalog_commit(fixture->catalog, &cause));
    *state = place;
    return 0;
}

static int remove_cb(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
    (void)info, (void)type, (void)ftw;
    return remove(path);
}

static int place_free(void **state)
{
    struct place *place = *state;
    for (int i = 0; i < VOLUMES; i++) {
        nftw(place->paths[i], remove_cb, 16, FTW_DEPTH | FTW_PHYS);
        free(place->paths[i]);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(place->rows); i++)
        catalog_segment_fini(&place->rows[i]);
    fixture_free((void **)&place->fixture);
    free(place);
    return 0;
}

// Release with survey_fini(). The catalog's first volume is the fixture's, which is nowhere.
static const struct survey *look(struct place *place, int64_t since_us)
{
    place->survey = (struct survey){
        .database = place->fixture->directory, .since_us = since_us, .stop = &place->stop};
    survey_run(&place->survey);
    assert_int_equal(place->survey.volume_count, 1 + VOLUMES);
    assert_int_equal(place->survey.volumes[0].root, -1);
    return &place->survey;
}

static void what_agrees_is_no_finding(void **state)
{
    struct place *place = *state;
    const struct survey *survey = look(place, 0);
    assert_null(survey->cause);
    assert_int_equal(survey->file_count + survey->row_count + survey->unknown, 0);
    for (int i = 1; i <= VOLUMES; i++) {
        assert_null(survey->volumes[i].trouble);
        assert_int_equal(survey->volumes[i].rows, EACH);
        assert_int_equal(survey->volumes[i].missing, 0);
    }
    survey_fini(&place->survey);
}

static void both_directions_by_volume(void **state)
{
    struct place *place = *state;
    drop_file(place, 0, place->rows[2].key);
    drop_file(place, 1, place->rows[EACH].key);
    drop_file(place, 1, place->rows[EACH + 5].key);
    put_file(place, 1, "gate/sub/2026-04-02/2026-04-02_10-00-00.000+0000.mp4"); // a new stream
    put_file(place, 0, place->rows[EACH].key); // on the wrong volume
    const struct survey *survey = look(place, 0);
    assert_null(survey->cause);
    assert_int_equal(survey->row_count, 3);
    static const uint32_t numbers[] = {2, EACH, EACH + 5};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(survey->rows[i].volume, i == 0 ? 1 : 2);
        assert_int_equal(survey->rows[i].number, numbers[i]);
        assert_int_equal(survey->rows[i].run, place->rows[0].run);
    }
    assert_int_equal(survey->volumes[1].missing, 1);
    assert_int_equal(survey->volumes[2].missing, 2);
    assert_int_equal(survey->file_count, 2);
    assert_int_equal(survey->files[0].volume, 1);
    assert_string_equal(survey->files[0].key, place->rows[EACH].key);
    assert_int_equal(survey->files[1].volume, 2);
    assert_string_equal(
        survey->files[1].key, "gate/sub/2026-04-02/2026-04-02_10-00-00.000+0000.mp4");
    survey_fini(&place->survey);
}

static void strangers_and_what_is_to_be_unlinked_are_no_findings(void **state)
{
    struct place *place = *state;
    CHECK(catalog_begin(place->fixture->catalog, &cause));
    CHECK(catalog_segment_discard(place->fixture->catalog, &place->rows[1], "test", &cause));
    CHECK(catalog_commit(place->fixture->catalog, &cause));
    put_file(place, 0, "yard/main/2026-03-31/notes.txt");
    put_file(place, 0, "yard/main/holiday/2026-04-02_10-00-00.000+0000.mp4");
    put_file(place, 0, "Yard!/main/2026-03-31/2026-04-02_10-00-00.000+0000.mp4");
    put_file(place, 0, ".quarantine/yard.main.1-000000.mp4");
    const struct survey *survey = look(place, 0);
    assert_int_equal(survey->file_count + survey->row_count, 0);
    assert_int_equal(survey->unknown, 3);
    survey_fini(&place->survey);
}

static void a_day_or_a_stream_that_went_is_missing(void **state)
{
    struct place *place = *state;
    char *path = xasprintf("%s/yard/main/2026-04-01", place->paths[0]);
    nftw(path, remove_cb, 16, FTW_DEPTH | FTW_PHYS);
    free(path);
    path = xasprintf("%s/yard", place->paths[1]);
    nftw(path, remove_cb, 16, FTW_DEPTH | FTW_PHYS);
    free(path);
    const struct survey *survey = look(place, 0);
    assert_int_equal(survey->volumes[1].missing, 4);
    assert_int_equal(survey->volumes[2].missing, EACH);
    survey_fini(&place->survey);
}

static void set_old(const char *root, const char *below)
{
    const struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    char *path = xasprintf("%s%s", root, below);
    assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
    free(path);
}

static void only_what_was_written_since_is_looked_at(void **state)
{
    static const char *const folders[] = {
        "/yard/main/2026-03-31", "/yard/main/2026-04-01", "/yard/main", "/yard", ""};
    struct place *place = *state;
    drop_file(place, 0, place->rows[1].key); // on the last of March
    drop_file(place, 0, place->rows[3].key); // on the first of April
    for (size_t i = 0; i < ARRAY_LENGTH(folders); i++) {
        if (strcmp(folders[i], "/yard/main/2026-04-01") != 0)
            set_old(place->paths[0], folders[i]);
    }
    const struct survey *survey = look(place, 2000 * US_PER_SECOND);
    assert_int_equal(survey->row_count, 1);
    assert_int_equal(survey->rows[0].number, 3);
    survey_fini(&place->survey);
}

static void a_volume_that_is_not_there_lacks_nothing(void **state)
{
    struct place *place = *state;
    char *mark = xasprintf("%s/" VOLUME_MARK, place->paths[0]);
    assert_int_equal(unlink(mark), 0);
    drop_file(place, 1, place->rows[EACH].key);
    const struct survey *survey = look(place, 0);
    assert_null(survey->cause);
    assert_non_null(strstr(survey->volumes[1].trouble, place->paths[0]));
    assert_int_equal(survey->volumes[1].missing, 0);
    assert_int_equal(survey->volumes[2].missing, 1);
    survey_fini(&place->survey);
    // Another disk in its place is as good as none.
    char uuid[VOLUME_UUID_SIZE];
    assert_int_equal(volume_mark(place->paths[0], uuid, &cause), 0);
    survey = look(place, 0);
    assert_int_equal(survey->volumes[1].root, -1);
    survey_fini(&place->survey);
    free(mark);
}

static void it_ends_when_it_is_to(void **state)
{
    struct place *place = *state;
    atomic_store(&place->stop, true);
    assert_non_null(strstr(look(place, 0)->cause, "stopped"));
    survey_fini(&place->survey);
}

int main(void)
{
#define SURVEY_TEST(name) cmocka_unit_test_setup_teardown(name, place_make, place_free)
    const struct CMUnitTest tests[] = {
        SURVEY_TEST(what_agrees_is_no_finding),
        SURVEY_TEST(both_directions_by_volume),
        SURVEY_TEST(strangers_and_what_is_to_be_unlinked_are_no_findings),
        SURVEY_TEST(a_day_or_a_stream_that_went_is_missing),
        SURVEY_TEST(only_what_was_written_since_is_looked_at),
        SURVEY_TEST(a_volume_that_is_not_there_lacks_nothing),
        SURVEY_TEST(it_ends_when_it_is_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
