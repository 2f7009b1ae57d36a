// Hints on settings of the system: the judge. See hints.h.
#include "supervisor/hints.h"

#include <inttypes.h>
#include <string.h>

#include "lib/core/buf.h"
#include "lib/core/log.h"
#include "lib/core/timeutil.h"

#define MIB (INT64_C(1) << 20)

// What a stream of 4 Mbit/s writes a second.
#define HINTS_STREAM_BYTES (MIB / 2)

// A disk may be busy with something else for as long as a sync round takes, and as long again.
#define HINTS_DISK_PAUSE_ROUNDS 2

// More than this takes a disk that turns ten seconds to write, while a sync waits.
#define HINTS_BACKGROUND_MAX (1024 * MIB)
#define HINTS_BACKGROUND_GOOD (256 * MIB)

// Syncing a growing file on a disk that turns: its data and its inode are two seeks.
#define HINTS_SYNC_SEEKS_US (2 * INT64_C(8000))

enum {
    HINTS_FILES_PER_STREAM = 3,
    HINTS_FILES_OTHERWISE = 80,
    HINTS_PROCESSES_PER_STREAM = 4, // an ffmpeg and its threads
    HINTS_PROCESSES_OTHERWISE = 200,
    HINTS_WATCHES_PER_STREAM = 2, // the folder of the stream and, at worst, of its camera
    HINTS_WATCHES_OTHERWISE = 16,
    HINTS_INSTANCES = 16, // we need four; other programs of the same user have some
};

static void hints_judge_memory(const struct hints_facts *facts, struct buf *lines)
{
    int64_t bytes_a_second = (int64_t)facts->stream_count * HINTS_STREAM_BYTES;
    int64_t needed = bytes_a_second * HINTS_DISK_PAUSE_ROUNDS * facts->sync_us / US_PER_SECOND;
    if (needed > facts->memory_bytes / 2)
        needed = facts->memory_bytes / 2;
    if (facts->dirty_limit_bytes > 0 && facts->dirty_limit_bytes < needed)
        buf_printf(lines,
            "only %" PRId64 " MiB may wait for the disk: one that is busy for a moment makes the "
            "recorders wait, and cameras hang up; sysctl -w vm.dirty_bytes=%" PRId64 "\n",
            facts->dirty_limit_bytes / MIB, needed);
    if (facts->has_rotating_disk && facts->dirty_background_bytes > HINTS_BACKGROUND_MAX)
        buf_printf(lines,
            "the kernel lets %" PRId64
            " MiB pile up before it begins to write: on a disk that turns, "
            "a sync behind such a pile takes long; sysctl -w vm.dirty_background_bytes=%" PRId64
            "\n",
            facts->dirty_background_bytes / MIB, HINTS_BACKGROUND_GOOD);
}

static void hints_judge_limits(const struct hints_facts *facts, struct buf *lines)
{
    int64_t streams = (int64_t)facts->stream_count;
    int64_t files = streams * HINTS_FILES_PER_STREAM + HINTS_FILES_OTHERWISE;
    int64_t processes = streams * HINTS_PROCESSES_PER_STREAM + HINTS_PROCESSES_OTHERWISE;
    int64_t watches = streams * HINTS_WATCHES_PER_STREAM + HINTS_WATCHES_OTHERWISE;
    if (facts->open_files > 0 && facts->open_files < files)
        buf_printf(lines,
            "%" PRId64 " open files are allowed, %" PRId64 " may be needed: streams beyond that "
            "are not recorded; ulimit -Hn %" PRId64 ", or LimitNOFILE= of the service\n",
            facts->open_files, files, files);
    if (facts->processes > 0 && facts->processes < processes)
        buf_printf(lines,
            "%" PRId64 " processes are allowed, %" PRId64 " may be needed: streams beyond that are "
            "not recorded; ulimit -u %" PRId64 ", or TasksMax= of the service\n",
            facts->processes, processes, processes);
    if (facts->inotify_watches > 0 && facts->inotify_watches < watches)
        buf_printf(lines,
            "%" PRId64 " folders may be watched, %" PRId64 " are needed: footage of the others is "
            "found late; sysctl -w fs.inotify.max_user_watches=%" PRId64 "\n",
            facts->inotify_watches, watches, 2 * watches);
    if (facts->inotify_instances > 0 && facts->inotify_instances < HINTS_INSTANCES)
        buf_printf(lines,
            "%" PRId64 " inotify instances are allowed a user: the indexer may not get one, and "
            "nothing is filed; sysctl -w fs.inotify.max_user_instances=128\n",
            facts->inotify_instances);
}

static void hints_judge_disks(const struct hints_facts *facts, struct buf *lines)
{
    if (facts->memory_cache != NULL)
        buf_printf(lines,
            "storage.cache: %s lies in memory: a power cut or a reboot costs all footage that is "
            "not filed yet; storage.cache: FOLDER-ON-A-DISK\n",
            facts->memory_cache);
    int64_t round_us = (int64_t)facts->stream_count * HINTS_SYNC_SEEKS_US;
    if (facts->rotating_cache != NULL && round_us > facts->sync_us / 2)
        buf_printf(lines,
            "storage.cache: %s lies on a disk that turns: syncing %zu streams every %" PRId64
            " s keeps it seeking; storage.cache: FOLDER-ON-AN-SSD, or recording.sync: %" PRId64
            "s\n",
            facts->rotating_cache, facts->stream_count, facts->sync_us / US_PER_SECOND,
            (2 * round_us + US_PER_SECOND - 1) / US_PER_SECOND);
    if (facts->strict_atime_volume != NULL)
        buf_printf(lines,
            "%s is mounted with strictatime: each look at footage writes to the disk; mount -o "
            "remount,relatime for its file system\n",
            facts->strict_atime_volume);
    if (facts->forbidden_path != NULL)
        buf_printf(lines,
            "%s: the service may not write there: nothing is recorded or filed; systemctl edit "
            "keepframe, and add: [Service] ReadWritePaths=%s\n",
            facts->forbidden_path, facts->forbidden_path);
}

void hints_judge(const struct hints_facts *facts, struct buf *lines)
{
    hints_judge_memory(facts, lines);
    hints_judge_limits(facts, lines);
    hints_judge_disks(facts, lines);
    if (facts->is_clock_loose)
        buf_printf(lines, "the clock is not synchronised: footage gets wrong times, and a later "
                          "correction makes a gap or an overlap; timedatectl set-ntp true\n");
}

void hints_log(const struct config *config)
{
    struct hints_facts facts;
    struct buf lines = BUF_INIT;
    hints_read(config, &facts);
    hints_judge(&facts, &lines);
    for (const char *line = buf_string(&lines); *line != '\0'; line = strchr(line, '\n') + 1)
        log_warn("hint: %.*s", (int)strcspn(line, "\n"), line);
    buf_fini(&lines);
}
