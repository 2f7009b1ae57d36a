// links: kf-indexer
// A power cut at any moment of a seal, six thousand times: of all that was written since the last
// sync each sector, or page, reached the disk or did not, in its newest state or an earlier one,
// and so did the file's size. Recovery, which may be cut short like that itself, comes to the very
// bytes of a seal that nothing has disturbed.
//
// What was written, and when it was synced, is not assumed: the calls are recorded as sealing makes
// them. Random choices follow a printed seed; another one may be given as the argument.

// Both names of each call are defined here: the plain and the 64-bit one.
#undef _FILE_OFFSET_BITS

#include "tests/unit/corpus.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "indexer/seal.h"

enum {
    TORN_STATES = 6000,
    TORN_LOST_STATES = 1500,
    TORN_CUTS_MAX = 3, // of one seal and its recoveries
    TORN_VERSIONS_MAX = 16,
    TORN_SECTOR = 512,
    TORN_PAGE = 4096,
};

static const struct mp4_tags test_tags = {
    .identity = "yard/main/1774958400000-000007",
    .node = "attic",
    .start_us = 1774958400123456,
    .end_us = 1774958403123456,
    .utc_offset_s = 7200,
};

static uint64_t test_seed = 20260331;

// --- Chance: splitmix64

static uint64_t chance_state;

static uint64_t chance(uint64_t below)
{
    uint64_t z = (chance_state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (z ^ (z >> 31)) % below;
}

// --- The disk: what a file holds durably, and what it has held since

static struct {
    int fd; // of the file that is watched; -1: none
    struct buf versions[TORN_VERSIONS_MAX];
    size_t count; // the first one is durable
    size_t calls; // that have changed the file
    size_t cut;   // before which of them the power goes; SIZE_MAX: never
} disk = {.fd = -1};

static struct buf file_content(int fd)
{
    struct stat info;
    struct buf content = BUF_INIT;
    assert_int_equal(fstat(fd, &info), 0);
    uint8_t *data = buf_extend(&content, (size_t)info.st_size);
    assert_int_equal(pread(fd, data, content.size, 0), info.st_size);
    return content;
}

static void disk_forget(void)
{
    for (size_t i = 0; i < disk.count; i++)
        buf_fini(&disk.versions[i]);
    disk.count = 0;
}

// Notes a call that succeeded. Behind the cut nothing is noted: it never happened.
static void disk_note(int fd, bool is_sync)
{
    if (fd != disk.fd || disk.calls++ >= disk.cut)
        return;
    if (is_sync)
        disk_forget();
    assert_true(disk.count < TORN_VERSIONS_MAX);
    disk.versions[disk.count++] = file_content(fd);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset)
{
    ssize_t result = syscall(SYS_pwrite64, fd, data, size, offset);
    disk_note(fd, false);
    return result;
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
    return pwrite64(fd, data, size, offset);
}

int ftruncate64(int fd, off64_t size)
{
    int result = (int)syscall(SYS_ftruncate, fd, size);
    disk_note(fd, false);
    return result;
}

int ftruncate(int fd, off_t size)
{
    return ftruncate64(fd, size);
}

int fdatasync(int fd)
{
    disk_note(fd, true);
    return 0;
}

int fsync(int fd)
{
    disk_note(fd, true);
    return 0;
}

// The size that the file has after the cut: one that it has had, or a border of a page between.
static size_t disk_size(size_t unit)
{
    size_t least = SIZE_MAX, most = 0;
    for (size_t i = 0; i < disk.count; i++) {
        least = disk.versions[i].size < least ? disk.versions[i].size : least;
        most = disk.versions[i].size > most ? disk.versions[i].size : most;
    }
    size_t first = (least + unit - 1) / unit, last = most / unit;
    if (first > last || chance(2) == 0)
        return disk.versions[chance(disk.count)].size;
    return (first + chance(last - first + 1)) * unit;
}

// What is left after the cut.
static struct buf disk_after_cut(void)
{
    struct buf torn = BUF_INIT;
    size_t unit = chance(2) ? TORN_SECTOR : TORN_PAGE;
    size_t size = disk_size(unit);
    uint64_t bias = chance(3); // nearly all is the newest, nearly all is durable alone, or neither
    uint8_t *data = buf_extend(&torn, size);
    memset(data, 0, size);
    for (size_t at = 0; at < size; at += unit) {
        size_t index = bias == 0 ? disk.count - 1 : 0;
        if (bias == 2 || chance(8) == 0)
            index = chance(disk.count);
        const struct buf *version = &disk.versions[index];
        size_t end = at + unit < size ? at + unit : size;
        if (at < version->size)
            memcpy(data + at, version->data + at, (end < version->size ? end : version->size) - at);
    }
    return torn;
}

// --- Sealing and its recovery, which are the same

static struct buf copy_of(const struct buf *content)
{
    struct buf copy = BUF_INIT;
    buf_put(&copy, content->data, content->size);
    return copy;
}

// A file with this content, which is durable. `before` is what was durable in truth, or NULL.
static int disk_begin(const struct buf *content, const struct buf *before, size_t cut)
{
    int fd = memfd_create("seal", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content->data, content->size), content->size);
    disk_forget();
    if (before != NULL)
        disk.versions[disk.count++] = copy_of(before);
    disk.versions[disk.count++] = copy_of(content);
    disk.calls = 0;
    disk.cut = cut;
    disk.fd = fd;
    return fd;
}

// What the indexer does with a file of whatever state, up to the cut. Returns false where nothing
// can be read of it.
static bool seal(const struct buf *content, const struct buf *before, size_t cut)
{
    struct media_segment segment;
    struct mp4_layout layout;
    struct buf copy = copy_of(content);
    struct mp4_source source = memory_source(&copy);
    struct mp4_tags tags = {0};
    char *cause = NULL;
    int fd = disk_begin(content, before, cut);
    bool readable = mp4_read(&source, &segment, &layout, &cause) == 0;
    if (readable) {
        enum seal_state state = seal_inspect(&source, &segment, &layout, &tags);
        struct seal_plan plan;
        seal_plan_init(&plan, &segment, &layout, state >= SEAL_WRITTEN ? &tags : &test_tags);
        bool unsynced = false;
        if (state != SEAL_DONE && seal_in_place(fd, &plan, &unsynced, &cause) < 0)
            fail_msg("%s", cause);
        seal_plan_fini(&plan);
        media_segment_fini(&segment);
    }
    free(cause);
    buf_fini(&copy);
    disk.fd = -1;
    close(fd);
    return readable;
}

// The file as it is after the seal, durably: there is nothing left to lose.
static struct buf sealed_of(const struct buf *content)
{
    assert_true(seal(content, NULL, SIZE_MAX));
    assert_int_equal(disk.count, 1);
    return copy_of(&disk.versions[0]);
}

static struct buf some_file(bool torn, const char **name)
{
    *name = corpus_files[chance(ARRAY_LENGTH(corpus_files))];
    struct buf file = corpus_load(*name, ".mp4");
    if (torn)
        file.size -= chance(file.size / 2); // the recorder's own torn end
    return file;
}

// --- The tests

static void a_seal_of_whole_fragments_is_recovered_to_the_bit(void **state)
{
    (void)state;
    size_t torn_count = 0;
    chance_state = test_seed;
    for (size_t round = 0; torn_count < TORN_STATES; round++) {
        const char *name;
        struct buf file = some_file(round % 2, &name), sealed = sealed_of(&file);
        struct buf torn = copy_of(&file);
        for (size_t cuts = 1 + chance(TORN_CUTS_MAX); cuts > 0; cuts--) {
            assert_true(seal(&torn, NULL, SIZE_MAX));
            size_t calls = disk.calls;
            assert_true(seal(&torn, NULL, chance(calls + 1)));
            buf_fini(&torn);
            torn = disk_after_cut();
        }
        torn_count += torn.size != sealed.size || memcmp(torn.data, sealed.data, sealed.size) != 0;
        assert_true(seal(&torn, NULL, SIZE_MAX));
        const struct buf *mended = &disk.versions[0];
        if (disk.count != 1 || mended->size != sealed.size ||
            memcmp(mended->data, sealed.data, sealed.size) != 0)
            fail_msg("state %zu of %s is not recovered", round, name);
        buf_fini(&torn);
        buf_fini(&sealed);
        buf_fini(&file);
    }
    disk_forget();
    print_message("%zu torn states recovered (seed %" PRIu64 ")\n", torn_count, test_seed);
}

// The packets of the file that lie before `end`.
static size_t packets_before(const char *name, enum media_kind kind, uint64_t end)
{
    size_t count, whole = 0;
    struct packet *packets = corpus_packets(name, kind, &count);
    for (size_t i = 0; i < count; i++)
        whole += packets[i].offset + packets[i].size <= end;
    free(packets);
    return whole;
}

// Each packet before `end` stands in what was recovered, at its place, with its bytes.
static void check_kept(struct buf *mended, const struct buf *file, const char *name, uint64_t end)
{
    struct media_segment segment;
    struct mp4_layout layout;
    must_read(mended, &segment, &layout);
    for (enum media_kind kind = MEDIA_VIDEO; kind <= MEDIA_AUDIO; kind++) {
        const struct media_track *track = media_segment_track(&segment, kind);
        size_t count, kept = packets_before(name, kind, end);
        struct packet *packets = corpus_packets(name, kind, &count);
        assert_true(kept == 0 || (track != NULL && track->sample_count >= kept));
        for (size_t i = 0; i < kept; i++) {
            assert_int_equal(track->samples[i].offset, packets[i].offset);
            assert_int_equal(track->samples[i].size, packets[i].size);
            assert_memory_equal(
                mended->data + packets[i].offset, file->data + packets[i].offset, packets[i].size);
        }
        free(packets);
    }
    media_segment_fini(&segment);
}

// Where the fragment begins that `lost` lies in.
static uint64_t fragment_of(const struct buf *file, uint64_t lost)
{
    uint64_t at = 0, begin = 0;
    while (at + 8 <= file->size) {
        uint32_t size;
        memcpy(&size, file->data + at, sizeof(size));
        size = __builtin_bswap32(size);
        if (memcmp(file->data + at + 4, "moof", 4) == 0 ||
            memcmp(file->data + at + 4, "prft", 4) == 0)
            begin = at;
        if (size < 8 || at + size > lost)
            break;
        at += size;
    }
    return begin;
}

// The recorder's last fragments had not been synced either.
static void of_lost_fragments_all_before_them_is_kept(void **state)
{
    (void)state;
    size_t lost_some = 0;
    chance_state = test_seed + 1;
    for (size_t round = 0; round < TORN_LOST_STATES; round++) {
        const char *name;
        struct buf file = some_file(round % 2, &name), synced = copy_of(&file);
        synced.size -= chance(synced.size / 2);
        assert_true(seal(&file, &synced, SIZE_MAX));
        size_t calls = disk.calls;
        assert_true(seal(&file, &synced, chance(calls + 1)));
        struct buf torn = disk_after_cut();
        // All before the first byte that is not the recorder's; the header apart, which is flipped.
        uint64_t lost = TORN_SECTOR;
        while (lost < torn.size && lost < file.size && torn.data[lost] == file.data[lost])
            lost++;
        lost_some += lost < file.size;
        bool readable = seal(&torn, NULL, SIZE_MAX);
        uint64_t end = fragment_of(&file, lost);
        if (!readable && packets_before(name, MEDIA_VIDEO, end) > 0)
            fail_msg("state %zu of %s is not read: %" PRIu64 " bytes are the recorder's", round,
                name, lost);
        if (readable) {
            struct buf mended = copy_of(&disk.versions[0]);
            check_kept(&mended, &file, name, end);
            struct buf again = sealed_of(&mended);
            assert_int_equal(again.size, mended.size);
            assert_memory_equal(again.data, mended.data, mended.size);
            buf_fini(&again);
            buf_fini(&mended);
        }
        buf_fini(&torn);
        buf_fini(&synced);
        buf_fini(&file);
    }
    disk_forget();
    print_message("%d states with lost fragments, %zu had lost some (seed %" PRIu64 ")\n",
        TORN_LOST_STATES, lost_some, test_seed);
    assert_true(lost_some > TORN_LOST_STATES / 2);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_seal_of_whole_fragments_is_recovered_to_the_bit),
        cmocka_unit_test(of_lost_fragments_all_before_them_is_kept),
    };
    if (argc > 1)
        test_seed = strtoull(argv[1], NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
