// Deletes what retention no longer keeps. See expiry.h.
#include "indexer/expiry.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "indexer/ageclock.h"
#include "indexer/committer.h"
#include "indexer/gathering.h"
#include "indexer/purge.h"
#include "indexer/storage.h"
#include "indexer/worker.h"
#include "lib/core/alloc.h"
#include "lib/core/config.h"
#include "lib/core/fsutil.h"
#include "lib/core/log.h"
#include "lib/core/timeutil.h"

#define EXPIRY_PERIOD_US (2 * US_PER_SECOND)
#define EXPIRY_TIDY_US (3600 * US_PER_SECOND)
#define EXPIRY_CLOCK_US (60 * US_PER_SECOND)
#define EXPIRY_EARLY_US (600 * US_PER_SECOND) // for how long it is told
#define EXPIRY_EARLY_LOG_US (3600 * US_PER_SECOND)

#define EXPIRY_CLOCK_FILE "retention-clock"

// The clock of ages on its way to disk.
struct expiry_clock_job {
    struct worker_job job;
    bool busy;
    char *path;
    char text[TIME_TEXT_SIZE];
};

struct expiry {
    struct indexer *indexer;
    struct gathering gathering;
    struct ageclock clock;
    bool clock_set;
    bool leapt; // the wall clock is far ahead
    struct expiry_clock_job clock_job;
    int64_t clock_saved_us;
    size_t uncommitted; // changes of the round that are on their way
    bool again;         // there is more than one round's worth
    int64_t next_us;
    int64_t tidy_us;
    int64_t early_log_us;
    int64_t *volume_early_us; // monotonic: when footage went that was promised, because of min_free
};

// --- The clock of ages ---

static void expiry_clock_run(struct worker_job *job)
{
    struct expiry_clock_job *work = (struct expiry_clock_job *)job;
    char *cause = NULL;
    if (fs_write_file(work->path, work->text, strlen(work->text), 0640, &cause) < 0) {
        log_warn("%s", cause);
        free(cause);
    }
}

static void expiry_clock_done(struct worker_job *job)
{
    ((struct expiry_clock_job *)job)->busy = false;
}

static int64_t expiry_clock_load(const char *path)
{
    size_t size;
    int64_t known_us = 0;
    char *cause = NULL, *text = fs_read_file(path, TIME_TEXT_SIZE, &size, &cause);
    if (text != NULL)
        known_us = strtoll(text, NULL, 10);
    free(text);
    free(cause);
    return known_us > 0 ? known_us : 0;
}

// What is known of time at the start: where the clock stood when this program ran last, or when the
// newest footage ended.
static void expiry_clock_start(struct expiry *expiry, int64_t wall_us, int64_t monotonic_us)
{
    int64_t known_us = expiry_clock_load(expiry->clock_job.path);
    struct catalog_stream *streams;
    size_t count;
    char *cause = NULL;
    if (known_us == 0 &&
        catalog_streams(expiry->indexer->catalog, &streams, &count, &cause) == CATALOG_OK) {
        for (size_t i = 0; i < count; i++)
            known_us = streams[i].last_us > known_us ? streams[i].last_us : known_us;
        free(streams);
    }
    free(cause);
    ageclock_init(&expiry->clock, known_us, wall_us, monotonic_us);
}

static int64_t expiry_clock(struct expiry *expiry, int64_t monotonic_us)
{
    int64_t wall_us = time_now_us();
    if (!expiry->clock_set)
        expiry_clock_start(expiry, wall_us, monotonic_us);
    expiry->clock_set = true;
    int64_t now_us = ageclock_turn(&expiry->clock, wall_us, monotonic_us);
    bool leapt = ageclock_leapt(&expiry->clock, wall_us);
    if (leapt && !expiry->leapt)
        log_warn("the system's clock has leapt forward, or nothing was recorded for long: ages of "
                 "footage follow it by an hour for each %d s; if the clock is wrong, put it right",
            3600 / AGECLOCK_SPEED);
    expiry->leapt = leapt;
    struct expiry_clock_job *job = &expiry->clock_job;
    if (!job->busy && monotonic_us - expiry->clock_saved_us >= EXPIRY_CLOCK_US) {
        expiry->clock_saved_us = monotonic_us;
        snprintf(job->text, sizeof(job->text), "%" PRId64 "\n", expiry->clock.known_us);
        job->busy = true;
        worker_submit(expiry->indexer->cache_worker, &job->job);
    }
    return now_us;
}

// --- What is told ---

static void expiry_log_segment(const struct catalog_stream *stream,
    const struct catalog_segment *segment, enum retention_reason reason)
{
    struct segment_id id = {.run = segment->run, .number = segment->number};
    snprintf(id.camera, sizeof(id.camera), "%s", stream->camera);
    snprintf(id.stream, sizeof(id.stream), "%s", stream->stream);
    char identity[SEGMENT_TEXT_SIZE];
    segment_id_format(&id, identity);
    log_info("%s is deleted (%s): %s, %" PRIu64 " bytes", identity, retention_reason_name(reason),
        segment->key, segment->size_bytes);
}

static void expiry_log_early(struct expiry *expiry, int64_t monotonic_us)
{
    if (expiry->early_log_us != 0 && monotonic_us - expiry->early_log_us < EXPIRY_EARLY_LOG_US)
        return;
    json_t *warnings = expiry_warnings_json(expiry), *warning;
    size_t index;
    json_array_foreach(warnings, index, warning) log_warn("%s", json_string_value(warning));
    if (json_array_size(warnings) > 0)
        expiry->early_log_us = monotonic_us;
    json_decref(warnings);
}

static bool expiry_is_early(int64_t early_us)
{
    return early_us != 0 && time_monotonic_us() - early_us < EXPIRY_EARLY_US;
}

json_t *expiry_warnings_json(const struct expiry *expiry)
{
    const struct gathering *gathering = &expiry->gathering;
    json_t *warnings = json_array();
    for (size_t i = 0; i < gathering->volume_count; i++) {
        const struct keeper *keeper = storage_at(expiry->indexer->storage, i);
        if (expiry_is_early(expiry->volume_early_us[i]))
            json_array_append_new(warnings,
                json_sprintf("%s is full up to min_free: footage goes before the age that `retain` "
                             "promises",
                    keeper->path));
    }
    for (size_t i = 0; i < gathering->stream_count; i++) {
        const struct catalog_stream *stream = &gathering->streams[i];
        if (expiry_is_early(gathering->cursors[i].early_us))
            json_array_append_new(warnings,
                json_sprintf("%s/%s has its max_bytes: its footage goes before the age that "
                             "`retain` promises",
                    stream->camera, stream->stream));
    }
    return warnings;
}

void expiry_add_alarms(const struct expiry *expiry, json_t *alarms)
{
    for (size_t i = 0; i < expiry->gathering.volume_count; i++) {
        const struct keeper *keeper = storage_at(expiry->indexer->storage, i);
        if (keeper->credit.missing_bytes > 0)
            json_array_append_new(
                alarms, json_sprintf(
                            "%s: what is deleted there does not become free (%lld bytes); is there "
                            "a snapshot, or another program that holds the files? Nothing more is "
                            "deleted for min_free but a few segments at a time",
                            keeper->path, (long long)keeper->credit.missing_bytes));
    }
    if (expiry->leapt)
        json_array_append_new(alarms,
            json_string("the system's clock is more than a day ahead of what it was: ages of "
                        "footage follow it slowly; if the clock is wrong, put it right"));
}

json_t *expiry_locked_json(const struct expiry *expiry)
{
    const struct gathering *gathering = &expiry->gathering;
    uint64_t segments = 0, bytes = 0;
    for (size_t i = 0; i < gathering->stream_count; i++) {
        segments += gathering->cursors[i].locked_segments;
        bytes += gathering->cursors[i].locked_bytes;
    }
    return json_pack("{s:I, s:I, s:I}", "locks", (json_int_t)gathering->lock_count, "segments",
        (json_int_t)segments, "bytes", (json_int_t)bytes);
}

// --- A round ---

static struct commit *expiry_commit(
    struct expiry *expiry, enum commit_kind kind, void (*done)(struct commit *))
{
    struct commit *commit = xcalloc(1, sizeof(*commit));
    commit->kind = kind;
    commit->done = done;
    commit->arg = expiry;
    expiry->uncommitted++;
    return commit;
}

static void expiry_purge(struct expiry *expiry)
{
    struct keeper *keeper;
    for (size_t i = 0; (keeper = storage_at(expiry->indexer->storage, i)) != NULL; i++)
        purge_look(keeper->purge);
}

static void expiry_discarded(struct commit *commit)
{
    struct expiry *expiry = commit->arg;
    if (commit->known)
        tally_add(&expiry->indexer->figures.deleted, commit->reason, 1);
    catalog_segment_fini(&commit->segment);
    free(commit);
    if (--expiry->uncommitted == 0)
        expiry_purge(expiry);
}

// Notes what the plan says about one segment. Returns whether it goes.
static bool expiry_note(struct expiry *expiry, size_t index, int64_t monotonic_us)
{
    struct gathering *gathering = &expiry->gathering;
    const struct retention_candidate *candidate = &gathering->candidates[index];
    if (candidate->reason == RETENTION_KEEP)
        return false;
    expiry_log_segment(
        &gathering->streams[candidate->stream], &gathering->rows[index], candidate->reason);
    if (candidate->reason == RETENTION_MIN_FREE)
        credit_used(&storage_at(expiry->indexer->storage, candidate->volume)->credit, monotonic_us);
    if (candidate->early && candidate->reason == RETENTION_MIN_FREE)
        expiry->volume_early_us[candidate->volume] = monotonic_us;
    if (candidate->early && candidate->reason == RETENTION_MAX_BYTES)
        gathering->cursors[candidate->stream].early_us = monotonic_us;
    return true;
}

static void expiry_discard(struct expiry *expiry, size_t index, int64_t now_us)
{
    struct gathering *gathering = &expiry->gathering;
    const struct retention_candidate *candidate = &gathering->candidates[index];
    const struct catalog_stream *stream = &gathering->streams[candidate->stream];
    struct commit *commit = expiry_commit(expiry, COMMIT_DISCARD, expiry_discarded);
    snprintf(commit->camera, sizeof(commit->camera), "%s", stream->camera);
    snprintf(commit->stream, sizeof(commit->stream), "%s", stream->stream);
    commit->segment = gathering->rows[index];
    commit->reason = retention_reason_name(candidate->reason);
    commit->unless_locked = true;
    commit->now_us = now_us;
    gathering->rows[index].key = NULL; // the commit's now
    committer_put(expiry->indexer->committer, commit);
}

static void expiry_plan(struct expiry *expiry, int64_t now_us, int64_t monotonic_us)
{
    struct gathering *gathering = &expiry->gathering;
    const struct retention_input input = {
        .now_us = now_us,
        .streams = gathering->rules,
        .volumes = gathering->volumes,
        .volume_count = gathering->volume_count,
    };
    size_t going = retention_plan(&input, gathering->candidates, gathering->count);
    gathering_follow(gathering);
    expiry->again = gathering->more;
    for (size_t i = 0; i < gathering->count && going > 0; i++) {
        if (expiry_note(expiry, i, monotonic_us))
            expiry_discard(expiry, i, now_us);
    }
    if (going > 0)
        committer_tick(expiry->indexer->committer);
}

static void expiry_round(struct expiry *expiry, int64_t monotonic_us)
{
    char *cause = NULL;
    int64_t now_us = expiry_clock(expiry, monotonic_us);
    expiry->again = false;
    if (gathering_read(&expiry->gathering, now_us, monotonic_us, &cause) == CATALOG_OK)
        expiry_plan(expiry, now_us, monotonic_us);
    else
        log_err("the catalog can not be read: %s", cause ? cause : "locked");
    free(cause);
    gathering_clear(&expiry->gathering);
    expiry_log_early(expiry, monotonic_us);
}

// --- Tidying the catalog ---

static void expiry_tidied(struct commit *commit)
{
    struct expiry *expiry = commit->arg;
    expiry->uncommitted--;
    free(commit);
}

static int64_t expiry_longer_us(const struct config_recording *recording, int64_t longest_us)
{
    longest_us =
        recording->retain.continuous_us > longest_us ? recording->retain.continuous_us : longest_us;
    return recording->retain.events_us > longest_us ? recording->retain.events_us : longest_us;
}

static int64_t expiry_longest_us(const struct config *config)
{
    int64_t longest_us = expiry_longer_us(&config->defaults, 0);
    for (size_t i = 0; i < config->stream_count; i++)
        longest_us = expiry_longer_us(&config->streams[i].recording, longest_us);
    return longest_us;
}

static void expiry_tidy(struct expiry *expiry, int64_t monotonic_us)
{
    gathering_recheck_locked(&expiry->gathering);
    struct commit *commit = expiry_commit(expiry, COMMIT_EXPIRE, expiry_tidied);
    commit->before_us =
        expiry_clock(expiry, monotonic_us) - expiry_longest_us(expiry->indexer->config);
    committer_put(expiry->indexer->committer, commit);
}

// --- The interface ---

struct expiry *expiry_new(struct indexer *indexer)
{
    struct expiry *expiry = xcalloc(1, sizeof(*expiry));
    expiry->indexer = indexer;
    expiry->clock_job.job.run = expiry_clock_run;
    expiry->clock_job.job.done = expiry_clock_done;
    expiry->clock_job.path = xasprintf("%s/" EXPIRY_CLOCK_FILE, indexer->config->storage.database);
    expiry->volume_early_us =
        xcalloc(indexer->config->storage.volume_count, sizeof(*expiry->volume_early_us));
    gathering_init(&expiry->gathering, indexer);
    return expiry;
}

void expiry_free(struct expiry *expiry)
{
    if (expiry == NULL)
        return;
    gathering_fini(&expiry->gathering);
    free(expiry->volume_early_us);
    free(expiry->clock_job.path);
    free(expiry);
}

void expiry_drop(struct commit *commit)
{
    catalog_segment_fini(&commit->segment);
    free(commit);
}

int64_t expiry_now_us(struct expiry *expiry)
{
    return expiry_clock(expiry, time_monotonic_us());
}

void expiry_restart(struct expiry *expiry)
{
    gathering_restart(&expiry->gathering);
}

void expiry_go_on(struct expiry *expiry)
{
    if (expiry->again)
        expiry->next_us = 0;
}

void expiry_tick(struct expiry *expiry, int64_t now_us)
{
    if (expiry->uncommitted > 0 || now_us < expiry->next_us)
        return;
    expiry->next_us = now_us + EXPIRY_PERIOD_US;
    expiry_round(expiry, now_us);
    if (expiry->tidy_us != 0 && now_us - expiry->tidy_us < EXPIRY_TIDY_US)
        return;
    expiry->tidy_us = now_us;
    expiry_tidy(expiry, now_us);
}
