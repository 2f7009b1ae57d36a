// links: kf-indexer
// A rebuilt catalog takes the old one's place: as a whole, and on from wherever a crash has cut it.
#include "tests/unit/corpus.h"

#include <dirent.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "indexer/exchange.h"

static const char *const old_files[] = {
    "catalog.db", "catalog.db-wal", "catalog.db.before-2", "frames-2026-03-31.db"};
static const char *const new_files[] = {
    "catalog.db", "frames-2026-03-30.db", "frames-2026-04-01.db"};
static const char *const others[] = {"lock", "retention-clock", "notes.db"};

enum {
    OLD = sizeof(old_files) / sizeof(old_files[0]),
    NEW = sizeof(new_files) / sizeof(new_files[0]),
    OTHERS = sizeof(others) / sizeof(others[0]),
};

static int place_make(void **state)
{
    char *database = xstrdup("/tmp/test_exchange.XXXXXX");
    assert_non_null(mkdtemp(database));
    *state = database;
    return 0;
}

static int remove_cb(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
    (void)info, (void)type, (void)ftw;
    return remove(path);
}

static int place_free(void **state)
{
    nftw(*state, remove_cb, 16, FTW_DEPTH | FTW_PHYS);
    free(*state);
    return 0;
}

static void put(const char *directory, const char *name, const char *text)
{
    char *path = xasprintf("%s/%s", directory, name), *cause = NULL;
    assert_int_equal(fs_write_file(path, text, strlen(text), 0640, &cause), 0);
    free(path);
}

static void put_all(
    const char *directory, const char *const *names, size_t first, size_t end, const char *text)
{
    for (size_t i = first; i < end; i++)
        put(directory, names[i], text);
}

static void check_text(const char *directory, const char *name, const char *expected)
{
    char *path = xasprintf("%s/%s", directory, name), *cause = NULL;
    size_t size;
    char *text = fs_read_file(path, 100, &size, &cause);
    if (text == NULL)
        fail_msg("%s", cause);
    assert_string_equal(text, expected);
    free(text);
    free(path);
}

static size_t count_in(const char *directory)
{
    DIR *dir = opendir(directory);
    assert_non_null(dir);
    size_t count = 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

static bool has(const char *database, const char *name)
{
    char *path = xasprintf("%s/%s", database, name);
    bool there = access(path, F_OK) == 0;
    free(path);
    return there;
}

// The new files are in place, whole, and what is none of the catalog's was not touched.
static void check_new(const char *database)
{
    for (size_t i = 0; i < NEW; i++)
        check_text(database, new_files[i], "new");
    for (size_t i = 0; i < OTHERS; i++)
        check_text(database, others[i], "other");
    assert_false(has(database, "frames-2026-03-31.db") || has(database, "catalog.db-wal") ||
                 has(database, "catalog.db-shm") || has(database, "catalog.db.before-2"));
    assert_false(has(database, "rebuild") || has(database, "rebuild.whole") ||
                 has(database, "rebuild.enter"));
}

static void check_kept(const char *kept)
{
    assert_int_equal(count_in(kept), OLD);
    for (size_t i = 0; i < OLD; i++)
        check_text(kept, old_files[i], "old");
}

static void the_new_one_takes_the_old_ones_place(void **state)
{
    const char *database = *state;
    char *cause = NULL, *kept;
    put_all(database, old_files, 0, OLD, "old");
    put(database, "catalog.db-shm", "index");
    put_all(database, others, 0, OTHERS, "other");
    char *place = exchange_begin(database, &cause);
    assert_non_null(place);
    assert_int_equal(count_in(place), 0);
    put_all(place, new_files, 0, NEW, "new");
    check_text(database, "catalog.db", "old"); // until it is whole
    assert_int_equal(exchange_finish(database, &kept, &cause), 0);
    check_new(database);
    check_kept(kept);
    free(kept);
    free(place);
}

static void where_there_was_none_nothing_is_kept(void **state)
{
    const char *database = *state;
    char *cause = NULL, *kept, *place = exchange_begin(database, &cause);
    put_all(database, others, 0, OTHERS, "other");
    put_all(place, new_files, 0, NEW, "new");
    assert_int_equal(exchange_finish(database, &kept, &cause), 0);
    assert_null(kept);
    check_new(database);
    assert_int_equal(count_in(database), NEW + OTHERS);
    free(place);
}

static void half_a_rebuild_is_thrown_away(void **state)
{
    const char *database = *state;
    char *cause = NULL, *place = exchange_begin(database, &cause);
    put_all(database, old_files, 0, OLD, "old");
    put_all(place, new_files, 0, 2, "half");
    assert_int_equal(exchange_resume(database, &cause), 0);
    assert_int_equal(count_in(database), OLD);
    check_kept(database);
    // And a new beginning finds nothing of it.
    free(place);
    place = exchange_begin(database, &cause);
    put_all(place, new_files, 0, 2, "half");
    free(place);
    place = exchange_begin(database, &cause);
    assert_int_equal(count_in(place), 0);
    free(place);
}

// Cut after so many of the old files have gone out, or of the new ones have come in.
static void it_goes_on_from_wherever_it_was_cut(void **state)
{
    const char *database = *state;
    char *cause = NULL;
    char *kept = xasprintf("%s/before-reindex-2026-03-31T12:00:00.000000Z", database);
    char *whole = xasprintf("%s/rebuild.whole", database);
    char *enter = xasprintf("%s/rebuild.enter", database);
    for (size_t cut = 0; cut <= OLD + NEW + 1; cut++) {
        size_t out = cut <= OLD ? cut : OLD, in = cut > OLD ? cut - OLD - 1 : 0;
        put_all(database, others, 0, OTHERS, "other");
        assert_int_equal(mkdir(kept, 0750), 0);
        put_all(kept, old_files, 0, out, "old");
        put_all(database, old_files, out, OLD, "old");
        const char *place = cut <= OLD ? whole : enter;
        assert_int_equal(mkdir(place, 0750), 0);
        put_all(database, new_files, 0, in, "new");
        put_all(place, new_files, in, NEW, "new");
        assert_int_equal(exchange_resume(database, &cause), 0);
        check_new(database);
        assert_int_equal(exchange_resume(database, &cause), 0); // nothing is left to do
        check_new(database);
        // Every old file is kept, in one place or in two.
        size_t found = 0;
        DIR *dir = opendir(database);
        for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
            char *path = xasprintf("%s/%s", database, entry->d_name);
            if (strncmp(entry->d_name, "before-reindex-", 15) == 0)
                found += count_in(path);
            free(path);
        }
        closedir(dir);
        assert_int_equal(found, OLD);
        nftw(database, remove_cb, 16, FTW_DEPTH | FTW_PHYS);
        assert_int_equal(mkdir(database, 0750), 0);
    }
    free(enter);
    free(whole);
    free(kept);
}

static void what_is_in_the_way_is_named(void **state)
{
    const char *database = *state;
    char *cause = NULL, *place = xasprintf("%s/rebuild", database);
    assert_int_equal(mkdir(place, 0750), 0);
    put(place, "holiday.txt", "not ours");
    assert_null(exchange_begin(database, &cause));
    assert_non_null(strstr(cause, place));
    check_text(place, "holiday.txt", "not ours");
    free(cause);
    free(place);
}

int main(void)
{
#define EXCHANGE_TEST(name) cmocka_unit_test_setup_teardown(name, place_make, place_free)
    const struct CMUnitTest tests[] = {
        EXCHANGE_TEST(the_new_one_takes_the_old_ones_place),
        EXCHANGE_TEST(where_there_was_none_nothing_is_kept),
        EXCHANGE_TEST(half_a_rebuild_is_thrown_away),
        EXCHANGE_TEST(it_goes_on_from_wherever_it_was_cut),
        EXCHANGE_TEST(what_is_in_the_way_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
