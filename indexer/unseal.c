// A sealed segment as the recorder wrote it. See unseal.h.
#include "indexer/unseal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/core/alloc.h"
#include "lib/core/fsutil.h"
#include "lib/media/cache.h"

enum {
    UNSEAL_MODE = 0640,
};

static int unseal_fail(const char *path, const char *what, char **cause)
{
    *cause = xasprintf("%s: %s: %s", path, what, strerror(errno));
    return -1;
}

static int unseal_read(int fd, const char *path, struct mp4_layout *layout, char **cause)
{
    struct stat info;
    if (fstat(fd, &info) < 0)
        return unseal_fail(path, "can not be read", cause);
    struct cache_reader *reader = xmalloc(sizeof(*reader));
    struct media_segment media;
    char *why = NULL;
    cache_reader_init(reader, fd);
    const struct mp4_source source = cache_reader_source(reader, (uint64_t)info.st_size);
    int result = mp4_read(&source, &media, layout, &why);
    if (result == 0)
        media_segment_fini(&media);
    errno = reader->error;
    if (errno != 0)
        result = unseal_fail(path, "can not be read", cause);
    else if (result < 0)
        *cause = xasprintf("%s: %s", path, why);
    free(why);
    free(reader);
    return result;
}

// Where the fragments end: at the trailing moov, also where a damaged one before it was not
// believed.
static uint64_t unseal_end(const struct mp4_layout *layout)
{
    return layout->tail_offset != 0 ? layout->tail_offset : layout->media_end;
}

static int unseal_write(int from, const char *output, const struct mp4_layout *layout, char **cause)
{
    int to = open(output, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, UNSEAL_MODE);
    if (to < 0)
        return unseal_fail(output, "can not be made", cause);
    int result = fs_copy(from, to, unseal_end(layout));
    if (result == 0)
        result =
            fs_write_at(to, layout->init_header, sizeof(layout->init_header), layout->init_offset);
    if (result == 0)
        result = fsync(to);
    if (result < 0) {
        unseal_fail(output, "can not be written", cause);
        unlink(output);
    }
    close(to);
    return result;
}

int unseal(const char *path, const char *output, char **cause)
{
    struct mp4_layout layout;
    int from = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (from < 0)
        return unseal_fail(path, "can not be opened", cause);
    int result = unseal_read(from, path, &layout, cause);
    if (result == 0)
        result = unseal_write(from, output, &layout, cause);
    close(from);
    return result;
}
