// Deletes what retention no longer keeps. See expiry.h.
#include "indexer/expiry.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "indexer/committer.h"
#include "indexer/volume.h"
#include "indexer/worker.h"
#include "lib/core/alloc.h"
#include "lib/core/config.h"
#include "lib/core/log.h"
#include "lib/core/timeutil.h"
#include "lib/media/catalog.h"

enum {
    EXPIRY_BATCH = 256,
};

#define EXPIRY_ALARM_US (600 * US_PER_SECOND)
#define EXPIRY_TIDY_US (3600 * US_PER_SECOND)

struct expiry {
    struct worker_job job;
    struct indexer *indexer;
    struct retention_credit credit;
    size_t uncommitted; // changes of the round that are on their way
    bool deleting;      // the job is with the worker
    bool again;         // there is more than one round's worth
    size_t stuck;       // files that could not be deleted; they do not hold up the others
    int64_t alarm_us;   // when the last one of its kind was logged
    int64_t tidy_us;

    // The job's.
    const struct volume *volume;
    struct volume_deletion *deletions;
    size_t deletion_count;
    struct retention_space before;
    struct retention_space after;
};

static void expiry_round(struct expiry *expiry);

// --- What the plan is made of ---

// The candidates of a round, with what is needed to log and to discard them.
struct expiry_plan {
    struct catalog_segments segments;
    struct retention_candidate *candidates;
    struct catalog_stream *streams;
    size_t stream_count;
};

static void expiry_plan_fini(struct expiry_plan *plan)
{
    catalog_segments_fini(&plan->segments);
    free(plan->candidates);
    free(plan->streams);
}

static const struct catalog_stream *expiry_stream(const struct expiry_plan *plan, int64_t id)
{
    for (size_t i = 0; i < plan->stream_count; i++) {
        if (plan->streams[i].id == id)
            return &plan->streams[i];
    }
    return NULL;
}

static int64_t expiry_continuous_us(
    const struct indexer *indexer, const struct catalog_stream *stream)
{
    const struct config_stream *config =
        stream ? config_stream_find(indexer->config, stream->camera, stream->stream) : NULL;
    return config ? config->recording.retain.continuous_us
                  : indexer->config->defaults.retain.continuous_us;
}

static enum catalog_status expiry_gather_old(
    struct expiry *expiry, struct expiry_plan *plan, int64_t now_us, char **cause)
{
    enum catalog_status status = CATALOG_OK;
    for (size_t i = 0; i < plan->stream_count && plan->segments.count < EXPIRY_BATCH; i++) {
        const struct catalog_stream *stream = &plan->streams[i];
        int64_t before_us = now_us - expiry_continuous_us(expiry->indexer, stream);
        if (stream->segments == 0 || stream->first_us >= before_us)
            continue;
        struct catalog_segments some;
        status = catalog_oldest_of_stream(expiry->indexer->catalog, stream->id, before_us,
            EXPIRY_BATCH - plan->segments.count, &some, cause);
        if (status != CATALOG_OK)
            return status;
        struct catalog_segments *all = &plan->segments;
        all->rows = xreallocarray(all->rows, all->count + some.count, sizeof(*all->rows));
        if (some.count > 0)
            memcpy(&all->rows[all->count], some.rows, some.count * sizeof(*all->rows));
        all->count += some.count;
        free(some.rows);
    }
    return status;
}

static enum catalog_status expiry_gather(struct expiry *expiry, struct expiry_plan *plan,
    struct retention_need need, int64_t now_us, char **cause)
{
    struct indexer *indexer = expiry->indexer;
    enum catalog_status status =
        catalog_streams(indexer->catalog, &plan->streams, &plan->stream_count, cause);
    if (status == CATALOG_OK && (need.bytes > 0 || need.files > 0))
        status = catalog_oldest_on_volume(
            indexer->catalog, indexer->volume_id, EXPIRY_BATCH, &plan->segments, cause);
    else if (status == CATALOG_OK)
        status = expiry_gather_old(expiry, plan, now_us, cause);
    if (status != CATALOG_OK)
        return status;
    plan->candidates = xcalloc(plan->segments.count, sizeof(*plan->candidates));
    for (size_t i = 0; i < plan->segments.count; i++) {
        const struct catalog_segment *segment = &plan->segments.rows[i];
        plan->candidates[i] = (struct retention_candidate){
            .end_us = segment->end_us,
            .continuous_us = expiry_continuous_us(indexer, expiry_stream(plan, segment->stream_id)),
            .bytes = segment->size_bytes,
        };
    }
    return CATALOG_OK;
}

// --- What is told ---

static void expiry_log_segment(const struct catalog_stream *stream,
    const struct catalog_segment *segment, enum retention_reason reason)
{
    struct segment_id id = {.run = segment->run, .number = segment->number};
    snprintf(id.camera, sizeof(id.camera), "%s", stream ? stream->camera : "?");
    snprintf(id.stream, sizeof(id.stream), "%s", stream ? stream->stream : "?");
    char identity[SEGMENT_TEXT_SIZE];
    segment_id_format(&id, identity);
    log_info("%s is deleted (%s): %s, %" PRIu64 " bytes", identity, retention_reason_name(reason),
        segment->key, segment->size_bytes);
}

static void expiry_log(struct expiry *expiry, const struct expiry_plan *plan, int64_t now_us)
{
    bool early = false;
    for (size_t i = 0; i < plan->segments.count; i++) {
        const struct catalog_segment *segment = &plan->segments.rows[i];
        const struct retention_candidate *candidate = &plan->candidates[i];
        early |= candidate->early;
        if (candidate->reason != RETENTION_KEEP)
            expiry_log_segment(expiry_stream(plan, segment->stream_id), segment, candidate->reason);
    }
    if (!early || (expiry->alarm_us != 0 && now_us - expiry->alarm_us < EXPIRY_ALARM_US))
        return;
    expiry->alarm_us = now_us;
    log_warn("%s is full up to min_free: footage goes before the age that `continuous` promises",
        expiry->indexer->volume->path);
}

// --- Unlinking what is garbage ---

static void expiry_delete_run(struct worker_job *job)
{
    struct expiry *expiry = (struct expiry *)job;
    char *cause = NULL;
    bool known = volume_space(expiry->volume, &expiry->before, &cause) == 0;
    volume_delete(expiry->volume, expiry->deletions, expiry->deletion_count);
    if (!known || volume_space(expiry->volume, &expiry->after, &cause) < 0)
        expiry->after = expiry->before;
    free(cause);
}

static void expiry_garbage_gone(struct commit *commit)
{
    struct expiry *expiry = commit->arg;
    free(commit);
    if (--expiry->uncommitted == 0 && expiry->again && !expiry->indexer->stopping)
        expiry_round(expiry);
}

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

static void expiry_delete_done(struct worker_job *job)
{
    struct expiry *expiry = (struct expiry *)job;
    uint64_t freed = 0;
    expiry->deleting = false;
    expiry->stuck = 0;
    for (size_t i = 0; i < expiry->deletion_count; i++) {
        struct volume_deletion *deletion = &expiry->deletions[i];
        if (job->ran && deletion->gone) {
            struct commit *commit = expiry_commit(expiry, COMMIT_GARBAGE_DONE, expiry_garbage_gone);
            commit->garbage_id = deletion->id;
            committer_put(expiry->indexer->committer, commit);
            freed += deletion->freed;
        } else {
            expiry->stuck++;
        }
        if (deletion->missing)
            log_warn(
                "%s/%s was to be deleted and was not there", expiry->volume->path, deletion->key);
        free(deletion->key);
    }
    free(expiry->deletions);
    expiry->deletions = NULL;
    expiry->deletion_count = 0;
    if (!job->ran)
        return;
    retention_credit_add(&expiry->credit, time_monotonic_us(), freed,
        expiry->before.available_bytes, expiry->after.available_bytes);
    expiry->indexer->figures.space = expiry->after;
}

// Hands the garbage of the volume to the worker. Returns whether there is any.
static bool expiry_delete(struct expiry *expiry)
{
    struct indexer *indexer = expiry->indexer;
    struct catalog_garbage *garbage;
    size_t count;
    char *cause = NULL;
    if (catalog_garbage_list(indexer->catalog, &garbage, &count, &cause) != CATALOG_OK) {
        log_err("the catalog can not be read: %s", cause ? cause : "locked");
        free(cause);
        return false;
    }
    expiry->deletions = xcalloc(count, sizeof(*expiry->deletions));
    expiry->deletion_count = 0;
    for (size_t i = 0; i < count; i++) {
        if (garbage[i].volume_id == indexer->volume_id)
            expiry->deletions[expiry->deletion_count++] =
                (struct volume_deletion){.id = garbage[i].id, .key = xstrdup(garbage[i].key)};
    }
    catalog_garbage_free(garbage, count);
    if (expiry->deletion_count <= expiry->stuck) {
        for (size_t i = 0; i < expiry->deletion_count; i++)
            free(expiry->deletions[i].key);
        free(expiry->deletions);
        expiry->deletions = NULL;
        return false;
    }
    expiry->volume = indexer->volume;
    expiry->deleting = true;
    worker_submit_first(indexer->worker, &expiry->job);
    return true;
}

// --- A round ---

static void expiry_discarded(struct commit *commit)
{
    struct expiry *expiry = commit->arg;
    if (commit->known)
        tally_add(&expiry->indexer->figures.deleted, commit->reason, 1);
    catalog_segment_fini(&commit->segment);
    free(commit);
    const struct indexer *indexer = expiry->indexer;
    if (--expiry->uncommitted == 0 && indexer->volume != NULL && indexer->worker != NULL)
        expiry_delete(expiry);
}

static void expiry_discard(struct expiry *expiry, struct expiry_plan *plan)
{
    for (size_t i = 0; i < plan->segments.count; i++) {
        if (plan->candidates[i].reason == RETENTION_KEEP)
            continue;
        struct commit *commit = expiry_commit(expiry, COMMIT_DISCARD, expiry_discarded);
        commit->segment = plan->segments.rows[i];
        commit->reason = retention_reason_name(plan->candidates[i].reason);
        plan->segments.rows[i].key = NULL; // the commit's now
        committer_put(expiry->indexer->committer, commit);
    }
    committer_tick(expiry->indexer->committer);
}

static struct retention_need expiry_need(struct expiry *expiry, int64_t now_us)
{
    struct indexer *indexer = expiry->indexer;
    const struct retention_space *space = &indexer->figures.space;
    uint64_t expired = retention_credit_look(&expiry->credit, now_us, space->available_bytes);
    struct retention_need need =
        retention_need(&indexer->config->storage.volumes[0].min_free, space, &expiry->credit);
    if (expired > 0 && need.bytes > 0)
        log_warn("%s: %" PRIu64 " bytes that were deleted a minute ago are still not free; does "
                 "another program hold the files open?",
            indexer->volume->path, expired);
    return need;
}

static void expiry_round(struct expiry *expiry)
{
    struct expiry_plan plan = {0};
    char *cause = NULL;
    expiry->again = false;
    // What an earlier round or life left goes first: its room may be all that is needed.
    if (expiry_delete(expiry)) {
        expiry->again = true;
        return;
    }
    struct retention_need need = expiry_need(expiry, time_monotonic_us());
    int64_t now_us = time_now_us();
    if (expiry_gather(expiry, &plan, need, now_us, &cause) != CATALOG_OK) {
        log_err("the catalog can not be read: %s", cause ? cause : "locked");
        free(cause);
    } else if (retention_plan(plan.candidates, plan.segments.count, now_us, need) > 0) {
        expiry->again = plan.segments.count >= EXPIRY_BATCH;
        expiry_log(expiry, &plan, time_monotonic_us());
        expiry_discard(expiry, &plan);
    }
    expiry_plan_fini(&plan);
}

// --- Tidying the catalog ---

static void expiry_tidied(struct commit *commit)
{
    struct expiry *expiry = commit->arg;
    expiry->uncommitted--;
    free(commit);
}

static int64_t expiry_longest_us(const struct config *config)
{
    int64_t longest_us = config->defaults.retain.continuous_us;
    for (size_t i = 0; i < config->stream_count; i++) {
        int64_t continuous_us = config->streams[i].recording.retain.continuous_us;
        longest_us = continuous_us > longest_us ? continuous_us : longest_us;
    }
    return longest_us;
}

static void expiry_tidy(struct expiry *expiry)
{
    struct commit *commit = expiry_commit(expiry, COMMIT_EXPIRE, expiry_tidied);
    commit->before_us = time_now_us() - expiry_longest_us(expiry->indexer->config);
    committer_put(expiry->indexer->committer, commit);
}

struct expiry *expiry_new(struct indexer *indexer)
{
    struct expiry *expiry = xcalloc(1, sizeof(*expiry));
    expiry->job.run = expiry_delete_run;
    expiry->job.done = expiry_delete_done;
    expiry->indexer = indexer;
    return expiry;
}

void expiry_free(struct expiry *expiry)
{
    free(expiry);
}

void expiry_drop(struct commit *commit)
{
    catalog_segment_fini(&commit->segment);
    free(commit);
}

void expiry_look(struct expiry *expiry)
{
    if (expiry->deleting || expiry->uncommitted > 0)
        return;
    int64_t now_us = time_monotonic_us();
    expiry_round(expiry);
    if (expiry->tidy_us == 0 || now_us - expiry->tidy_us >= EXPIRY_TIDY_US) {
        expiry->tidy_us = now_us;
        expiry->stuck = 0;
        expiry_tidy(expiry);
    }
}
