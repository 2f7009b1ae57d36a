// The limit of open files. See limits.h.
#include "supervisor/limits.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#include "lib/core/log.h"

enum {
    LIMITS_FILES_PER_STREAM = 3, // of an ffmpeg: progress, stderr, the file that grows
    LIMITS_FILES_OTHERWISE = 80, // sockets and their peers, locks, what is open for a moment
};

static rlim_t limits_soft_before; // 0: not raised

void limits_raise(size_t stream_count)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    if (before < limit.rlim_max && setrlimit(RLIMIT_NOFILE, &limit) < 0) {
        log_warn("the limit of open files can not be raised: %s", strerror(errno));
        limit.rlim_cur = before;
    } else if (limits_soft_before == 0) {
        limits_soft_before = before;
    }
    rlim_t needed = stream_count * LIMITS_FILES_PER_STREAM + LIMITS_FILES_OTHERWISE;
    if (limit.rlim_cur < needed)
        log_warn("%zu streams need %llu open files, %llu are allowed; raise the hard limit "
                 "(LimitNOFILE= of the service, or ulimit -Hn)",
            stream_count, (unsigned long long)needed, (unsigned long long)limit.rlim_cur);
}

void limits_restore(void)
{
    struct rlimit limit;
    if (limits_soft_before == 0 || getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limits_soft_before < limit.rlim_max ? limits_soft_before : limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}
