// What it costs to index one segment: parse, seal in place, insert into the catalog, as the indexer
// does them, in CPU time of this thread. What fsync(2) and fdatasync(2) cost is measured apart and
// left out: it is the disk's, and it is the same for every recorder that keeps its promises.
//
// usage: indexbench SEGMENT DIRECTORY COUNT
// prints one JSON object; times are microseconds per segment. COUNT is how often each step is
// repeated; sealing, which needs a copy of the segment each time, is repeated a tenth as often.
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "indexer/seal.h"
#include "lib/core/alloc.h"
#include "lib/core/fsutil.h"
#include "lib/media/cache.h"
#include "lib/media/catalog.h"
#include "lib/media/samples.h"

static int64_t sync_ns;

static int64_t cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int timed_sync(long call, int fd)
{
    int64_t since = cpu_ns();
    int result = (int)syscall(call, fd);
    sync_ns += cpu_ns() - since;
    return result;
}

// These stand before libc's, for SQLite too.
int fsync(int fd)
{
    return timed_sync(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    return timed_sync(SYS_fdatasync, fd);
}

static void check(bool ok, const char *what, const char *cause)
{
    if (ok)
        return;
    fprintf(stderr, "indexbench: %s: %s\n", what, cause ? cause : "failed");
    exit(1);
}

struct bench {
    const char *segment;
    const char *directory;
    int count;
    struct media_segment media;
    struct mp4_layout layout;
    struct buf packed;
};

static void bench_read(struct bench *bench, const char *path)
{
    char *cause = NULL;
    struct stat info;
    struct cache_reader *reader = xmalloc(sizeof(*reader));
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    check(fd >= 0 && fstat(fd, &info) == 0, path, "can not be opened");
    cache_reader_init(reader, fd);
    struct mp4_source source = cache_reader_source(reader, (uint64_t)info.st_size);
    check(mp4_read(&source, &bench->media, &bench->layout, &cause) == 0, path, cause);
    close(fd);
    free(reader);
}

static void bench_summarize(struct bench *bench, struct catalog_segment *row)
{
    for (size_t i = 0; i < bench->media.track_count; i++) {
        const struct media_track *track = &bench->media.tracks[i];
        track_summarize(
            track, track->kind == MEDIA_VIDEO ? &row->video.summary : &row->audio.summary);
    }
    bench->packed.size = 0;
    sample_table_encode(&bench->media, &bench->packed);
}

// Reads the segment anew each time; of it, *pack_us is what packing and summing up take.
static double bench_parse(struct bench *bench, double *pack_us)
{
    struct catalog_segment row = {0};
    int64_t since = cpu_ns(), packed_ns = 0;
    for (int i = 0; i < bench->count; i++) {
        media_segment_fini(&bench->media);
        bench_read(bench, bench->segment);
        int64_t read_ns = cpu_ns();
        bench_summarize(bench, &row);
        packed_ns += cpu_ns() - read_ns;
    }
    *pack_us = (double)packed_ns / bench->count / 1e3;
    return (double)(cpu_ns() - since) / bench->count / 1e3;
}

static double bench_seal(const struct bench *bench)
{
    int count = bench->count / 10;
    int64_t spent = 0;
    for (int i = 0; i < count; i++) {
        char *path = xasprintf("%s/seal.mp4", bench->directory), *cause = NULL;
        struct stat info;
        int from = open(bench->segment, O_RDONLY | O_CLOEXEC);
        int to = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        check(from >= 0 && to >= 0 && fstat(from, &info) == 0, path, "can not be made");
        check(fs_copy(from, to, (uint64_t)info.st_size) == 0 && syscall(SYS_fsync, to) == 0, path,
            NULL);
        const struct mp4_tags tags = {
            .identity = "bench/main/1767225600000-000001",
            .node = "bench",
            .start_us = INT64_C(1767225600000000),
            .end_us = INT64_C(1767225660000000),
        };
        int64_t synced = sync_ns, since = cpu_ns();
        struct seal_plan plan;
        seal_plan_init(&plan, &bench->media, &bench->layout, &tags);
        bool unsynced = false;
        check(seal_in_place(to, &plan, &unsynced, &cause) == 0, path, cause);
        seal_plan_fini(&plan);
        spent += cpu_ns() - since - (sync_ns - synced);
        close(from);
        close(to);
        unlink(path);
        free(path);
    }
    return (double)spent / count / 1e3;
}

// The summaries are what parsing gave.
static void bench_insert_one(
    const struct bench *bench, struct catalog *catalog, const struct catalog_segment *parsed, int i)
{
    char *cause = NULL, key[SEGMENT_KEY_SIZE];
    struct segment_id id = {
        .camera = "bench", .run = INT64_C(1767225600000), .number = (uint32_t)(i / 8)};
    snprintf(id.stream, sizeof(id.stream), "s%d", i % 8);
    struct catalog_segment row = *parsed;
    row.start_us = INT64_C(1767225600000000) + i / 8 * INT64_C(60000000);
    row.run = id.run;
    row.number = id.number;
    row.end_us = row.start_us + INT64_C(60000000);
    segment_key_format(&id, row.start_us, 0, key);
    row.key = xstrdup(key);
    check(catalog_stream_add(catalog, id.camera, id.stream, &row.stream_id, &cause) == CATALOG_OK,
        "stream", cause);
    for (size_t k = 0; k < bench->media.track_count; k++) {
        const struct media_track *track = &bench->media.tracks[k];
        struct catalog_track *to = track->kind == MEDIA_VIDEO ? &row.video : &row.audio;
        check(catalog_codec_add(catalog, track->entry, track->entry_size, &to->codec_id, &cause) ==
                  CATALOG_OK,
            "codec", cause);
    }
    check(catalog_frames_put(catalog, &row, bench->packed.data, bench->packed.size, &cause) ==
              CATALOG_OK,
        "frames", cause);
    check(catalog_segment_add(catalog, &row, &cause) == CATALOG_OK, "row", cause);
    catalog_segment_fini(&row);
}

// Inserts segments of eight streams, in commits of eight: a small server's second.
static double bench_insert(struct bench *bench)
{
    char *cause = NULL;
    struct catalog *catalog = catalog_open_writer(bench->directory, &cause);
    check(catalog != NULL, bench->directory, cause);
    struct catalog_segment parsed = {
        .volume_id = 1,
        .size_bytes = bench->layout.media_end,
        .media_offset = bench->layout.media_offset,
        .media_end = bench->layout.media_end,
    };
    bench_summarize(bench, &parsed);
    int64_t synced = sync_ns, since = cpu_ns();
    for (int i = 0; i < bench->count; i++) {
        if (i % 8 == 0)
            check(catalog_begin(catalog, &cause) == CATALOG_OK, "begin", cause);
        bench_insert_one(bench, catalog, &parsed, i);
        if (i % 8 == 7 || i == bench->count - 1)
            check(catalog_commit(catalog, &cause) == CATALOG_OK, "commit", cause);
    }
    double spent = (double)(cpu_ns() - since - (sync_ns - synced)) / bench->count / 1e3;
    catalog_close(catalog);
    return spent;
}

// Bytes of the packed table that are one track's: of audio what its samples take, of video all
// else, that is where the samples of both lie too.
static size_t packed_size(const struct bench *bench, enum media_kind kind, uint32_t *samples)
{
    struct sample_table table;
    char *cause = NULL;
    size_t audio_size = 0;
    check(sample_table_open(&table, bench->packed.data, bench->packed.size, &cause) == 0,
        "packed table", cause);
    const struct sample_table_track *track = sample_table_track(&table, kind);
    const struct sample_table_track *audio = sample_table_track(&table, MEDIA_AUDIO);
    *samples = track ? track->sample_count : 0;
    if (audio != NULL) {
        const struct sample_pack *pack = &audio->pack[audio->own];
        audio_size =
            pack->keys.size + pack->durations.size + pack->compositions.size + pack->sizes.size;
    }
    return kind == MEDIA_AUDIO ? audio_size : bench->packed.size - audio_size;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: indexbench SEGMENT DIRECTORY COUNT\n");
        return 64;
    }
    struct bench bench = {
        .segment = argv[1],
        .directory = xasprintf("%s/catalog.%d", argv[2], (int)getpid()),
        .count = (int)strtol(argv[3], NULL, 10),
    };
    char *cause = NULL;
    check(bench.count >= 10, "COUNT", "must be 10 at least");
    check(fs_make_dirs(bench.directory, 0700, &cause) == 0, bench.directory, cause);
    bench_read(&bench, bench.segment);

    double pack_us, parse_us = bench_parse(&bench, &pack_us), seal_us = bench_seal(&bench),
                    insert_us = bench_insert(&bench);
    uint32_t video, audio;
    size_t video_size = packed_size(&bench, MEDIA_VIDEO, &video);
    size_t audio_size = packed_size(&bench, MEDIA_AUDIO, &audio);
    printf(
        "{\"parse_us\":%.1f,\"pack_us\":%.1f,\"seal_us\":%.1f,\"insert_us\":%.1f,\"cpu_us\":%.1f,"
        "\"video_bytes_per_frame\":%.3f,\"audio_bytes_per_frame\":%.3f}\n",
        parse_us, pack_us, seal_us, insert_us, parse_us + seal_us + insert_us,
        video ? (double)video_size / video : 0, audio ? (double)audio_size / audio : 0);
    media_segment_fini(&bench.media);
    buf_fini(&bench.packed);
    free((char *)bench.directory);
    return 0;
}
