// Reading a virtual file: any part, slowly, and while its segments vanish.
#include "tests/unit/vfile.h"

static void test_any_part_equals_the_whole(void **state)
{
    (void)state;
    struct archive archive;
    archive_init(&archive);
    add_run(&archive, true, false, true);
    for (int silent = 0; silent < 2; silent++) {
        struct vfile *file = must_make(&archive,
            (struct ask){
                .start_us = START_US + 1234000, .end_us = START_US + 9876000, .silent = silent});
        uint64_t size = vfile_info(file)->size;
        uint8_t *whole = read_all(&archive, file), *part = xmalloc(size);
        struct vfile_reader *reader = vfile_reader_new(file);
        for (int i = 0; i < 300; i++) {
            uint64_t from = (uint64_t)random() % size;
            uint64_t length = 1 + (uint64_t)random() % (i % 2 ? 500 : size);
            length = length < size - from ? length : size - from;
            read_part(&archive, reader, from, part, length, 1 + (size_t)random() % 70000);
            assert_memory_equal(part, whole + from, length);
        }
        vfile_reader_free(reader);
        vfile_free(file);
        free(part);
        free(whole);
    }
    archive_fini(&archive);
}

static void test_more_segments_than_a_reader_holds_open(void **state)
{
    (void)state;
    struct archive archive;
    archive_init(&archive);
    for (uint32_t i = 0; i < SEGMENTS_MAX; i++)
        archive_add(&archive, &(struct recipe){.run = 1,
                                  .number = i,
                                  .start_us = START_US + i * 1000000,
                                  .video_start = i * 90000,
                                  .frames = 25,
                                  .gop = 25});
    struct ask ask = between(START_US + 500000, START_US + SEGMENTS_MAX * 1000000 - 500000);
    struct result result;
    fetch(&result, &archive, ask);
    check_range(&archive, &result, ask);
    struct vfile *file = must_make(&archive, ask);
    struct vfile_reader *reader = vfile_reader_new(file);
    uint8_t part[5000];
    for (int i = 0; i < 200; i++) {
        uint64_t from = (uint64_t)random() % (result.info.size - sizeof(part));
        read_part(&archive, reader, from, part, sizeof(part), sizeof(part));
        assert_memory_equal(part, result.data + from, sizeof(part));
    }
    vfile_reader_free(reader);
    vfile_free(file);
    result_fini(&result);
    archive_fini(&archive);
}

static void test_a_file_that_has_changed_ends_the_answer(void **state)
{
    (void)state;
    struct archive archive;
    archive_init(&archive);
    add_run(&archive, false, false, true);
    struct vfile *file = must_make(&archive, between(START_US, START_US + 12000000));
    struct vfile_source source = archive_source(&archive);
    uint64_t at = vfile_info(file)->size - 1; // in the last segment
    uint8_t byte;
    char *cause = NULL;

    // Shorter than its row says.
    assert_int_equal(truncate(archive.paths[2], (off_t)archive.segments[2].media_end - 1), 0);
    struct vfile_reader *reader = vfile_reader_new(file);
    assert_int_equal(vfile_reader_try(reader, at, &byte, 1, &cause), 0);
    assert_int_equal(vfile_reader_load(reader, &source, at, &cause), -1);
    assert_non_null(cause);
    free(cause);
    cause = NULL;
    vfile_reader_free(reader);

    // Gone.
    assert_int_equal(unlink(archive.paths[2]), 0);
    reader = vfile_reader_new(file);
    assert_int_equal(vfile_reader_load(reader, &source, at, &cause), -1);
    assert_non_null(cause);
    free(cause);
    cause = NULL;
    vfile_reader_free(reader);

    // Truncated while it is open: never other bytes, and the process lives.
    reader = vfile_reader_new(file);
    at = vfile_info(file)->size - 2 - archive.segments[2].media_end;
    assert_int_equal(vfile_reader_load(reader, &source, at, &cause), 0);
    assert_true(vfile_reader_try(reader, at, &byte, 1, &cause) == 1);
    assert_int_equal(truncate(archive.paths[1], 0), 0);
    struct vfile_reader *other = reader;
    ssize_t got = 1;
    for (int i = 0; i < 1000000 && got > 0; i++, at++)
        got = vfile_reader_try(other, at, &byte, 1, &cause);
    if (got == 0)
        got = vfile_reader_load(other, &source, at, &cause);
    assert_int_equal(got, -1);
    assert_non_null(cause);
    free(cause);
    vfile_reader_free(reader);
    vfile_free(file);
    archive_fini(&archive);
}

static void test_a_table_that_does_not_fit_its_row_is_refused(void **state)
{
    (void)state;
    struct archive archive;
    archive_init(&archive);
    add_run(&archive, false, false, false);
    struct vfile *file = must_make(&archive, between(START_US, START_US + 12000000));
    struct vfile_source source = archive_source(&archive);
    // The second segment's table turns out to have one sample less.
    archive.media[1].tracks[0].sample_count--;
    buf_fini(&archive.packed[1]);
    sample_table_encode(&archive.media[1], &archive.packed[1]);
    struct vfile_reader *reader = vfile_reader_new(file);
    uint64_t size = vfile_info(file)->size, at = 0;
    uint8_t *data = xmalloc(size);
    char *cause = NULL;
    while (at < size) {
        ssize_t got = vfile_reader_try(reader, at, data, size, &cause);
        if (got == 0 && vfile_reader_load(reader, &source, at, &cause) < 0)
            break;
        at += got > 0 ? (uint64_t)got : 0;
    }
    assert_true(at < size);
    assert_non_null(cause);
    free(cause);
    free(data);
    vfile_reader_free(reader);
    vfile_free(file);
    archive_fini(&archive);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_part_equals_the_whole),
        cmocka_unit_test(test_more_segments_than_a_reader_holds_open),
        cmocka_unit_test(test_a_file_that_has_changed_ends_the_answer),
        cmocka_unit_test(test_a_table_that_does_not_fit_its_row_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
