// links: kf-indexer
// Pinned virtual files: over fixed segments, the same request gives the same bytes, for ever. An
// entity tag promises that to whoever has a part of a file.
#include "indexer/hash.h"
#include "lib/media/still.h"
#include "tests/unit/vfile.h"

// The version whose bytes these digests are of. Where they change, it must change in vfile.h, too:
// then other entity tags are given, and nobody joins parts of two files.
enum {
    DIGESTS_VERSION = 3,
};

static const struct {
    const char *names[3]; // corpus files, one after the other
    bool runs;            // each is of a run of its own
    struct {
        int64_t start_ms; // from the first file's start
        int64_t end_ms;
        bool silent;
        bool at_key;
    } ask;
    const char *sha256;
} pinned[] = {
    {{"h264-000000", "h264-000001"}, false, {0, 6000, false, false},
        "fbd046aa40d6b8209b68f427c616bd13e3b06c3e5e7f44fe05f24106ae95d525"},
    {{"h264-000000", "h264-000001"}, false, {1230, 4560, false, false},
        "1cbef28af9c2b847007bcda645b0a5fe906450296b44819474ccfd36abc31d83"},
    {{"h264-b-aac-000000", "h264-b-aac-000001"}, false, {500, 3900, false, false},
        "a5c655127d3fd640aed80e0f9eaeac0564c9cb06b902eb607e0c0d89c879b584"},
    {{"h264-b-aac-000000", "h264-b-aac-000001"}, false, {500, 3900, true, false},
        "5ca87b44a26fcacb10bd4351a6e487d790d498c0e335083c8ab2e12d8392d164"},
    {{"h264-b-aac-000000", "h264-b-aac-000001"}, false, {2500, 3900, false, true},
        "4aa56a331ec767303e8fbb2321876b39dea0ce6161abd151a9708523da2c67aa"},
    {{"h265-000000", "h265-000001"}, false, {700, 5000, false, false},
        "f03236a91357151f472ecbc0c879dfdc0d8f53173514e4d578786cef6c1310ea"},
    // Two configurations: parameter sets before key samples; and silence.
    {{"h264-000000", "h264-b-aac-000000", "h264-000001"}, true, {200, 9000, false, false},
        "0f34b5569c064a18d76215a6e5bf617182eaa93a4df0917aeb398338f149fd71"},
    {{"h264-000000", "h264-b-aac-000000", "h264-000001"}, true, {200, 9000, true, false},
        "c41a8442a01e61ab42fc2ad58d7eaaeb619f4d80ead797a808612db9ffec8f2c"},
};

static bool same_entry(const struct mp4_entry *entry, const struct media_track *track)
{
    return entry->size == track->entry_size &&
           memcmp(entry->data, track->entry, track->entry_size) == 0;
}

// Gives each segment the entry that is its own.
static void find_entries(struct archive *archive)
{
    size_t counts[MEDIA_TRACKS_MAX] = {0};
    for (size_t i = 0; i < archive->count; i++) {
        for (size_t t = 0; t < archive->media[i].track_count; t++) {
            const struct media_track *track = &archive->media[i].tracks[t];
            int kind = track->kind == MEDIA_VIDEO ? VFILE_VIDEO : VFILE_AUDIO;
            size_t entry = 0;
            while (entry < counts[kind] && !same_entry(&archive->entries[kind][entry], track))
                entry++;
            assert_true(entry < ARRAY_LENGTH(archive->entries[kind]));
            archive->entries[kind][entry] = (struct mp4_entry){track->entry, track->entry_size};
            counts[kind] = entry == counts[kind] ? entry + 1 : counts[kind];
            archive->segments[i].entries[kind] = (uint32_t)entry + 1;
        }
    }
}

static char *digest(struct archive *archive, struct vfile *file)
{
    uint8_t *data = read_all(archive, file), hash[HASH_SIZE];
    char *path = xasprintf("%s/whole", archive->folder), *cause = NULL;
    assert_int_equal(
        fs_write_file(path, (const char *)data, vfile_info(file)->size, 0600, &cause), 0);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(hash_file(fd, hash, &cause), 0);
    close(fd);
    unlink(path);
    free(path);
    free(data);
    vfile_free(file);
    char *text = xcalloc(2 * HASH_SIZE + 1, 1);
    for (size_t i = 0; i < HASH_SIZE; i++)
        snprintf(text + 2 * i, 3, "%02x", hash[i]);
    return text;
}

static void test_the_bytes_of_a_version_never_change(void **state)
{
    (void)state;
    size_t others = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(pinned); i++) {
        struct archive archive;
        archive_init(&archive);
        int64_t at_us = START_US;
        for (uint32_t n = 0; n < 3 && pinned[i].names[n] != NULL; n++) {
            add_recorded(&archive, pinned[i].names[n], n, at_us);
            if (pinned[i].runs)
                archive.segments[n].run = n + 1;
            at_us = archive.segments[n].end_us;
        }
        find_entries(&archive);
        char *found = digest(
            &archive, must_make(&archive, (struct ask){START_US + pinned[i].ask.start_ms * 1000,
                                              START_US + pinned[i].ask.end_ms * 1000,
                                              pinned[i].ask.silent, pinned[i].ask.at_key}));
        if (strcmp(found, pinned[i].sha256) != 0) {
            print_error("pinned file %zu is %s\n", i, found);
            others++;
        }
        free(found);
        archive_fini(&archive);
    }
    if (others > 0 && VFILE_FORMAT_VERSION == DIGESTS_VERSION)
        fail_msg("virtual files have other bytes than before, and the same entity tags: if that is "
                 "meant, raise VFILE_FORMAT_VERSION in lib/media/vfile.h, and pin these digests");
    assert_int_equal(others, 0);
    assert_int_equal(VFILE_FORMAT_VERSION, DIGESTS_VERSION);
}

// Every key frame of two segments, the second one as long as all others.
static void expect_key_frames(const char *first, const char *second, const char *wanted)
{
    struct archive archive;
    struct stills stills = {0};
    char *cause = NULL;
    archive_init(&archive);
    add_recorded(&archive, first, 0, START_US);
    add_recorded(&archive, second, 1, archive.segments[0].end_us);
    archive.segments[1].run = 2;
    find_entries(&archive);
    for (size_t i = 0; i < archive.count; i++) {
        const struct sample_table *table = archive_table(&archive, i, &cause);
        assert_true(
            stills_find(&stills, &archive.segments[i], i, sample_table_track(table, MEDIA_VIDEO)));
    }
    assert_true(stills.count > 2);
    for (size_t i = 0; i < stills.count; i++)
        stills.items[i].duration = i == 1 ? (uint32_t)stills.count * 3600 : 3600;
    struct vfile_request request = {.segments = archive.segments,
        .segment_count = archive.count,
        .entries = {{archive.entries[VFILE_VIDEO], 2}},
        .width = 640,
        .height = 360};
    struct vfile_source source = archive_source(&archive);
    char *found = digest(&archive, vfile_new_stills(&request, &stills, &source, &cause));
    assert_string_equal(found, wanted);
    assert_int_equal(VFILE_FORMAT_VERSION, DIGESTS_VERSION);
    free(found);
    stills_fini(&stills);
    archive_fini(&archive);
}

static void test_the_bytes_of_a_file_of_key_frames_never_change(void **state)
{
    (void)state;
    // Two configurations: parameter sets before each; and H.265: the end of the sequence.
    expect_key_frames("h264-000000", "h264-b-aac-000000",
        "516321429ff98c76c6bd3d342ca99b0266cc18b8c5a90a7fc19282a34164020b");
    expect_key_frames("h265-000000", "h265-000001",
        "d7ccc08a08151e659ee755a8b0027c9df46acd19bacc336d99a70fdd324ca133");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_bytes_of_a_file_of_key_frames_never_change),
        cmocka_unit_test(test_the_bytes_of_a_version_never_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
