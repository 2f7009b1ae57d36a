// The first seconds of a run. See beginning.h.
#include "indexer/beginning.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/core/alloc.h"
#include "lib/media/cache.h"

// Reads what there is of a file that may still be written.
static bool beginning_read(const char *path, struct media_segment *segment)
{
    struct cache_reader *reader = xmalloc(sizeof(*reader));
    struct mp4_layout layout;
    struct stat info;
    char *cause = NULL;
    bool read = false;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd >= 0 && fstat(fd, &info) == 0 && S_ISREG(info.st_mode)) {
        cache_reader_init(reader, fd);
        struct mp4_source source = cache_reader_source(reader, (uint64_t)info.st_size);
        source.growing = true;
        read = mp4_read(&source, segment, &layout, &cause) == 0;
    }
    if (fd >= 0)
        close(fd);
    free(cause);
    free(reader);
    return read;
}

bool beginning_find(const struct media_segment *first, char *const *paths, size_t count, bool over,
    struct mend *mend)
{
    struct media_segment segments[BEGINNING_FILES_MAX + 1] = {*first};
    size_t read = 1;
    bool ready = mend_ready(segments, read);
    while (!ready && read <= count && beginning_read(paths[read - 1], &segments[read]))
        ready = mend_ready(segments, ++read);
    ready |= over || count == BEGINNING_FILES_MAX;
    if (ready)
        mend_find(segments, read, mend);
    for (size_t i = 1; i < read; i++)
        media_segment_fini(&segments[i]);
    return ready;
}
