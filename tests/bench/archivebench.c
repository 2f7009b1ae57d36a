// An archive of many days in a minute or less: one recorded segment, sealed once, is filed again
// and again, each time a segment later. Its names in the volume are hard links to the one file, and
// its rows and sample tables are what an indexer would write; so every byte of a range can be
// asked for, and days of them fit into the page cache.
//
// usage: archivebench SEGMENT DIRECTORY START_MS COUNT NAMES
// writes DIRECTORY/catalog.db, the frames databases and DIRECTORY/video; camera `days`, stream
// `main`, a run of 60 segments each. A file gets NAMES names (ext4 allows 65,000), then it is
// copied: with 1, every segment is a file of its own. Prints {"segment_us":…,"frames":…,"bytes":…}.
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "indexer/seal.h"
#include "lib/core/alloc.h"
#include "lib/core/fsutil.h"
#include "lib/core/timeutil.h"
#include "lib/media/cache.h"
#include "lib/media/catalog.h"
#include "lib/media/samples.h"

enum {
    RUN_SEGMENTS = 60,
};

struct bench {
    const char *directory;
    char *volume;
    char *master; // the sealed file
    uint64_t master_size;
    unsigned links;
    unsigned links_max;
    struct media_segment media;
    struct mp4_layout layout;
    struct buf packed;
    struct catalog *catalog;
    struct catalog_segment row; // what all have in common
    int64_t start_us;
    int64_t segment_us;
};

static char *cause;

// The indexer's syncs are not what is looked at here.
// NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name)
int fdatasync(int fd)
{
    (void)fd;
    return 0;
}

// NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name)
int fsync(int fd)
{
    (void)fd;
    return 0;
}

static void check(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "archivebench: %s: %s\n", what, cause ? cause : strerror(errno));
    exit(1);
}

static void bench_copy(const char *source, const char *target)
{
    struct stat info;
    int from = open(source, O_RDONLY | O_CLOEXEC);
    int to = open(target, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    check(from >= 0 && to >= 0 && fstat(from, &info) == 0, source);
    check(fs_copy(from, to, (uint64_t)info.st_size) == 0, target);
    close(from);
    close(to);
}

// Copies the segment and seals the copy.
static void bench_seal(struct bench *bench, const char *segment)
{
    static struct cache_reader reader;
    struct stat info;
    struct seal_plan plan;
    bool unsynced = false;
    const struct mp4_tags tags = {
        .identity = "days/main/0-000000", .node = "bench", .start_us = 0, .end_us = 1};
    bench->master = xasprintf("%s/master.mp4", bench->directory);
    bench_copy(segment, bench->master);
    int fd = open(bench->master, O_RDWR | O_CLOEXEC);
    check(fd >= 0 && fstat(fd, &info) == 0, bench->master);
    cache_reader_init(&reader, fd);
    struct mp4_source source = cache_reader_source(&reader, (uint64_t)info.st_size);
    check(mp4_read(&source, &bench->media, &bench->layout, &cause) == 0, segment);
    seal_plan_init(&plan, &bench->media, &bench->layout, &tags);
    check(seal_in_place(fd, &plan, &unsynced, &cause) == 0, bench->master);
    seal_plan_fini(&plan);
    check(fstat(fd, &info) == 0, bench->master);
    bench->master_size = (uint64_t)info.st_size;
    close(fd);
}

static void bench_begin(struct bench *bench)
{
    bench->catalog = catalog_open_writer(bench->directory, &cause);
    check(bench->catalog != NULL && catalog_begin(bench->catalog, &cause) == CATALOG_OK, "catalog");
    struct catalog_segment *row = &bench->row;
    check(catalog_stream_add(bench->catalog, "days", "main", &row->stream_id, &cause) == CATALOG_OK,
        "stream");
    check(catalog_volume_add(bench->catalog, "00000000-0000-4000-8000-000000000001", bench->volume,
              &row->volume_id, &cause) == CATALOG_OK,
        "volume");
    row->size_bytes = bench->master_size;
    row->media_offset = bench->layout.media_offset;
    row->media_end = bench->layout.media_end;
    for (size_t i = 0; i < bench->media.track_count; i++) {
        const struct media_track *track = &bench->media.tracks[i];
        struct catalog_track *to = track->kind == MEDIA_VIDEO ? &row->video : &row->audio;
        track_summarize(track, &to->summary);
        check(catalog_codec_add(bench->catalog, track->entry, track->entry_size, &to->codec_id,
                  &cause) == CATALOG_OK,
            "codec");
    }
    sample_table_encode(&bench->media, &bench->packed);
    const struct track_summary *video = &row->video.summary;
    bench->segment_us = (int64_t)(video->counts.duration * US_PER_SECOND / video->timescale);
}

// The next segment's times follow on those of the one before, as a recorder's do.
static void bench_move(struct track_summary *summary, const struct track_summary *first, int64_t us)
{
    summary->start = first->start + us * (int64_t)summary->timescale / US_PER_SECOND;
}

// Another name for the master; a new master once it has as many names as a file may have.
static void bench_link(struct bench *bench, const char *key)
{
    char *path = xasprintf("%s/%s", bench->volume, key);
    char *folder = xstrndup(path, (size_t)(strrchr(path, '/') - path));
    check(fs_make_dirs(folder, 0755, &cause) == 0, folder);
    if (++bench->links > bench->links_max) {
        char *former = bench->master;
        bench->master = xasprintf("%s/master.%s", bench->directory, strrchr(key, '/') + 1);
        bench_copy(former, bench->master);
        bench->links = 1;
        check(unlink(former) == 0, former);
        free(former);
    }
    check(link(bench->master, path) == 0, path);
    free(folder);
    free(path);
}

static void bench_file(struct bench *bench, int64_t index)
{
    struct catalog_segment row = bench->row;
    int64_t number = index % RUN_SEGMENTS, offset_us = index * bench->segment_us;
    struct segment_id id = {.camera = "days", .stream = "main", .number = (uint32_t)number};
    id.run = (bench->start_us + offset_us - number * bench->segment_us) / 1000;
    char key[SEGMENT_KEY_SIZE];
    row.start_us = bench->start_us + offset_us;
    row.end_us = row.start_us + bench->segment_us;
    row.run = id.run;
    row.number = id.number;
    bench_move(&row.video.summary, &bench->row.video.summary, number * bench->segment_us);
    if (row.audio.codec_id != 0)
        bench_move(&row.audio.summary, &bench->row.audio.summary, number * bench->segment_us);
    segment_key_format(&id, row.start_us, 0, key);
    row.key = xstrdup(key);
    bench_link(bench, key);
    const struct catalog_run run = {.stream_id = row.stream_id,
        .run = row.run,
        .start_us = row.run * 1000,
        .end_us = row.run * 1000 + RUN_SEGMENTS * bench->segment_us,
        .reason = "stopped"};
    check(number != 0 || catalog_run_put(bench->catalog, &run, &cause) == CATALOG_OK, "run");
    check(catalog_frames_put(
              bench->catalog, &row, bench->packed.data, bench->packed.size, &cause) == CATALOG_OK,
        "frames");
    check(catalog_segment_add(bench->catalog, &row, &cause) == CATALOG_OK, "row");
    catalog_segment_fini(&row);
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fprintf(stderr, "usage: archivebench SEGMENT DIRECTORY START_MS COUNT NAMES\n");
        return 64;
    }
    struct bench bench = {.directory = argv[2], .volume = xasprintf("%s/video", argv[2])};
    bench.start_us = strtoll(argv[3], NULL, 10) * 1000;
    int64_t count = strtoll(argv[4], NULL, 10);
    bench.links_max = (unsigned)strtoul(argv[5], NULL, 10);
    check(fs_make_dirs(bench.volume, 0755, &cause) == 0, bench.volume);
    bench_seal(&bench, argv[1]);
    bench_begin(&bench);
    for (int64_t i = 0; i < count; i++) {
        bench_file(&bench, i);
        if (i % 1440 != 1439)
            continue;
        check(catalog_commit(bench.catalog, &cause) == CATALOG_OK, "commit");
        check(catalog_begin(bench.catalog, &cause) == CATALOG_OK, "begin");
    }
    check(catalog_commit(bench.catalog, &cause) == CATALOG_OK, "commit");
    catalog_close(bench.catalog);
    printf("{\"segment_us\":%" PRId64 ",\"frames\":%" PRIu32 ",\"bytes\":%" PRIu64 "}\n",
        bench.segment_us, bench.row.video.summary.counts.samples, bench.master_size);
    media_segment_fini(&bench.media);
    buf_fini(&bench.packed);
    free(bench.master);
    free(bench.volume);
    return 0;
}
