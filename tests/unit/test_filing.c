// links: kf-indexer
// A segment's way from the cache into the volume, on real directories: linked or copied, met by an
// earlier life's traces, by a writer, by names that are taken, by nonsense.
#include "tests/unit/corpus.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "indexer/filing.h"
#include "indexer/quarantine.h"
#include "indexer/sealed.h"
#include "lib/core/timeutil.h"
#include "lib/media/segment_id.h"

#define RUN INT64_C(1774958400000)
#define BIRTH_US INT64_C(1774958410000000)

// Syncs of files that have one name alone: in the cache, before they are filed.
static int syncs_before_link;

// In place of the C library's, so that they are counted.
int fdatasync(int fd)
{
    struct stat info;
    if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_nlink == 1)
        syncs_before_link++;
    return (int)syscall(SYS_fdatasync, fd);
}

struct fixture {
    char root[64];
    char *cache;
    char *video;
    struct volume *volume;
};

static int fixture_make(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));
    snprintf(fixture->root, sizeof(fixture->root), "/tmp/test_filing.XXXXXX");
    assert_non_null(mkdtemp(fixture->root));
    fixture->cache = xasprintf("%s/cache", fixture->root);
    fixture->video = xasprintf("%s/video", fixture->root);
    char *directory = xasprintf("%s/yard/main", fixture->cache), *cause = NULL;
    char uuid[VOLUME_UUID_SIZE];
    if (fs_make_dirs(directory, 0755, &cause) < 0 ||
        volume_mark(fixture->video, uuid, &cause) < 0 ||
        (fixture->volume = volume_open(fixture->video, uuid, fixture->cache, &cause)) == NULL)
        fail_msg("%s", cause);
    free(directory);
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
    free(fixture->cache);
    free(fixture->video);
    free(fixture);
    return 0;
}

static char *cache_path(const struct fixture *fixture, uint32_t number)
{
    const struct segment_id id = {"yard", "main", RUN, number};
    return cache_segment_path(fixture->cache, &id);
}

// Puts a file of the corpus, or `text`, into the cache.
static void cache_put(
    const struct fixture *fixture, uint32_t number, const char *name, const char *text)
{
    char *path = cache_path(fixture, number), *cause = NULL;
    struct buf file = BUF_INIT;
    if (name != NULL)
        file = corpus_load(name, ".mp4");
    else
        buf_put(&file, text, strlen(text));
    assert_int_equal(fs_write_file(path, file.data, file.size, 0640, &cause), 0);
    buf_fini(&file);
    free(path);
}

static struct filing *filing_new(const struct fixture *fixture, uint32_t number)
{
    struct filing *filing = xcalloc(1, sizeof(*filing));
    filing->volume = fixture->volume;
    filing->file.id = (struct segment_id){"yard", "main", RUN, number};
    filing->file.birth_us = BIRTH_US;
    filing->path = cache_path(fixture, number);
    filing->node = xstrdup("attic");
    return filing;
}

// Files it and expects that result; release with filing_free().
static struct filing *file_now(
    const struct fixture *fixture, uint32_t number, enum filing_result expected)
{
    struct filing *filing = filing_new(fixture, number);
    filing_run(&filing->job);
    if (filing->result != expected)
        print_error("%s\n", filing->cause ? filing->cause : "no cause");
    assert_int_equal(filing->result, expected);
    return filing;
}

static struct stat stat_in(const char *directory, const char *name)
{
    struct stat info = {0};
    char *path = xasprintf("%s/%s", directory, name);
    lstat(path, &info);
    free(path);
    return info;
}

static bool same_file(const struct fixture *fixture, uint32_t number, const char *key)
{
    char *path = cache_path(fixture, number);
    struct stat cached, filed = stat_in(fixture->video, key);
    bool same = stat(path, &cached) == 0 && cached.st_ino == filed.st_ino;
    free(path);
    return same;
}

static void a_segment_is_sealed_and_linked(void **state)
{
    struct fixture *fixture = *state;
    assert_true(fixture->volume->links);
    cache_put(fixture, 1, "h264-b-aac-000001", NULL);
    struct filing *filing = file_now(fixture, 1, FILING_DONE);
    assert_string_equal(filing->row.key, "yard/main/2026-03-31/2026-03-31_12-00-10.000+0000.mp4");
    assert_int_equal(filing->row.start_us, BIRTH_US);
    assert_int_equal(
        filing->row.end_us - filing->row.start_us, filing->time.next_start_us - BIRTH_US);
    assert_true(same_file(fixture, 1, filing->row.key));
    assert_int_equal(filing->row.size_bytes, stat_in(fixture->video, filing->row.key).st_size);
    size_t packets;
    free(corpus_packets("h264-b-aac-000001", MEDIA_VIDEO, &packets));
    assert_int_equal(filing->row.video.summary.counts.samples, packets);
    free(corpus_packets("h264-b-aac-000001", MEDIA_AUDIO, &packets));
    assert_int_equal(filing->row.audio.summary.counts.samples, packets);
    assert_true(filing->packed.size > 0);
    filing_free(filing);
}

// An earlier life may have ended between the header and the sync: nobody knows.
static void what_is_found_sealed_is_synced_before_it_is_linked(void **state)
{
    struct fixture *fixture = *state;
    cache_put(fixture, 1, "h264-000001", NULL);
    for (int life = 0; life < 3; life++) {
        syncs_before_link = 0;
        struct filing *filing = file_now(fixture, 1, FILING_DONE);
        assert_int_equal(syncs_before_link, 1);
        char *path = xasprintf("%s/%s", fixture->video, filing->row.key);
        assert_int_equal(unlink(path), 0);
        free(path);
        filing_free(filing);
    }
}

enum {
    NEIGHBOURS = 6,
    NEIGHBOUR_ROUNDS = 1000,
};

struct neighbour {
    const struct fixture *fixture;
    pthread_barrier_t *together;
    char *path;
    char uuid[VOLUME_UUID_SIZE];
    int links;
};

static void *neighbour_main(void *arg)
{
    struct neighbour *neighbour = arg;
    char *cause = NULL;
    for (int round = 0; round < NEIGHBOUR_ROUNDS; round++) {
        pthread_barrier_wait(neighbour->together);
        struct volume *volume =
            volume_open(neighbour->path, neighbour->uuid, neighbour->fixture->cache, &cause);
        neighbour->links += volume != NULL && volume->links;
        volume_free(volume);
    }
    free(cause);
    return NULL;
}

// Each volume's thread opens it when the indexer starts, all at the same moment.
static void volumes_that_are_opened_together_all_link(void **state)
{
    struct fixture *fixture = *state;
    struct neighbour neighbours[NEIGHBOURS];
    pthread_t threads[NEIGHBOURS];
    pthread_barrier_t together;
    char *cause = NULL;
    pthread_barrier_init(&together, NULL, NEIGHBOURS);
    for (int i = 0; i < NEIGHBOURS; i++) {
        neighbours[i] = (struct neighbour){.fixture = fixture, .together = &together};
        neighbours[i].path = xasprintf("%s/neighbour%d", fixture->root, i);
        assert_int_equal(volume_mark(neighbours[i].path, neighbours[i].uuid, &cause), 0);
    }
    for (int i = 0; i < NEIGHBOURS; i++)
        pthread_create(&threads[i], NULL, neighbour_main, &neighbours[i]);
    for (int i = 0; i < NEIGHBOURS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(neighbours[i].links, NEIGHBOUR_ROUNDS);
        free(neighbours[i].path);
    }
    pthread_barrier_destroy(&together);
}

static void a_camera_s_latency_is_subtracted(void **state)
{
    struct fixture *fixture = *state;
    cache_put(fixture, 1, "h264-000001", NULL);
    struct filing *filing = filing_new(fixture, 1);
    filing->latency_us = 250000;
    filing_run(&filing->job);
    assert_int_equal(filing->row.start_us, BIRTH_US - 250000);
    filing_free(filing);
}

// The file of number 0 to 3 of a recording that needs mending, its job not run yet.
static struct filing *filing_of_beginning(
    const struct fixture *fixture, uint32_t number, const struct filing *before, bool alone)
{
    struct filing *filing = filing_new(fixture, number);
    filing->next_birth_us = BIRTH_US + (number + 1) * 2 * US_PER_SECOND;
    filing->file.birth_us = filing->next_birth_us - 2 * US_PER_SECOND;
    filing->alone = alone;
    if (before != NULL) {
        filing->mend = before->mend;
        filing->time = before->time;
    }
    for (uint32_t next = 1; number == 0 && next < 4; next++)
        filing->following[filing->following_count++] = cache_path(fixture, next);
    return filing;
}

// What stands in the volume says the same as what was filed.
static void check_sealed(const struct fixture *fixture, const struct filing *filing)
{
    char *path = xasprintf("%s/%s", fixture->video, filing->row.key), *cause = NULL;
    struct sealed sealed;
    struct stat info;
    int fd = open(path, O_RDONLY);
    assert_int_equal(fstat(fd, &info), 0);
    if (sealed_load(&sealed, fd, (uint64_t)info.st_size, filing->row.key, &cause) != 0)
        fail_msg("%s", cause);
    close(fd);
    assert_int_equal(sealed.state, SEAL_DONE);
    assert_int_equal(sealed.tags.mend.kind, filing->mended ? filing->mend.kind : 0);
    assert_int_equal(sealed.packed.size, filing->packed.size);
    assert_memory_equal(sealed.packed.data, filing->packed.data, filing->packed.size);
    assert_memory_equal(
        &sealed.row.video.summary, &filing->row.video.summary, sizeof(sealed.row.video.summary));
    assert_memory_equal(
        &sealed.row.audio.summary, &filing->row.audio.summary, sizeof(sealed.row.audio.summary));
    sealed_fini(&sealed);
    free(path);
}

static void the_beginning_of_a_run_is_mended_as_a_whole(void **state)
{
    struct fixture *fixture = *state;
    static const char *const names[] = {"audio-forward", "video-backward-b"};
    static const enum media_kind kinds[] = {MEDIA_AUDIO, MEDIA_VIDEO};
    for (int i = 0; i < 2; i++) {
        for (uint32_t number = 0; number < 4; number++) {
            char *name = xasprintf("report/%s-%06u", names[i], number);
            cache_put(fixture, number, name, NULL);
            free(name);
        }
        // Eight seconds are not enough, as long as more may come.
        struct filing *first = filing_of_beginning(fixture, 0, NULL, false);
        filing_run(&first->job);
        assert_int_equal(first->result, FILING_WAITS);
        assert_int_equal(first->mend.kind, 0);
        filing_free(first);

        first = filing_of_beginning(fixture, 0, NULL, true);
        filing_run(&first->job);
        assert_int_equal(first->result, FILING_DONE);
        assert_int_equal(first->mend.kind, kinds[i]);
        assert_true(first->mended);
        check_sealed(fixture, first);
        // 33 frames of sound after the picture.
        const struct track_summary *video = &first->row.video.summary;
        const struct track_summary *audio = &first->row.audio.summary;
        int64_t picture = video->start + video->first_presentation;
        assert_in_range(audio->start * 15 - picture * 8 + 1000000, 33 * 1024 * 15 + 1000000 - 450,
            33 * 1024 * 15 + 1000000 + 450);

        // An earlier life has sealed it: what it found stands, without those that came after it.
        struct filing *again = filing_of_beginning(fixture, 0, NULL, true);
        while (again->following_count > 0)
            free(again->following[--again->following_count]);
        filing_run(&again->job);
        assert_int_equal(again->result, FILING_DONE);
        assert_memory_equal(&again->mend, &first->mend, sizeof(first->mend));
        assert_int_equal(again->row.start_us, first->row.start_us);
        assert_memory_equal(again->packed.data, first->packed.data, first->packed.size);
        check_sealed(fixture, again);
        filing_free(again);

        bool mended = true;
        uint32_t lost = first->lost;
        for (uint32_t number = 1; number < 4; number++) {
            struct filing *next = filing_of_beginning(fixture, number, first, true);
            filing_run(&next->job);
            assert_int_equal(next->result, FILING_DONE);
            assert_int_equal(next->row.start_us, first->row.end_us);
            assert_true(mended || !next->mended); // none behind the jump
            mended = next->mended;
            lost += next->lost;
            check_sealed(fixture, next);
            filing_free(first);
            first = next;
        }
        assert_int_equal(lost > 0, i == 1);
        filing_free(first);
        for (uint32_t number = 0; number < 4; number++) {
            char *path = cache_path(fixture, number);
            unlink(path);
            free(path);
        }
    }
}

static void after_a_crash_the_same_segment_is_taken_up_again(void **state)
{
    struct fixture *fixture = *state;
    cache_put(fixture, 1, "h264-000001", NULL);
    struct filing *first = file_now(fixture, 1, FILING_DONE);
    // What would give another start: the tags of the sealed file stand.
    struct filing *second = filing_new(fixture, 1);
    second->file.birth_us += 5000000;
    filing_run(&second->job);
    assert_int_equal(second->result, FILING_DONE);
    assert_string_equal(second->row.key, first->row.key);
    assert_int_equal(second->row.start_us, first->row.start_us);
    assert_int_equal(second->row.end_us, first->row.end_us);
    assert_int_equal(second->time.next_start_us, first->row.end_us);
    assert_int_equal(stat_in(fixture->video, first->row.key).st_nlink, 2);
    filing_free(second);

    // The row was committed, the cache name not yet gone.
    second = filing_new(fixture, 1);
    second->committed_key = xstrdup(first->row.key);
    filing_run(&second->job);
    assert_int_equal(second->result, FILING_SETTLED);
    filing_free(second);

    // It was committed, but its file has gone from the volume: it is put back.
    char *path = xasprintf("%s/%s", fixture->video, first->row.key);
    assert_int_equal(unlink(path), 0);
    second = filing_new(fixture, 1);
    second->committed_key = xstrdup(first->row.key);
    filing_run(&second->job);
    assert_int_equal(second->result, FILING_DONE);
    assert_true(same_file(fixture, 1, first->row.key));
    filing_free(second);
    filing_free(first);
    free(path);
}

static void a_name_that_is_taken_gets_a_suffix(void **state)
{
    struct fixture *fixture = *state;
    static const char *const keys[] = {"yard/main/2026-03-31/2026-03-31_12-00-10.000+0000.mp4",
        "yard/main/2026-03-31/2026-03-31_12-00-10.000+0000_2.mp4",
        "yard/main/2026-03-31/2026-03-31_12-00-10.000+0000_3.mp4"};
    for (uint32_t i = 0; i < ARRAY_LENGTH(keys); i++) {
        cache_put(fixture, i + 1, "h264-000001", NULL);
        fixture->volume->links = i != 1;
        struct filing *filing = file_now(fixture, i + 1, FILING_DONE);
        assert_string_equal(filing->row.key, keys[i]);
        filing_free(filing);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(keys); i++)
        assert_true(stat_in(fixture->video, keys[i]).st_size > 0);
}

static void another_file_system_gets_a_sealed_copy(void **state)
{
    struct fixture *fixture = *state;
    cache_put(fixture, 1, "h265-000001", NULL);
    cache_put(fixture, 2, "h265-000001", NULL);
    fixture->volume->links = false;
    struct stat before = stat_in(fixture->cache, "yard/main/1774958400000-000001.mp4");
    struct filing *first = file_now(fixture, 1, FILING_DONE);
    assert_false(same_file(fixture, 1, first->row.key));
    struct stat after = stat_in(fixture->cache, "yard/main/1774958400000-000001.mp4");
    assert_int_equal(after.st_size, before.st_size);
    assert_int_equal(stat_in(fixture->video, first->row.key).st_size, first->row.size_bytes);
    // The same again, after a crash: no second copy.
    struct filing *second = file_now(fixture, 1, FILING_DONE);
    assert_string_equal(second->row.key, first->row.key);
    filing_free(second);
    second = filing_new(fixture, 1);
    second->committed_key = xstrdup(first->row.key);
    second->row.size_bytes = first->row.size_bytes;
    filing_run(&second->job);
    assert_int_equal(second->result, FILING_SETTLED);
    filing_free(second);
    filing_free(first);
    assert_int_equal(stat_in(fixture->video, ".keepframe-incoming").st_size, 0);
}

static void what_a_writer_has_open_is_left_alone(void **state)
{
    struct fixture *fixture = *state;
    cache_put(fixture, 1, "h264-000001", NULL);
    char *path = cache_path(fixture, 1);
    struct buf before = corpus_load("h264-000001", ".mp4");
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    filing_free(file_now(fixture, 1, FILING_OPEN));
    assert_int_equal(
        stat_in(fixture->cache, "yard/main/1774958400000-000001.mp4").st_size, before.size);
    close(fd);
    filing_free(file_now(fixture, 1, FILING_DONE));
    buf_fini(&before);
    free(path);
}

static void the_first_of_a_run_waits_for_the_second_or_the_end(void **state)
{
    struct fixture *fixture = *state;
    cache_put(fixture, 0, "h264-000000", NULL);
    struct filing *filing = file_now(fixture, 0, FILING_WAITS);
    assert_false(filing->time.anchored);
    filing_free(filing);
    filing = filing_new(fixture, 0);
    filing->next_birth_us = BIRTH_US + 3000000;
    filing_run(&filing->job);
    assert_int_equal(filing->result, FILING_DONE);
    assert_int_equal(filing->row.end_us, BIRTH_US + 3000000);
    filing_free(filing);
}

static void an_empty_file_goes_when_its_run_is_over(void **state)
{
    struct fixture *fixture = *state;
    cache_put(fixture, 1, NULL, "");
    filing_free(file_now(fixture, 1, FILING_OPEN));
    struct filing *filing = filing_new(fixture, 1);
    filing->alone = true;
    filing_run(&filing->job);
    assert_int_equal(filing->result, FILING_EMPTY);
    filing_free(filing);
    filing_free(file_now(fixture, 1, FILING_GONE));
}

// What a recorder leaves that is killed before its first fragment, torn at any byte.
static void a_head_without_media_goes_when_its_run_is_over(void **state)
{
    struct fixture *fixture = *state;
    for (size_t size = 8; size <= 966; size += 44) { // where its first sample begins
        cache_put(fixture, 1, "h264-000000", NULL);
        struct filing *filing = filing_new(fixture, 1);
        assert_int_equal(truncate(filing->path, (off_t)size), 0);
        filing_free(file_now(fixture, 1, FILING_OPEN));
        filing->alone = true;
        filing_run(&filing->job);
        assert_int_equal(filing->result, FILING_EMPTY);
        filing_free(filing);
        filing_free(file_now(fixture, 1, FILING_GONE));
    }
}

static void nonsense_goes_to_the_quarantine_with_its_reason(void **state)
{
    struct fixture *fixture = *state;
    for (uint32_t number = 0; number < 4; number++) {
        fixture->volume->links = number % 2;
        cache_put(fixture, number, NULL, "this is no segment at all");
        struct filing *filing = file_now(fixture, number, FILING_QUARANTINED);
        assert_string_equal(filing->reason, "unreadable");
        assert_non_null(filing->cause);
        char *name = xasprintf(".quarantine/yard.main.%" PRId64 "-%06" PRIu32 ".mp4", RUN, number);
        assert_int_equal(stat_in(fixture->video, name).st_size, 25);
        char *reason = xasprintf("%s/%s.reason", fixture->video, name), *cause = NULL;
        size_t size;
        char *text = fs_read_file(reason, 4096, &size, &cause);
        assert_non_null(text);
        assert_non_null(strstr(text, filing->cause));
        free(text);
        free(reason);
        free(name);
        filing_free(filing);
        filing_free(file_now(fixture, number, FILING_GONE));
    }
}

static void footage_before_the_epoch_is_implausible(void **state)
{
    struct fixture *fixture = *state;
    cache_put(fixture, 0, "h264-000000", NULL);
    struct filing *filing = filing_new(fixture, 0);
    filing->alone = true;
    filing->file.birth_us = 0;
    filing->file.written_us = 1;
    filing_run(&filing->job);
    assert_int_equal(filing->result, FILING_QUARANTINED);
    assert_string_equal(filing->reason, "implausible");
    assert_int_equal(stat_in(fixture->video, "yard").st_mode, 0);
    filing_free(filing);
}

// Writes `text` over the last place where `old`, of the same length, stands in the cache file.
static void cache_replace(
    const struct fixture *fixture, uint32_t number, const char *old, const char *text)
{
    char *path = cache_path(fixture, number), *cause = NULL;
    size_t size, length = strlen(old);
    char *data = fs_read_file(path, 1 << 20, &size, &cause);
    assert_non_null(data);
    char *at = NULL;
    for (size_t i = 0; i + length <= size; i++) {
        if (memcmp(data + i, old, length) == 0)
            at = data + i;
    }
    assert_non_null(at);
    memcpy(at, text, length);
    assert_int_equal(fs_write_file(path, data, size, 0640, &cause), 0);
    free(data);
    free(path);
}

static void tags_of_no_plausible_time_are_not_believed(void **state)
{
    static const char *const ends[] = {
        "9999-12-31T23:59:59.000000Z", "1970-01-01T00:00:00.000000Z"};
    struct fixture *fixture = *state;
    for (uint32_t i = 0; i < ARRAY_LENGTH(ends); i++) {
        cache_put(fixture, i + 1, "h264-000001", NULL);
        struct filing *filing = file_now(fixture, i + 1, FILING_DONE);
        int64_t start_us = filing->row.start_us, end_us = filing->row.end_us;
        char end[TIME_TEXT_SIZE];
        time_format_utc(end_us, end);
        filing_free(filing);
        cache_replace(fixture, i + 1, end, ends[i]);
        filing = file_now(fixture, i + 1, FILING_DONE);
        assert_int_equal(filing->row.start_us, start_us);
        assert_int_equal(filing->row.end_us, end_us);
        filing_free(filing);
    }
}

static void the_quarantine_is_bounded(void **state)
{
    struct fixture *fixture = *state;
    for (uint32_t number = 0; number < QUARANTINE_FILES_MAX + 5; number++) {
        cache_put(fixture, number, NULL, "nonsense");
        filing_free(file_now(fixture, number, FILING_QUARANTINED));
    }
    char *path = xasprintf("%s/.quarantine", fixture->video);
    DIR *dir = opendir(path);
    size_t files = 0, reasons = 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        files += strstr(entry->d_name, ".mp4") != NULL;
        reasons += strstr(entry->d_name, ".reason") != NULL;
    }
    closedir(dir);
    assert_int_equal(reasons, QUARANTINE_FILES_MAX);
    assert_int_equal(files, 2 * QUARANTINE_FILES_MAX);
    assert_int_equal(stat_in(path, "yard.main.1774958400000-000004.mp4").st_size, 0);
    assert_int_equal(stat_in(path, "yard.main.1774958400000-000005.mp4").st_size, 8);
    free(path);
}

static void deleting_takes_empty_directories_and_leaves_the_root(void **state)
{
    struct fixture *fixture = *state;
    struct volume_deletion deletions[3] = {0};
    for (uint32_t i = 0; i < 2; i++) {
        cache_put(fixture, i + 1, "h264-000001", NULL);
        struct filing *filing = filing_new(fixture, i + 1);
        filing->file.birth_us += i * US_PER_DAY;
        filing_run(&filing->job);
        deletions[i] = (struct volume_deletion){.id = i, .key = xstrdup(filing->row.key)};
        filing_free(filing);
        char *path = cache_path(fixture, i + 1);
        unlink(path);
        free(path);
    }
    deletions[2] = (struct volume_deletion){.id = 2, .key = xstrdup("yard/main/2020-01-01/x.mp4")};
    volume_delete(fixture->volume, deletions, 1);
    assert_true(S_ISDIR(stat_in(fixture->video, "yard/main").st_mode));
    assert_int_equal(stat_in(fixture->video, "yard/main/2026-03-31").st_mode, 0);
    assert_true(deletions[0].gone && !deletions[0].missing);
    assert_true(deletions[0].freed >= 4096);
    volume_delete(fixture->volume, deletions + 1, 2);
    for (size_t i = 1; i < 3; i++) {
        assert_true(deletions[i].gone);
        assert_int_equal(deletions[i].missing, deletions[i].id == 2);
    }
    assert_int_equal(stat_in(fixture->video, "yard").st_mode, 0);
    assert_true(S_ISREG(stat_in(fixture->video, VOLUME_MARK).st_mode));
    for (size_t i = 0; i < 3; i++)
        free(deletions[i].key);
}

static void only_the_right_volume_is_opened(void **state)
{
    struct fixture *fixture = *state;
    char *cause = NULL, uuid[VOLUME_UUID_SIZE] = "00000000-0000-4000-8000-000000000000";
    assert_null(volume_open(fixture->video, uuid, fixture->cache, &cause));
    assert_non_null(strstr(cause, "another volume"));
    free(cause);
    assert_int_equal(volume_check(fixture->volume, &cause), 0);
    char *mark = xasprintf("%s/" VOLUME_MARK, fixture->video);
    assert_int_equal(unlink(mark), 0);
    assert_int_equal(volume_check(fixture->volume, &cause), -1);
    assert_non_null(strstr(cause, "mounted"));
    free(cause);
    assert_null(volume_open(fixture->video, fixture->volume->uuid, fixture->cache, &cause));
    assert_non_null(strstr(cause, "mounted"));
    free(cause);
    free(mark);
}

int main(void)
{
    setenv("TZ", "UTC", 1);
#define FILING_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_make, fixture_free)
    const struct CMUnitTest tests[] = {
        FILING_TEST(a_segment_is_sealed_and_linked),
        FILING_TEST(what_is_found_sealed_is_synced_before_it_is_linked),
        FILING_TEST(volumes_that_are_opened_together_all_link),
        FILING_TEST(a_camera_s_latency_is_subtracted),
        FILING_TEST(the_beginning_of_a_run_is_mended_as_a_whole),
        FILING_TEST(after_a_crash_the_same_segment_is_taken_up_again),
        FILING_TEST(a_name_that_is_taken_gets_a_suffix),
        FILING_TEST(another_file_system_gets_a_sealed_copy),
        FILING_TEST(what_a_writer_has_open_is_left_alone),
        FILING_TEST(the_first_of_a_run_waits_for_the_second_or_the_end),
        FILING_TEST(an_empty_file_goes_when_its_run_is_over),
        FILING_TEST(a_head_without_media_goes_when_its_run_is_over),
        FILING_TEST(nonsense_goes_to_the_quarantine_with_its_reason),
        FILING_TEST(footage_before_the_epoch_is_implausible),
        FILING_TEST(tags_of_no_plausible_time_are_not_believed),
        FILING_TEST(the_quarantine_is_bounded),
        FILING_TEST(deleting_takes_empty_directories_and_leaves_the_root),
        FILING_TEST(only_the_right_volume_is_opened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
