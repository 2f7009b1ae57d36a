// Another configuration of the same codec inside a virtual file: parameter sets before its key
// samples, where these carry none.
#include "tests/unit/entries.h"
#include "tests/unit/vfile.h"

// avcC: version, profile, constraints, level, length size, an SPS, a PPS; and the same as units.
static const uint8_t configs[2][17] = {
    {1, 100, 0, 30, 0xff, 0xe1, 0, 4, 0x67, 1, 2, 3, 1, 0, 2, 0x68, 9},
    {1, 100, 0, 31, 0xff, 0xe1, 0, 4, 0x67, 4, 5, 6, 1, 0, 2, 0x68, 8}};
static const uint8_t sets[2][14] = {{0, 0, 0, 4, 0x67, 1, 2, 3, 0, 0, 0, 2, 0x68, 9},
    {0, 0, 0, 4, 0x67, 4, 5, 6, 0, 0, 0, 2, 0x68, 8}};

enum {
    SETS_SIZE = sizeof(sets[0]),
};

static void say_h264(struct archive *archive, struct buf entry[2])
{
    for (int i = 0; i < 2; i++) {
        entry[i] = entry_video("avc1", "avcC", configs[i], sizeof(configs[i]));
        archive->entries[VFILE_VIDEO][i] = (struct mp4_entry){entry[i].data, entry[i].size};
    }
}

// Each sample of a kind, in order, is a recorded one; with `prefixed`, key samples have the sets of
// their entry before them, unless all that is in the file has the same. Returns how many have.
static size_t check_samples(
    struct archive *archive, const struct result *result, enum media_kind kind, bool prefixed)
{
    const struct movie_track *track = kind == MEDIA_VIDEO ? result->video : result->audio;
    bool several = false;
    for (size_t i = result->info.first; i <= result->info.last; i++)
        several |= archive->segments[i].entries[VFILE_VIDEO] !=
                   archive->segments[result->info.first].entries[VFILE_VIDEO];
    size_t segment = 0, at = 0, found = 0;
    for (uint32_t i = 0; i < track->sample_count; i++) {
        const uint8_t *bytes = result->data + track->samples[i].offset;
        for (;; at++) {
            const struct media_track *from = media_segment_track(&archive->media[segment], kind);
            if (at == from->sample_count) {
                segment++;
                at = 0;
                assert_true(segment < archive->count);
                from = media_segment_track(&archive->media[segment], kind);
            }
            const struct media_sample *sample = &from->samples[at];
            uint32_t entry = archive->segments[segment].entries[VFILE_VIDEO];
            bool made = prefixed && kind == MEDIA_VIDEO && sample->key && several;
            size_t more = made ? SETS_SIZE : 0;
            if (track->samples[i].size != sample->size + more ||
                memcmp(bytes + more, archive->files[segment].data + sample->offset, sample->size) !=
                    0)
                continue;
            assert_true(!made || memcmp(bytes, sets[entry - 1], SETS_SIZE) == 0);
            assert_int_equal(track->samples[i].key, sample->key);
            found += made;
            at++;
            break;
        }
    }
    return found;
}

static struct ask whole(bool silent)
{
    return (struct ask){START_US, START_US + 12000000, .silent = silent};
}

static void test_every_key_sample_has_them_where_entries_differ(void **state)
{
    (void)state;
    struct archive archive;
    struct buf entry[2];
    archive_init(&archive);
    say_h264(&archive, entry);
    add_run(&archive, true, false, true);
    archive.segments[1].entries[VFILE_VIDEO] = 2;
    for (int silent = 0; silent < 2; silent++) {
        archive.tables_asked = 0;
        struct vfile *file = must_make(&archive, whole(silent));
        assert_true(archive.tables_asked <= 4); // its size follows from rows
        vfile_free(file);
        struct result result;
        fetch(&result, &archive, whole(silent));
        assert_int_equal(check_samples(&archive, &result, MEDIA_VIDEO, true), 12);
        if (!silent)
            check_samples(&archive, &result, MEDIA_AUDIO, true);
        result_fini(&result);
        for (int i = 0; i < 60; i++) {
            int64_t from = START_US + 1000 * (random() % 8000);
            struct ask ask = {from, from + 1000 * (1 + random() % 8000), .silent = silent};
            fetch(&result, &archive, ask);
            assert_true(check_samples(&archive, &result, MEDIA_VIDEO, true) <= 12);
            if (result.audio != NULL)
                check_samples(&archive, &result, MEDIA_AUDIO, true);
            result_fini(&result);
        }
    }
    buf_fini(&entry[0]);
    buf_fini(&entry[1]);
    archive_fini(&archive);
}

static void test_any_part_of_a_file_with_made_bytes(void **state)
{
    (void)state;
    struct archive archive;
    struct buf entry[2];
    archive_init(&archive);
    say_h264(&archive, entry);
    add_run(&archive, true, false, true);
    archive.segments[1].entries[VFILE_VIDEO] = 2;
    for (int silent = 0; silent < 2; silent++) {
        struct vfile *file = must_make(
            &archive, (struct ask){START_US + 1234000, START_US + 9876000, .silent = silent});
        uint64_t size = vfile_info(file)->size;
        uint8_t *all = read_all(&archive, file), *part = xmalloc(size);
        struct vfile_reader *reader = vfile_reader_new(file);
        for (int i = 0; i < 300; i++) {
            uint64_t from = (uint64_t)random() % size;
            uint64_t length = 1 + (uint64_t)random() % (i % 2 ? 500 : size);
            length = length < size - from ? length : size - from;
            read_part(&archive, reader, from, part, length, 1 + (size_t)random() % 70000);
            assert_memory_equal(part, all + from, length);
        }
        vfile_reader_free(reader);
        vfile_free(file);
        free(part);
        free(all);
    }
    buf_fini(&entry[0]);
    buf_fini(&entry[1]);
    archive_fini(&archive);
}

static void test_where_they_are_not_needed_there_are_none(void **state)
{
    (void)state;
    struct archive archive;
    struct buf entry[2];
    struct result result;
    archive_init(&archive);
    say_h264(&archive, entry);
    add_run(&archive, false, false, false);
    archive.segments[1].entries[VFILE_VIDEO] = 2;
    // A row that does not know: its table does.
    archive.segments[1].tracks[VFILE_VIDEO].sets = MEDIA_SETS_UNKNOWN;
    fetch(&result, &archive, whole(false));
    assert_int_equal(check_samples(&archive, &result, MEDIA_VIDEO, true), 12);
    result_fini(&result);
    // They are carried: as the rows say, as the tables say.
    for (int known = 0; known < 2; known++) {
        for (size_t i = 0; i < 3; i++) {
            archive.media[i].tracks[0].parameter_sets = true;
            archive_pack(&archive, i);
            if (!known)
                archive.segments[i].tracks[VFILE_VIDEO].sets = MEDIA_SETS_UNKNOWN;
        }
        fetch(&result, &archive, whole(false));
        check_samples(&archive, &result, MEDIA_VIDEO, false);
        result_fini(&result);
    }
    // The entries differ in something else.
    for (size_t i = 0; i < 3; i++) {
        archive.media[i].tracks[0].parameter_sets = false;
        archive_pack(&archive, i);
    }
    archive.entries[VFILE_VIDEO][1] = archive.entries[VFILE_VIDEO][0];
    fetch(&result, &archive, whole(false));
    check_samples(&archive, &result, MEDIA_VIDEO, false);
    result_fini(&result);
    buf_fini(&entry[0]);
    buf_fini(&entry[1]);
    archive_fini(&archive);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_key_sample_has_them_where_entries_differ),
        cmocka_unit_test(test_any_part_of_a_file_with_made_bytes),
        cmocka_unit_test(test_where_they_are_not_needed_there_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
