// Listing a cache directory with everything that may stand there, and reading a file through the
// window.
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/core/alloc.h"
#include "lib/core/fsutil.h"
#include "lib/core/timeutil.h"
#include "lib/media/cache.h"

static char cache[] = "/tmp/keepframe-cache-XXXXXX";

static const char *const names[] = {
    "1700000000001-000001.mp4",
    "1700000000001-000000.mp4",
    "900-000003.mp4",
    "1700000000001-1000000.mp4",
    // none of these is a segment:
    "1700000000001.json",
    "1700000000001-00000.mp4",
    "1700000000001-000002.mp4.tmp",
    "01700000000001-000002.mp4",
    "-000002.mp4",
    "1700000000001-000002.mkv",
    ".last-run",
};

static char *stream_path(const char *name)
{
    return xasprintf("%s/yard/main/%s", cache, name);
}

static int setup(void **state)
{
    (void)state;
    if (mkdtemp(cache) == NULL)
        return -1;
    char *cause = NULL, *directory = stream_path("1700000000001-000007.mp4"); // no segment either
    if (fs_make_dirs(directory, 0700, &cause) < 0)
        return -1;
    free(directory);
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        char *path = stream_path(names[i]);
        if (fs_write_file(path, "12345", 5, 0600, &cause) < 0) {
            print_error("%s\n", cause);
            return -1;
        }
        free(path);
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        char *path = stream_path(names[i]);
        unlink(path);
        free(path);
    }
    static const char *const directories[] = {"1700000000001-000007.mp4", "", "..", "../.."};
    for (size_t i = 0; i < ARRAY_LENGTH(directories); i++) {
        char *path = i == 3   ? xstrdup(cache)
                     : i == 2 ? xasprintf("%s/yard", cache)
                              : stream_path(directories[i]);
        rmdir(path);
        free(path);
    }
    return 0;
}

static void test_list_in_order(void **state)
{
    (void)state;
    struct cache_listing listing;
    char *cause = NULL;
    assert_int_equal(cache_list(cache, "yard", "main", &listing, &cause), 0);
    assert_int_equal(listing.count, 4);
    static const struct {
        int64_t run;
        uint32_t number;
    } expected[] = {{900, 3}, {1700000000001, 0}, {1700000000001, 1}, {1700000000001, 1000000}};
    for (size_t i = 0; i < listing.count; i++) {
        assert_int_equal(listing.files[i].id.run, expected[i].run);
        assert_int_equal(listing.files[i].id.number, expected[i].number);
        assert_string_equal(listing.files[i].id.camera, "yard");
        assert_int_equal(listing.files[i].size, 5);
        assert_in_range(time_now_us() - listing.files[i].birth_us, 0, 60 * US_PER_SECOND);
    }
    assert_int_equal(cache_listing_birth_us(&listing, 1700000000001, 1), listing.files[2].birth_us);
    assert_int_equal(cache_listing_birth_us(&listing, 1700000000001, 2), 0);
    cache_listing_fini(&listing);

    assert_int_equal(cache_list(cache, "nobody", "main", &listing, &cause), 0);
    assert_int_equal(listing.count, 0);
    assert_int_equal(cache_listing_birth_us(&listing, 1, 1), 0);
    cache_listing_fini(&listing);
}

static void test_paths(void **state)
{
    (void)state;
    const struct segment_id id = {
        .camera = "yard", .stream = "main", .run = 1700000000001, .number = 1000000};
    char *path = cache_segment_path("/c", &id);
    assert_string_equal(path, "/c/yard/main/1700000000001-1000000.mp4");
    free(path);
    path = cache_run_path("/c", "yard", "main", 900);
    assert_string_equal(path, "/c/yard/main/900.json");
    free(path);
}

static void test_read_through_the_window(void **state)
{
    (void)state;
    enum {
        SIZE = 300000
    };
    uint8_t *content = xmalloc(SIZE), *got = xmalloc(SIZE);
    for (size_t i = 0; i < SIZE; i++)
        content[i] = (uint8_t)(i * 2654435761u >> 13);
    char *path = stream_path("content"), *cause = NULL;
    assert_int_equal(fs_write_file(path, content, SIZE, 0600, &cause), 0);
    int fd = open(path, O_RDONLY);
    struct cache_reader *reader = xmalloc(sizeof(*reader));
    cache_reader_init(reader, fd);
    struct mp4_source source = cache_reader_source(reader, SIZE);
    assert_int_equal(source.size, SIZE);
    unsigned seed = 1;
    for (int i = 0; i < 2000; i++) {
        size_t size = (size_t)rand_r(&seed) % (i % 10 == 0 ? 100000 : 64);
        uint64_t offset = (uint64_t)rand_r(&seed) % (SIZE + 1000);
        bool inside = offset + size <= SIZE;
        assert_int_equal(source.read(source.arg, offset, got, size), inside || size == 0 ? 0 : -1);
        if (inside)
            assert_memory_equal(got, content + offset, size);
    }
    close(fd);
    unlink(path);
    free(path);
    free(reader);
    free(content);
    free(got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list_in_order),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_read_through_the_window),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
