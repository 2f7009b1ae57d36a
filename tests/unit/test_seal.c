// links: kf-indexer
// Sealing: the result is a plain MP4 around unmoved media, and every state in which a crash can
// leave it is recognised and mended to the very same bytes. What a power cut leaves:
// test_torn_seal.c.
#include "tests/unit/corpus.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "indexer/seal.h"

static const struct mp4_tags test_tags = {
    .identity = "yard/main/1774958400000-000007",
    .node = "attic",
    .start_us = 1774958400123456,
    .end_us = 1774958403123456,
    .utc_offset_s = 7200,
};

static int memory_file(const struct buf *content)
{
    int fd = memfd_create("seal", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fs_write_at(fd, content->data, content->size, 0), 0);
    return fd;
}

static struct buf file_content(int fd)
{
    struct stat info;
    struct buf content = BUF_INIT;
    assert_int_equal(fstat(fd, &info), 0);
    uint8_t *data = buf_extend(&content, (size_t)info.st_size);
    assert_int_equal(pread(fd, data, content.size, 0), info.st_size);
    return content;
}

// Whatever state the bytes are in: what the indexer does with them. Returns the state they were in.
static enum seal_state mend(struct buf *content)
{
    struct media_segment segment;
    struct mp4_layout layout;
    struct mp4_source source = memory_source(content);
    char *cause = NULL;
    if (mp4_read(&source, &segment, &layout, &cause) < 0)
        fail_msg("%s", cause);
    struct mp4_tags tags = {0};
    enum seal_state state = seal_inspect(&source, &segment, &layout, &tags);
    if (state >= SEAL_WRITTEN) {
        assert_string_equal(tags.identity, test_tags.identity);
        assert_int_equal(tags.start_us, test_tags.start_us);
    }
    struct seal_plan plan;
    seal_plan_init(&plan, &segment, &layout, &test_tags);
    int fd = memory_file(content);
    bool unsynced = false;
    if (state != SEAL_DONE && seal_in_place(fd, &plan, &unsynced, &cause) < 0)
        fail_msg("%s", cause);
    assert_int_equal(lseek(fd, 0, SEEK_END), plan.size);
    buf_fini(content);
    *content = file_content(fd);
    close(fd);
    seal_plan_fini(&plan);
    media_segment_fini(&segment);
    return state;
}

static struct buf copy_of(const struct buf *content, size_t size)
{
    struct buf copy = BUF_INIT;
    buf_put(&copy, content->data, size);
    return copy;
}

static struct buf sealed_of(const struct buf *content)
{
    struct buf sealed = copy_of(content, content->size);
    assert_int_equal(mend(&sealed), SEAL_OPEN);
    return sealed;
}

// The types of the boxes at the top of a file, as "ftyp mdat moov ".
static void top_boxes(const struct buf *file, char types[64])
{
    *types = '\0';
    for (uint64_t at = 0; at < file->size;) {
        uint64_t size = 0;
        for (size_t i = 0; i < 4; i++)
            size = size << 8 | file->data[at + i];
        size_t length = strlen(types);
        snprintf(types + length, 64 - length, "%.4s ", (const char *)&file->data[at + 4]);
        if (size == 1) {
            size = 0;
            for (size_t i = 8; i < 16; i++)
                size = size << 8 | file->data[at + i];
        }
        assert_true(size >= 8 && size <= file->size - at);
        at += size;
    }
}

// Every packet that ffprobe found before `end` has its bytes where they were.
static void check_packets_unmoved(
    const struct buf *sealed, const struct buf *original, const char *name, uint64_t end)
{
    for (enum media_kind kind = MEDIA_VIDEO; kind <= MEDIA_AUDIO; kind++) {
        size_t count;
        struct packet *packets = corpus_packets(name, kind, &count);
        for (size_t i = 0; i < count; i++) {
            if (packets[i].offset + packets[i].size <= end)
                assert_memory_equal(sealed->data + packets[i].offset,
                    original->data + packets[i].offset, packets[i].size);
        }
        free(packets);
    }
}

static void a_sealed_file_is_plain_and_its_media_did_not_move(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(corpus_files); i++) {
        struct buf file = corpus_load(corpus_files[i], ".mp4");
        struct buf sealed = sealed_of(&file);
        char types[64];
        top_boxes(&sealed, types);
        assert_string_equal(types, "ftyp mdat moov ");
        check_packets_unmoved(&sealed, &file, corpus_files[i], UINT64_MAX);
        // Once more changes nothing.
        struct buf again = copy_of(&sealed, sealed.size);
        assert_int_equal(mend(&again), SEAL_DONE);
        assert_int_equal(again.size, sealed.size);
        assert_memory_equal(again.data, sealed.data, sealed.size);
        buf_fini(&again);
        buf_fini(&sealed);
        buf_fini(&file);
    }
}

static void a_copy_is_sealed_to_the_same_bytes(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(corpus_files); i++) {
        struct buf file = corpus_load(corpus_files[i], ".mp4");
        file.size -= 700; // torn, so that the last mdat is corrected
        struct buf sealed = sealed_of(&file);
        struct media_segment segment;
        struct mp4_layout layout;
        struct seal_plan plan;
        struct mp4_source source = memory_source(&file);
        char *cause = NULL;
        assert_int_equal(mp4_read(&source, &segment, &layout, &cause), 0);
        seal_plan_init(&plan, &segment, &layout, &test_tags);
        int from = memory_file(&file), to = memfd_create("copy", MFD_CLOEXEC);
        assert_int_equal(seal_copy(from, to, &plan, &cause), 0);
        struct buf copied = file_content(to), kept = file_content(from);
        assert_int_equal(copied.size, sealed.size);
        assert_memory_equal(copied.data, sealed.data, sealed.size);
        assert_memory_equal(kept.data, file.data, file.size);
        close(from);
        close(to);
        buf_fini(&copied);
        buf_fini(&kept);
        seal_plan_fini(&plan);
        media_segment_fini(&segment);
        buf_fini(&sealed);
        buf_fini(&file);
    }
}

static void assert_mended(struct buf *torn, const struct buf *sealed)
{
    mend(torn);
    assert_int_equal(torn->size, sealed->size);
    assert_memory_equal(torn->data, sealed->data, sealed->size);
}

// The process dies: writes are whole up to some byte, those behind it did not happen.
static void died_at_any_byte_of_the_moov(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(corpus_files); i++) {
        struct buf file = corpus_load(corpus_files[i], ".mp4");
        struct buf sealed = sealed_of(&file);
        for (size_t size = file.size; size <= sealed.size;
             size += size < sealed.size - 40 ? 7 : 1) {
            struct buf torn = copy_of(&file, file.size);
            buf_put(&torn, sealed.data + file.size, size - file.size);
            assert_mended(&torn, &sealed);
            buf_fini(&torn);
        }
        buf_fini(&sealed);
        buf_fini(&file);
    }
}

static void died_between_the_moov_and_the_header(void **state)
{
    (void)state;
    struct buf file = corpus_load("h264-b-aac-000000", ".mp4");
    struct buf sealed = sealed_of(&file);
    struct buf torn = copy_of(&sealed, sealed.size);
    memcpy(torn.data, file.data, 512);
    assert_int_equal(mend(&torn), SEAL_WRITTEN);
    assert_memory_equal(torn.data, sealed.data, sealed.size);
    buf_fini(&torn);

    // A moov of the right size that is not the derived one is not believed.
    torn = copy_of(&sealed, sealed.size);
    torn.data[torn.size - 300] ^= 1;
    assert_int_equal(mend(&torn), SEAL_INTERRUPTED);
    assert_memory_equal(torn.data, sealed.data, sealed.size);
    buf_fini(&torn);

    // Nor is a header that spans something else.
    torn = copy_of(&sealed, sealed.size);
    for (size_t at = 0; at < 64; at++) {
        if (memcmp(torn.data + at + 4, "mdat", 4) == 0)
            torn.data[at + 15] ^= 8;
    }
    mend(&torn);
    assert_memory_equal(torn.data, sealed.data, sealed.size);
    buf_fini(&torn);
    buf_fini(&sealed);
    buf_fini(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sealed_file_is_plain_and_its_media_did_not_move),
        cmocka_unit_test(a_copy_is_sealed_to_the_same_bytes),
        cmocka_unit_test(died_at_any_byte_of_the_moov),
        cmocka_unit_test(died_between_the_moov_and_the_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
