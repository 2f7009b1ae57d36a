// Writes the catalog. See committer.h.
#include "indexer/committer.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "indexer/worker.h"
#include "lib/core/alloc.h"
#include "lib/core/log.h"
#include "lib/core/timeutil.h"
#include "lib/media/catalog_epoch.h"
#include "lib/media/catalog_ledger.h"
#include "lib/media/catalog_missing.h"
#include "lib/media/catalog_outage.h"

enum {
    COMMITTER_RETRY_TICKS = 5,    // after a failure, in seconds
    COMMITTER_FAILURES_MAX = 8,   // of single changes in one round
    COMMITTER_EVENTS_MAX = 10000, // that are forgotten at once
};

#define COMMITTER_HURRY_US (US_PER_SECOND / 10) // between two rounds that somebody waits for

struct committer_list {
    struct commit *first;
    struct commit **end;
    size_t count;
};

// What the thread works on.
struct committer_round {
    struct worker_job job;
    struct committer *committer;
    struct catalog *catalog;
    struct committer_list deletions; // apart, so that a full disk can be relieved
    struct committer_list additions;
    struct committer_list durable;
    bool watched;
    struct buf lines; // of the ledger
    char *cause;
    struct catalog_lock *locks; // of the list in hand, once they were needed
    size_t lock_count;
    bool locks_known;
};

struct committer {
    struct worker *worker;
    struct catalog *catalog;
    struct committer_list waiting;
    struct committer_round round;
    void (*watch)(const struct buf *lines, void *arg);
    void *watch_arg;
    bool busy;
    bool hurry;
    int64_t started_us; // monotonic, the last round
    size_t pending;
    int pause; // ticks
    char *trouble;
};

static void committer_list_init(struct committer_list *list)
{
    *list = (struct committer_list){.end = &list->first};
}

static void committer_list_put(struct committer_list *list, struct commit *commit)
{
    commit->next = NULL;
    *list->end = commit;
    list->end = &commit->next;
    list->count++;
}

static struct commit *committer_list_take(struct committer_list *list)
{
    struct commit *commit = list->first;
    if (commit == NULL)
        return NULL;
    list->first = commit->next;
    if (list->first == NULL)
        list->end = &list->first;
    list->count--;
    return commit;
}

static void committer_list_move(struct committer_list *to, struct committer_list *from)
{
    for (struct commit *commit; (commit = committer_list_take(from)) != NULL;)
        committer_list_put(to, commit);
}

// --- In the thread ---

static enum catalog_status committer_run(
    struct catalog *catalog, struct commit *commit, char **cause)
{
    enum catalog_status status =
        catalog_stream_add(catalog, commit->camera, commit->stream, &commit->run.stream_id, cause);
    return status == CATALOG_OK ? catalog_run_put(catalog, &commit->run, cause) : status;
}

static enum catalog_status committer_track(struct catalog *catalog,
    const struct media_segment *media, enum media_kind kind, struct catalog_track *row,
    char **cause)
{
    const struct media_track *track = media_segment_track(media, kind);
    return track == NULL
               ? CATALOG_OK
               : catalog_codec_add(catalog, track->entry, track->entry_size, &row->codec_id, cause);
}

// Notes the epoch that a segment begins.
static enum catalog_status committer_epoch(
    struct catalog *catalog, const struct filing *filing, char **cause)
{
    const struct catalog_segment *row = &filing->row;
    struct catalog_epoch epoch = {.stream_id = row->stream_id,
        .run = row->run,
        .first_number = row->number,
        .start_us = row->start_us,
        .moved_us = filing->time.step_us};
    if (filing->time.step == SEGTIME_NONE)
        return CATALOG_OK;
    snprintf(epoch.cause, sizeof(epoch.cause), "%s", segtime_step_name(filing->time.step));
    return catalog_epoch_add(catalog, &epoch, cause);
}

static enum catalog_status committer_segment(
    struct catalog *catalog, struct commit *commit, char **cause)
{
    struct filing *filing = commit->filing;
    struct catalog_segment *row = &filing->row;
    enum catalog_status status = committer_run(catalog, commit, cause);
    row->stream_id = commit->run.stream_id;
    row->volume_id = commit->volume_id;
    if (status == CATALOG_OK)
        status = committer_track(catalog, &filing->media, MEDIA_VIDEO, &row->video, cause);
    if (status == CATALOG_OK)
        status = committer_track(catalog, &filing->media, MEDIA_AUDIO, &row->audio, cause);
    if (status == CATALOG_OK)
        status = catalog_frames_put(catalog, row, filing->packed.data, filing->packed.size, cause);
    if (status == CATALOG_OK && filing->has_hash)
        status = catalog_hash_put(catalog, row, filing->sha256, cause);
    if (status == CATALOG_OK)
        status = catalog_segment_add(catalog, row, cause);
    if (status == CATALOG_OK)
        status = committer_epoch(catalog, filing, cause);
    commit->known = status == CATALOG_NONE;
    return commit->known ? CATALOG_OK : status;
}

// Whether a lock came for a segment since it was chosen to go.
static enum catalog_status committer_locked(
    struct committer_round *round, const struct commit *commit, bool *locked, char **cause)
{
    *locked = false;
    if (!commit->unless_locked)
        return CATALOG_OK;
    if (!round->locks_known) {
        enum catalog_status status =
            catalog_locks(round->catalog, commit->now_us, &round->locks, &round->lock_count, cause);
        if (status != CATALOG_OK)
            return status;
        round->locks_known = true;
    }
    for (size_t i = 0; i < round->lock_count && !*locked; i++)
        *locked = catalog_lock_holds(&round->locks[i], commit->camera, commit->stream,
            commit->segment.start_us, commit->segment.end_us);
    return CATALOG_OK;
}

static enum catalog_status committer_discard(
    struct committer_round *round, struct commit *commit, char **cause)
{
    bool locked;
    enum catalog_status status = committer_locked(round, commit, &locked, cause);
    commit->known = false;
    if (status != CATALOG_OK || locked)
        return status;
    status = catalog_segment_discard(round->catalog, &commit->segment, commit->reason, cause);
    commit->known = status == CATALOG_OK;
    return status == CATALOG_NONE ? CATALOG_OK : status;
}

static void committer_forget_locks(struct committer_round *round)
{
    catalog_locks_free(round->locks, round->lock_count);
    round->locks = NULL;
    round->lock_count = 0;
    round->locks_known = false;
}

// Events stay as long as there may be footage of their time: locked footage outlives every age.
static enum catalog_status committer_expire_events(struct catalog *catalog, int64_t before_us,
    const struct catalog_stream *streams, size_t count, char **cause)
{
    bool some = false;
    size_t removed;
    for (size_t i = 0; i < count; i++) {
        if (streams[i].segments == 0)
            continue;
        some = true;
        before_us = streams[i].first_us < before_us ? streams[i].first_us : before_us;
    }
    return some ? catalog_events_expire(catalog, before_us, COMMITTER_EVENTS_MAX, &removed, cause)
                : CATALOG_OK;
}

static enum catalog_status committer_expire(
    struct catalog *catalog, const struct commit *commit, char **cause)
{
    struct catalog_stream *streams;
    size_t count;
    enum catalog_status status = catalog_streams(catalog, &streams, &count, cause);
    for (size_t i = 0; status == CATALOG_OK && i < count; i++) {
        status = catalog_runs_expire(catalog, streams[i].id, commit->before_us, cause);
        if (status == CATALOG_OK)
            status = catalog_outages_expire(catalog, streams[i].id, commit->before_us, cause);
        if (status == CATALOG_OK)
            status = catalog_missing_expire(catalog, streams[i].id, commit->before_us, cause);
    }
    if (status == CATALOG_OK)
        status = committer_expire_events(catalog, commit->before_us, streams, count, cause);
    free(streams);
    return status;
}

static enum catalog_status committer_apply(
    struct committer_round *round, struct commit *commit, char **cause)
{
    struct catalog *catalog = round->catalog;
    switch (commit->kind) {
    case COMMIT_SEGMENT:
        return committer_segment(catalog, commit, cause);
    case COMMIT_RUN:
        return committer_run(catalog, commit, cause);
    case COMMIT_DISCARD:
        return committer_discard(round, commit, cause);
    case COMMIT_GARBAGE_DONE:
        return catalog_garbage_done(catalog, commit->garbage_id, cause);
    case COMMIT_EXPIRE:
        return committer_expire(catalog, commit, cause);
    case COMMIT_CALL:
        return commit->apply(catalog, commit, cause);
    }
    return CATALOG_OK;
}

// Commits all of the list in one transaction, or nothing of it.
static bool committer_commit(struct committer_round *round, struct committer_list *list)
{
    if (list->count == 0)
        return true;
    char *cause = NULL;
    bool expire = false;
    enum catalog_status status = catalog_begin(round->catalog, &cause);
    for (struct commit *commit = list->first; status == CATALOG_OK && commit != NULL;
         commit = commit->next) {
        status = committer_apply(round, commit, &cause);
        expire |= commit->kind == COMMIT_EXPIRE;
    }
    committer_forget_locks(round);
    if (status == CATALOG_OK)
        status = catalog_commit(round->catalog, &cause);
    if (status == CATALOG_OK && expire)
        status = catalog_frames_expire(round->catalog, &cause);
    if (status == CATALOG_OK) {
        committer_list_move(&round->durable, list);
        return true;
    }
    catalog_rollback(round->catalog);
    free(round->cause);
    round->cause = cause ? cause : xstrdup("the catalog is locked");
    return false;
}

// Commits the changes of a list that failed as a whole one by one, so that one that the catalog
// refuses holds up no other. Those that fail go behind the rest; after some of them the catalog
// itself is taken to be at fault.
static void committer_commit_apart(struct committer_round *round, struct committer_list *list)
{
    struct committer_list failed, one;
    committer_list_init(&failed);
    for (struct commit *commit;
         failed.count < COMMITTER_FAILURES_MAX && (commit = committer_list_take(list)) != NULL;) {
        committer_list_init(&one);
        committer_list_put(&one, commit);
        if (!committer_commit(round, &one))
            committer_list_move(&failed, &one);
    }
    committer_list_move(list, &failed);
}

// Takes up what has changed. What can not be told now is told with the next round.
static void committer_take_lines(struct committer_round *round)
{
    char *cause = NULL;
    if (!round->watched || catalog_ledger_take(round->catalog, &round->lines, &cause) == CATALOG_OK)
        return;
    log_err("the ledger's lines can not be read: %s", cause ? cause : "the catalog is locked");
    free(cause);
}

static void committer_work(struct worker_job *job)
{
    struct committer_round *round = (struct committer_round *)job;
    if (!committer_commit(round, &round->deletions))
        committer_commit_apart(round, &round->deletions);
    if (!committer_commit(round, &round->additions))
        committer_commit_apart(round, &round->additions);
    committer_take_lines(round);
}

// --- In the loop ---

static void committer_note(struct committer *committer, char *cause)
{
    if (cause == NULL && committer->trouble != NULL)
        log_info("the catalog is written again");
    else if (cause != NULL &&
             (committer->trouble == NULL || strcmp(cause, committer->trouble) != 0))
        log_err("the catalog can not be written, footage waits in the cache: %s", cause);
    free(committer->trouble);
    committer->trouble = cause;
    committer->pause = cause ? COMMITTER_RETRY_TICKS : 0;
}

// Puts what failed before what has come since, in its old order.
static void committer_put_back(struct committer *committer)
{
    struct committer_list all;
    committer_list_init(&all);
    committer_list_move(&all, &committer->round.deletions);
    committer_list_move(&all, &committer->round.additions);
    committer_list_move(&all, &committer->waiting);
    committer_list_move(&committer->waiting, &all);
}

static void committer_done(struct worker_job *job)
{
    struct committer_round *round = (struct committer_round *)job;
    struct committer *committer = round->committer;
    committer->busy = false;
    if (job->ran)
        committer_note(committer, round->cause);
    round->cause = NULL;
    committer_put_back(committer);
    if (round->lines.size > 0)
        committer->watch(&round->lines, committer->watch_arg);
    round->lines.size = 0;
    for (struct commit *commit; (commit = committer_list_take(&round->durable)) != NULL;) {
        committer->pending--;
        commit->done(commit);
    }
    if (committer->hurry)
        committer_hurry(committer);
}

struct committer *committer_new(struct ev_loop *loop, struct catalog *catalog)
{
    struct committer *committer = xcalloc(1, sizeof(*committer));
    committer->worker = worker_new(loop, "catalog");
    committer->catalog = catalog;
    committer_list_init(&committer->waiting);
    struct committer_round *round = &committer->round;
    round->job.run = committer_work;
    round->job.done = committer_done;
    round->committer = committer;
    round->catalog = catalog;
    committer_list_init(&round->deletions);
    committer_list_init(&round->additions);
    committer_list_init(&round->durable);
    return committer;
}

void committer_put(struct committer *committer, struct commit *commit)
{
    committer->pending++;
    committer_list_put(&committer->waiting, commit);
}

void committer_watch(
    struct committer *committer, void (*fn)(const struct buf *lines, void *arg), void *arg)
{
    char *cause = NULL;
    committer->watch = fn;
    committer->watch_arg = arg;
    committer->round.watched = catalog_ledger_watch(committer->catalog, &cause) == CATALOG_OK;
    if (!committer->round.watched)
        log_err("the ledger can not be kept: %s", cause ? cause : "the catalog is locked");
    free(cause);
}

size_t committer_pending(const struct committer *committer)
{
    return committer->pending;
}

const char *committer_trouble(const struct committer *committer)
{
    return committer->trouble;
}

static void committer_start(struct committer *committer)
{
    struct committer_round *round = &committer->round;
    for (struct commit *commit; (commit = committer_list_take(&committer->waiting)) != NULL;) {
        bool deletion = commit->kind == COMMIT_DISCARD || commit->kind == COMMIT_GARBAGE_DONE;
        committer_list_put(deletion ? &round->deletions : &round->additions, commit);
    }
    committer->busy = true;
    committer->hurry = false;
    committer->started_us = time_monotonic_us();
    worker_submit(committer->worker, &round->job);
}

void committer_hurry(struct committer *committer)
{
    bool is_soon = time_monotonic_us() - committer->started_us < COMMITTER_HURRY_US;
    committer->hurry = committer->busy;
    // What comes too soon after the last round waits for the tick.
    if (!committer->busy && committer->pause == 0 && !is_soon && committer->waiting.count > 0)
        committer_start(committer);
}

void committer_tick(struct committer *committer)
{
    if (committer->pause > 0)
        committer->pause--;
    if (committer->pause == 0 && !committer->busy && committer->waiting.count > 0)
        committer_start(committer);
}

void committer_free(struct committer *committer, void (*drop)(struct commit *commit))
{
    if (committer == NULL)
        return;
    // The thread ends after the round in hand; what has come since is committed here.
    worker_free(committer->worker);
    if (committer->waiting.count > 0) {
        committer_list_move(&committer->round.additions, &committer->waiting);
        committer_work(&committer->round.job);
        committer->round.job.ran = true;
        committer_done(&committer->round.job);
    }
    for (struct commit *commit; (commit = committer_list_take(&committer->waiting)) != NULL;)
        drop(commit);
    catalog_close(committer->catalog);
    buf_fini(&committer->round.lines);
    free(committer->trouble);
    free(committer);
}
