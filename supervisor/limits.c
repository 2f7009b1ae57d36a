// The limit of open files. See limits.h.
#include "supervisor/limits.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#include "lib/core/log.h"

static rlim_t limits_soft_before; // 0: not raised

void limits_raise(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == limit.rlim_max)
        return;
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        log_warn("the limit of open files can not be raised: %s", strerror(errno));
    else
        limits_soft_before = before;
}

void limits_restore(void)
{
    struct rlimit limit;
    if (limits_soft_before == 0 || getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limits_soft_before < limit.rlim_max ? limits_soft_before : limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

uint64_t limits_before(void)
{
    return limits_soft_before;
}

void limits_set_before(uint64_t before)
{
    limits_soft_before = before;
}
