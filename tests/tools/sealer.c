// Seals segments and puts them into a volume, as the indexer does, but at a place in time that its
// caller chooses: days of footage in seconds. For each line of its input,
//
//   FILE VOLUME IDENTITY START_US END_US
//
// FILE (fragments, as a recorder writes them) becomes a sealed segment under its local name (of
// UTC) in VOLUME. `keepframe-indexer reindex` makes a catalog of them.
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
#include "lib/media/cache.h"
#include "lib/media/segment_id.h"

// What is made here is thrown away after the test, so it need not survive a power cut.
// NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name)
int fdatasync(int fd)
{
    (void)fd;
    return 0;
}

static _Noreturn void die(const char *path, const char *what)
{
    fprintf(stderr, "sealer: %s: %s\n", path, what);
    exit(EXIT_FAILURE);
}

static void seal(const char *path, const struct mp4_tags *tags)
{
    static struct cache_reader reader;
    struct media_segment media;
    struct mp4_layout layout;
    struct seal_plan plan;
    struct stat info;
    bool unsynced = false;
    char *cause = NULL;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &info) < 0)
        die(path, strerror(errno));
    cache_reader_init(&reader, fd);
    struct mp4_source source = cache_reader_source(&reader, (uint64_t)info.st_size);
    if (mp4_read(&source, &media, &layout, &cause) < 0)
        die(path, cause);
    seal_plan_init(&plan, &media, &layout, tags);
    if (seal_in_place(fd, &plan, &unsynced, &cause) < 0)
        die(path, cause);
    seal_plan_fini(&plan);
    media_segment_fini(&media);
    close(fd);
}

static void put(const char *path, const char *volume, const struct mp4_tags *tags)
{
    struct segment_id id;
    char key[SEGMENT_KEY_SIZE], *cause = NULL;
    if (!segment_id_parse(tags->identity, &id))
        die(path, "no identity");
    int linked = -1;
    for (unsigned attempt = 0; linked < 0 && attempt < 10; attempt++) {
        segment_key_format(&id, tags->start_us + attempt * 1000, 0, key); // a free name
        char *target = xasprintf("%s/%s", volume, key);
        char *folder = xasprintf("%.*s", (int)(strrchr(target, '/') - target), target);
        if (fs_make_dirs(folder, 0755, &cause) < 0)
            die(folder, cause);
        linked = link(path, target);
        if (linked < 0 && errno != EEXIST)
            die(target, strerror(errno));
        free(folder);
        free(target);
    }
    if (linked < 0 || unlink(path) < 0)
        die(path, strerror(errno));
}

int main(void)
{
    char path[512], volume[512];
    struct mp4_tags tags = {.node = "attic"};
    while (scanf("%511s %511s %191s %" SCNd64 " %" SCNd64, path, volume, tags.identity,
               &tags.start_us, &tags.end_us) == 5) {
        seal(path, &tags);
        put(path, volume, &tags);
    }
    if (feof(stdin))
        return EXIT_SUCCESS;
    die("standard input", "not a line of its format");
}
