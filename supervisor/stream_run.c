// The runs of a stream on disk. See stream_run.h.
#include "supervisor/stream_run.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/fsutil.h"
#include "lib/core/log.h"
#include "lib/core/timeutil.h"
#include "supervisor/run.h"

// Writes the file of a run. Returns 0, or -1 with *cause set.
static int stream_run_store(const struct runfile *run, const char *directory, char **cause)
{
    char *path = run_file_path(directory, run->run);
    int result = runfile_store(run, path, cause);
    free(path);
    return result;
}

int stream_run_open(struct stream_run *run, const char *directory, const char *node, char **cause)
{
    if (fs_make_dirs(directory, 0750, cause) < 0)
        return -1;
    int64_t now_us = time_now_us();
    int64_t number = run_reserve(directory, now_us / 1000, cause);
    if (number == 0)
        return -1;
    run->open = run_named(directory, number, node);
    run->open.start_us = now_us;
    int result = stream_run_store(&run->open, directory, cause);
    if (result < 0)
        runfile_fini(&run->open);
    return result;
}

void stream_run_close(
    struct stream_run *run, const char *directory, enum reason reason, const char *words)
{
    struct runfile *open = &run->open;
    if (open->run == 0)
        return;
    char *cause = NULL;
    open->end_us = time_now_us();
    open->reason = xstrdup(reason_name(reason));
    open->detail = words ? xstrdup(words) : NULL;
    if (stream_run_store(open, directory, &cause) == 0) {
        runfile_fini(open);
        return;
    }
    log_err("%s/%s: the end of a run can not be noted now: %s", open->camera, open->stream, cause);
    free(cause);
    ARRAY_RESERVE(run->unnoted, run->unnoted_count, run->unnoted_capacity);
    run->unnoted[run->unnoted_count++] = *open;
    *open = (struct runfile){0};
}

void stream_run_retry(struct stream_run *run, const char *directory)
{
    for (size_t i = run->unnoted_count; i-- > 0;) {
        char *cause = NULL;
        if (stream_run_store(&run->unnoted[i], directory, &cause) < 0) {
            free(cause);
            return;
        }
        runfile_fini(&run->unnoted[i]);
        run->unnoted[i] = run->unnoted[--run->unnoted_count];
    }
}

void stream_run_fini(struct stream_run *run, const char *directory)
{
    stream_run_retry(run, directory);
    while (run->unnoted_count > 0)
        runfile_fini(&run->unnoted[--run->unnoted_count]);
    free(run->unnoted);
    runfile_fini(&run->open);
}
