// links: kf-indexer
// What lies in a volume's quarantine, listed and counted: from the files that say it, read anew
// only when something has changed.
#include "tests/unit/corpus.h"

#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include "indexer/quarantine.h"

struct fixture {
    char root[64];
    char *video;
    struct volume *volume;
    uint32_t count;
};

static int fixture_make(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));
    snprintf(fixture->root, sizeof(fixture->root), "/tmp/test_quarantine.XXXXXX");
    assert_non_null(mkdtemp(fixture->root));
    fixture->video = xasprintf("%s/video", fixture->root);
    char uuid[VOLUME_UUID_SIZE], *cause = NULL;
    if (volume_mark(fixture->video, uuid, &cause) < 0 ||
        (fixture->volume = volume_open(fixture->video, uuid, fixture->root, &cause)) == NULL)
        fail_msg("%s", cause);
    *state = fixture;
    return 0;
}

static int remove_cb(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
    (void)info, (void)type, (void)ftw;
    return remove(path);
}

static int fixture_free(void **state)
{
    struct fixture *fixture = *state;
    volume_free(fixture->volume);
    nftw(fixture->root, remove_cb, 16, FTW_DEPTH | FTW_PHYS);
    free(fixture->video);
    free(fixture);
    return 0;
}

static void put(struct fixture *fixture, size_t size, const char *reason, const char *detail)
{
    const struct segment_id id = {"yard", "main", INT64_C(1774958400000), fixture->count++};
    char *path = xasprintf("%s/file", fixture->root), *cause = NULL;
    char *data = xcalloc(1, size + 1);
    assert_int_equal(fs_write_file(path, data, size, 0640, &cause), 0);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (quarantine_put(fixture->volume, path, fd, size, &id, reason, detail, &cause) < 0)
        fail_msg("%s", cause);
    close(fd);
    free(data);
    free(path);
}

// Puts a file there as somebody else would.
static void put_stranger(const struct fixture *fixture, const char *name, const char *text)
{
    char *path = xasprintf("%s/.quarantine/%s", fixture->video, name), *cause = NULL;
    assert_int_equal(fs_write_file(path, text, strlen(text), 0640, &cause), 0);
    free(path);
}

static json_t *look(const struct fixture *fixture)
{
    struct stat seen = {0};
    struct quarantine *list = quarantine_look(fixture->volume, &seen);
    assert_non_null(list);
    json_t *json = quarantine_json(list);
    assert_non_null(json);
    quarantine_free(list);
    return json;
}

static json_int_t number_of(const json_t *json, const char *name)
{
    return json_integer_value(json_object_get(json, name));
}

static void nothing_lies_there(void **state)
{
    json_t *json = look(*state);
    assert_int_equal(number_of(json, "files"), 0);
    assert_int_equal(number_of(json, "bytes"), 0);
    assert_int_equal(json_object_size(json_object_get(json, "reasons")), 0);
    assert_int_equal(json_array_size(json_object_get(json, "newest")), 0);
    json_decref(json);
    assert_true(json_is_null(json = quarantine_json(NULL)));
    json_decref(json);
}

static void files_are_counted_by_reason_and_the_newest_named(void **state)
{
    struct fixture *fixture = *state;
    uint64_t bytes = 0;
    for (size_t i = 0; i < QUARANTINE_SHOWN_MAX + 5; i++) {
        put(fixture, 10 + i, i % 5 == 0 ? "codec" : "unreadable", i % 5 == 0 ? "odd" : "torn");
        bytes += 10 + i;
    }
    json_t *json = look(fixture), *reasons = json_object_get(json, "reasons");
    assert_int_equal(number_of(json, "files"), QUARANTINE_SHOWN_MAX + 5);
    assert_int_equal(number_of(json, "bytes"), bytes);
    assert_int_equal(json_object_size(reasons), 2);
    assert_int_equal(number_of(reasons, "codec"), 5);
    assert_int_equal(number_of(reasons, "unreadable"), QUARANTINE_SHOWN_MAX);
    const json_t *newest = json_object_get(json, "newest"), *first = json_array_get(newest, 0);
    assert_int_equal(json_array_size(newest), QUARANTINE_SHOWN_MAX);
    assert_string_equal(
        json_string_value(json_object_get(first, "name")), "yard.main.1774958400000-000024.mp4");
    assert_string_equal(json_string_value(json_object_get(first, "reason")), "unreadable");
    assert_string_equal(json_string_value(json_object_get(first, "detail")), "torn");
    assert_int_equal(number_of(first, "bytes"), 10 + QUARANTINE_SHOWN_MAX + 4);
    assert_non_null(json_object_get(first, "time"));
    json_decref(json);
}

static void what_others_put_there_is_listed_harmlessly(void **state)
{
    struct fixture *fixture = *state;
    put(fixture, 4, "codec", "line\nquarantined: never \x1b[31m \xff");
    put_stranger(fixture, "old.mp4", "12345");
    put_stranger(fixture, "old.mp4.reason",
        "segment: a/b/1-000000\nquarantined: 2020-01-01T00:00:00.000000Z\nreason: it is torn\n");
    put_stranger(fixture, "bad\xff\x1b.mp4", "1");
    char *deep = xasprintf("%s/.quarantine/directory", fixture->video);
    assert_int_equal(mkdir(deep, 0755), 0);
    free(deep);
    json_t *json = look(fixture);
    assert_int_equal(number_of(json, "files"), 3);
    assert_int_equal(number_of(json, "bytes"), 10);
    assert_int_equal(number_of(json_object_get(json, "reasons"), "unknown"), 2);
    assert_int_equal(number_of(json_object_get(json, "reasons"), "codec"), 1);
    char *text = json_dumps(json, 0);
    assert_non_null(text); // all of it is text
    assert_null(strchr(text, '\x1b'));
    assert_non_null(strstr(text, "it is torn"));
    assert_non_null(strstr(text, "2020-01-01T00:00:00.000000Z"));
    free(text);
    json_decref(json);
}

static void it_is_read_again_only_when_it_has_changed(void **state)
{
    struct fixture *fixture = *state;
    put(fixture, 1, "codec", "odd");
    char *path = xasprintf("%s/.quarantine", fixture->video);
    const struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    struct stat seen = {0};
    // What has just changed may change again in the same tick of the clock: not known yet.
    quarantine_free(quarantine_look(fixture->volume, &seen));
    struct quarantine *list = quarantine_look(fixture->volume, &seen);
    assert_non_null(list);
    quarantine_free(list);
    assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
    quarantine_free(quarantine_look(fixture->volume, &seen));
    assert_null(quarantine_look(fixture->volume, &seen));
    put(fixture, 1, "codec", "odd");
    list = quarantine_look(fixture->volume, &seen);
    assert_non_null(list);
    assert_int_equal(list->count, 2);
    quarantine_free(list);
    free(path);
}

int main(void)
{
#define QUARANTINE_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_make, fixture_free)
    const struct CMUnitTest tests[] = {
        QUARANTINE_TEST(nothing_lies_there),
        QUARANTINE_TEST(files_are_counted_by_reason_and_the_newest_named),
        QUARANTINE_TEST(what_others_put_there_is_listed_harmlessly),
        QUARANTINE_TEST(it_is_read_again_only_when_it_has_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
