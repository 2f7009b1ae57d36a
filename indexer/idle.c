// The least share of disk and processor. See idle.h.
#include "indexer/idle.h"

#include <errno.h>
#include <linux/ioprio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/core/log.h"

void idle_priority(void)
{
    // Both concern the calling thread alone. There is no library call for the first.
    if (syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0)) < 0)
        log_debug("the I/O priority stays: %s", strerror(errno));
    if (setpriority(PRIO_PROCESS, (id_t)gettid(), 19) < 0)
        log_debug("the priority stays: %s", strerror(errno));
}
