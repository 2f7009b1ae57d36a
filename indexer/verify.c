// `keepframe-indexer verify`. See verify.h.
#include "indexer/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "indexer/damage.h"
#include "indexer/idle.h"
#include "indexer/unseal.h"
#include "lib/core/alloc.h"
#include "lib/core/config.h"
#include "lib/core/log.h"
#include "lib/core/timeutil.h"
#include "lib/media/catalog.h"

enum {
    VERIFY_BATCH = 256,
};

#define VERIFY_PROGRESS_US (10 * US_PER_SECOND)

struct verify {
    struct catalog *catalog;
    struct catalog_volume *volumes;
    size_t volume_count;
    struct catalog_codec codec; // the last one that was needed
    uint64_t segments;
    uint64_t bytes;
    uint64_t damages;
    int64_t told_us; // monotonic, when progress was last told
};

// --- The catalog ---

static int verify_open(struct verify *verify, const struct config *config, char **cause)
{
    *verify = (struct verify){.told_us = time_monotonic_us()};
    enum catalog_status status =
        catalog_open_reader(config->storage.database, &verify->catalog, cause);
    if (status == CATALOG_OK)
        status = catalog_volumes(verify->catalog, &verify->volumes, &verify->volume_count, cause);
    if (status == CATALOG_BUSY)
        *cause = xasprintf("%s has no catalog that can be read now: was an indexer ever started?",
            config->storage.database);
    return status == CATALOG_OK ? 0 : -1;
}

static void verify_close(struct verify *verify)
{
    for (size_t i = 0; i < verify->volume_count; i++)
        free(verify->volumes[i].path);
    free(verify->volumes);
    catalog_codec_fini(&verify->codec);
    catalog_close(verify->catalog);
}

static char *verify_path(const struct verify *verify, const struct catalog_segment *row)
{
    for (size_t i = 0; i < verify->volume_count; i++) {
        if (verify->volumes[i].id == row->volume_id)
            return xasprintf("%s/%s", verify->volumes[i].path, row->key);
    }
    return xasprintf("volume %" PRId64 ", %s", row->volume_id, row->key);
}

static const struct buf *verify_entry(struct verify *verify, int64_t codec_id, struct buf *entry)
{
    char *cause = NULL;
    *entry = BUF_INIT;
    if (codec_id == 0)
        return entry;
    if (verify->codec.id != codec_id) {
        catalog_codec_fini(&verify->codec);
        if (catalog_codec_get(verify->catalog, codec_id, &verify->codec, &cause) != CATALOG_OK) {
            free(cause);
            return entry;
        }
    }
    *entry = (struct buf){.data = verify->codec.entry, .size = verify->codec.entry_size};
    return entry;
}

// Whether the row is still there: retention deletes while we read.
static bool verify_still(struct verify *verify, const struct catalog_segment *row)
{
    char *cause = NULL;
    enum catalog_status status =
        catalog_segment_known(verify->catalog, row->stream_id, row->run, row->number, &cause);
    free(cause);
    return status != CATALOG_NONE;
}

// --- One segment ---

static void verify_print(struct verify *verify, const struct segment_id *id, const char *path,
    const struct damage *damage)
{
    char start[TIME_TEXT_SIZE], end[TIME_TEXT_SIZE], identity[SEGMENT_TEXT_SIZE];
    time_format_utc(damage->start_us, start);
    time_format_utc(damage->end_us, end);
    segment_id_format(id, identity);
    printf("%s %s %s: ", start, end, identity);
    if (damage->kind != 0)
        printf(
            "%zu %s samples: ", damage->samples, damage->kind == MEDIA_VIDEO ? "video" : "audio");
    printf("%s (%s)\n", damage->what, path);
    fflush(stdout);
    verify->damages++;
}

static void verify_missing(struct verify *verify, const struct segment_id *id, const char *path,
    const struct catalog_segment *row, int error)
{
    if (error == ENOENT && !verify_still(verify, row))
        return;
    struct damage damage = {.start_us = row->start_us,
        .end_us = row->end_us,
        .what = error == ENOENT ? xstrdup("its file is missing")
                                : xasprintf("its file can not be read: %s", strerror(error))};
    verify_print(verify, id, path, &damage);
    free(damage.what);
}

static void verify_file(struct verify *verify, const struct damage_file *file, const char *path)
{
    struct stat info;
    struct damages found = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &info) < 0) {
        verify_missing(verify, &file->id, path, file->row, errno);
    } else {
        posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
        damage_look(file, fd, (uint64_t)info.st_size, &found);
        verify->bytes += (uint64_t)info.st_size;
    }
    for (size_t i = 0; i < found.count; i++)
        verify_print(verify, &file->id, path, &found.items[i]);
    damages_fini(&found);
    if (fd >= 0)
        close(fd);
}

// Returns 0, or -1 with *cause set where the catalog can not be read.
static int verify_segment(struct verify *verify, const struct catalog_stream *stream,
    const struct catalog_segment *row, char **cause)
{
    struct buf packed = BUF_INIT, entry;
    struct damage_file file = {
        .id = {.run = row->run, .number = row->number},
        .row = row,
        .entry = verify_entry(verify, row->video.codec_id, &entry),
    };
    snprintf(file.id.camera, sizeof(file.id.camera), "%s", stream->camera);
    snprintf(file.id.stream, sizeof(file.id.stream), "%s", stream->stream);
    enum catalog_status status = catalog_frames(verify->catalog, row, &packed, cause);
    if (status == CATALOG_OK)
        file.packed = &packed;
    uint8_t hash[CATALOG_HASH_SIZE];
    char *no_hash = NULL;
    if (status == CATALOG_OK && catalog_hash(verify->catalog, row, hash, &no_hash) == CATALOG_OK)
        file.hash = hash;
    free(no_hash);
    char *path = verify_path(verify, row);
    if (status == CATALOG_OK || status == CATALOG_NONE)
        verify_file(verify, &file, path);
    free(path);
    buf_fini(&packed);
    verify->segments++;
    if (status == CATALOG_OK || status == CATALOG_NONE)
        return 0;
    if (*cause == NULL)
        *cause = xstrdup("the catalog is locked");
    return -1;
}

// --- All of them ---

static void verify_tell(struct verify *verify, const struct catalog_stream *stream)
{
    int64_t now_us = time_monotonic_us();
    if (now_us - verify->told_us < VERIFY_PROGRESS_US)
        return;
    verify->told_us = now_us;
    log_info("%s/%s: %" PRIu64 " segments, %" PRIu64 " MiB read so far, %" PRIu64
             " pieces of damage",
        stream->camera, stream->stream, verify->segments, verify->bytes >> 20, verify->damages);
}

static int verify_stream(struct verify *verify, const struct catalog_stream *stream, char **cause)
{
    int64_t after_us = INT64_MIN;
    struct catalog_segments some;
    int result = 0;
    do {
        enum catalog_status status = catalog_segments_in(
            verify->catalog, stream->id, 0, INT64_MAX, after_us, VERIFY_BATCH, &some, cause);
        if (status != CATALOG_OK) {
            if (*cause == NULL)
                *cause = xstrdup("the catalog is locked");
            return -1;
        }
        for (size_t i = 0; i < some.count && result == 0; i++) {
            result = verify_segment(verify, stream, &some.rows[i], cause);
            verify_tell(verify, stream);
            after_us = some.rows[i].start_us;
        }
        if (some.count < VERIFY_BATCH)
            after_us = INT64_MAX;
        catalog_segments_fini(&some);
    } while (result == 0 && after_us != INT64_MAX);
    return result;
}

static bool verify_wanted(const struct catalog_stream *stream, const char *name)
{
    if (name == NULL)
        return true;
    size_t length = strlen(stream->camera);
    if (strncmp(name, stream->camera, length) != 0)
        return false;
    return name[length] == '\0' ||
           (name[length] == '/' && strcmp(name + length + 1, stream->stream) == 0);
}

static int verify_streams(struct verify *verify, const char *name, char **cause)
{
    struct catalog_stream *streams;
    size_t count, wanted = 0;
    if (catalog_streams(verify->catalog, &streams, &count, cause) != CATALOG_OK)
        return -1;
    int result = 0;
    for (size_t i = 0; i < count && result == 0; i++) {
        if (!verify_wanted(&streams[i], name))
            continue;
        wanted++;
        result = verify_stream(verify, &streams[i], cause);
    }
    free(streams);
    if (result == 0 && wanted == 0 && name != NULL) {
        *cause = xasprintf("the catalog knows no %s", name);
        result = -1;
    }
    return result;
}

int verify_run(const struct config *config, const char *name)
{
    struct verify verify;
    char *cause = NULL;
    idle_priority();
    int result = verify_open(&verify, config, &cause);
    if (result == 0)
        result = verify_streams(&verify, name, &cause);
    if (result == 0)
        log_info("%" PRIu64 " segments, %" PRIu64 " MiB read, %" PRIu64 " pieces of damage",
            verify.segments, verify.bytes >> 20, verify.damages);
    else
        log_err("%s", cause ? cause : "the catalog is locked");
    free(cause);
    verify_close(&verify);
    return result == 0 && verify.damages == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

// --- One segment as the recorder wrote it ---

static char *verify_find(struct verify *verify, const char *identity, char **cause)
{
    struct segment_id id;
    struct catalog_stream stream;
    struct catalog_segment row;
    if (!segment_id_parse(identity, &id)) {
        *cause = xasprintf("\"%s\" is no segment's identity: CAMERA/STREAM/RUN-NNNNNN", identity);
        return NULL;
    }
    enum catalog_status status =
        catalog_stream_find(verify->catalog, id.camera, id.stream, &stream, cause);
    if (status == CATALOG_OK)
        status = catalog_segment_find(verify->catalog, stream.id, id.run, id.number, &row, cause);
    if (status != CATALOG_OK) {
        if (*cause == NULL)
            *cause = xasprintf("the catalog has no segment %s: what is not filed yet lies in the "
                               "cache as the recorder wrote it",
                identity);
        return NULL;
    }
    char *path = verify_path(verify, &row);
    catalog_segment_fini(&row);
    return path;
}

int verify_unseal(const struct config *config, const char *identity, const char *output)
{
    struct verify verify;
    char *cause = NULL, *path = NULL;
    int result = verify_open(&verify, config, &cause);
    if (result == 0)
        path = verify_find(&verify, identity, &cause);
    result = path ? unseal(path, output, &cause) : -1;
    if (result < 0)
        log_err("%s", cause ? cause : "the catalog is locked");
    free(cause);
    free(path);
    verify_close(&verify);
    return result == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
