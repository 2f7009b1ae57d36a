// Brings catalog and volumes together again. See reconcile.h.
#include "indexer/reconcile.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "indexer/committer.h"
#include "indexer/idle.h"
#include "indexer/sealed.h"
#include "indexer/survey.h"
#include "indexer/worker.h"
#include "lib/core/alloc.h"
#include "lib/core/config.h"
#include "lib/core/ctl.h"
#include "lib/core/log.h"
#include "lib/core/timeutil.h"
#include "lib/media/cache.h"
#include "lib/media/catalog_missing.h"

enum {
    RECONCILE_BATCH = 64, // files, or rows, in one go
    RECONCILE_WAITERS_MAX = 8,
    RECONCILE_TOLD_MAX = 100, // files of a round that are named in the log
};

#define RECONCILE_WAIT_US (10 * US_PER_SECOND) // until a request is answered, at the latest

// When the catalog and the volumes were last known to agree.
#define RECONCILE_MARK "clean_stop"

enum reconcile_phase {
    RECONCILE_IDLE,
    RECONCILE_SURVEYING,
    RECONCILE_WORKING, // the survey's findings are dealt with
};

struct reconcile_round {
    bool dry;
    bool force;
    int64_t since_us; // 0: all
    int64_t start_us;
    uint64_t days;
    uint64_t indexed;
    uint64_t missing;
    uint64_t unknown;
    uint64_t waiting; // files without a row that were found
    bool braked;
    char *trouble;
};

struct reconcile {
    struct worker_job job;
    struct indexer *indexer;
    struct worker *thread;
    char *database;
    char *cache;
    enum reconcile_phase phase;
    struct reconcile_round round; // in hand, or the last one
    struct reconcile_round asked; // the next one
    bool is_asked;
    atomic_bool stop;
    size_t uncommitted;
    struct {
        struct ctl_request *request;
        int64_t until_us; // monotonic
    } waiters[RECONCILE_WAITERS_MAX];
    size_t waiter_count;

    // The job's.
    struct survey survey;
    size_t next_file;
    size_t next_row;
    struct sealed found[RECONCILE_BATCH];
    size_t found_volume[RECONCILE_BATCH]; // index
    size_t found_count;
    uint64_t strangers;
};

static void reconcile_go_on(struct reconcile *reconcile);
static void reconcile_begin(struct reconcile *reconcile);

// --- In the thread ---

static void reconcile_survey_run(struct worker_job *job)
{
    struct reconcile *reconcile = (struct reconcile *)job;
    idle_priority();
    survey_run(&reconcile->survey);
}

// Whether the recorder's file is still in the cache: its ordinary way goes on.
static bool reconcile_in_cache(const struct reconcile *reconcile, const struct segment_id *id)
{
    char *path = cache_segment_path(reconcile->cache, id);
    bool there = access(path, F_OK) == 0;
    free(path);
    return there;
}

static void reconcile_load_one(struct reconcile *reconcile, const struct survey_file *file)
{
    const struct survey_volume *volume = &reconcile->survey.volumes[file->volume];
    struct sealed *sealed = &reconcile->found[reconcile->found_count];
    struct stat info;
    char *cause = NULL;
    int fd = openat(volume->root, file->key, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT)
        return; // deleted meanwhile
    int result = fd < 0 ? -1 : fstat(fd, &info);
    if (result < 0)
        cause = xstrdup(strerror(errno));
    else
        result = sealed_load(sealed, fd, (uint64_t)info.st_size, file->key, &cause);
    if (fd >= 0)
        close(fd);
    if (result < 0) {
        if (++reconcile->strangers <= RECONCILE_TOLD_MAX)
            log_warn("%s/%s: no sealed segment, it is left alone: %s", volume->volume.path,
                file->key, cause);
        free(cause);
    } else if (reconcile_in_cache(reconcile, &sealed->id)) {
        sealed_fini(sealed);
    } else {
        sealed_forget_samples(sealed);
        reconcile->found_volume[reconcile->found_count++] = file->volume;
    }
}

static void reconcile_load_run(struct worker_job *job)
{
    struct reconcile *reconcile = (struct reconcile *)job;
    const struct survey *survey = &reconcile->survey;
    reconcile->found_count = 0;
    while (reconcile->next_file < survey->file_count && reconcile->found_count < RECONCILE_BATCH &&
           !atomic_load(&reconcile->stop))
        reconcile_load_one(reconcile, &survey->files[reconcile->next_file++]);
}

// --- Changes of the catalog ---

struct reconcile_commit {
    struct commit commit;
    struct reconcile *reconcile;
    struct sealed sealed;
    int64_t volume_id;
    const char *volume;
    struct survey_row rows[RECONCILE_BATCH];
    size_t row_count;
    uint64_t changed;
    int64_t now_us;
};

static void reconcile_drop(struct commit *commit)
{
    struct reconcile_commit *own = (struct reconcile_commit *)commit;
    own->reconcile->uncommitted--;
    sealed_fini(&own->sealed);
    free(own);
}

static void reconcile_committed(struct commit *commit)
{
    struct reconcile_commit *own = (struct reconcile_commit *)commit;
    struct reconcile *reconcile = own->reconcile;
    if (own->row_count > 0) {
        reconcile->round.missing += own->changed;
    } else if (own->changed > 0) {
        reconcile->round.indexed++;
        if (reconcile->round.indexed <= RECONCILE_TOLD_MAX)
            log_info("%s/%s: had no row and was indexed", own->volume, own->sealed.row.key);
    }
    reconcile_drop(commit);
    if (reconcile->uncommitted == 0 && reconcile->phase == RECONCILE_WORKING)
        reconcile_go_on(reconcile);
}

static struct reconcile_commit *reconcile_commit_new(struct reconcile *reconcile,
    enum catalog_status (*apply)(struct catalog *, struct commit *, char **))
{
    struct reconcile_commit *own = xcalloc(1, sizeof(*own));
    own->commit.kind = COMMIT_CALL;
    own->commit.apply = apply;
    own->commit.done = reconcile_committed;
    own->commit.drop = reconcile_drop;
    own->reconcile = reconcile;
    own->now_us = time_now_us();
    reconcile->uncommitted++;
    return own;
}

static enum catalog_status reconcile_apply_file(
    struct catalog *catalog, struct commit *commit, char **cause)
{
    struct reconcile_commit *own = (struct reconcile_commit *)commit;
    own->changed = 0;
    // It may have had its row when it was looked at and be deleted by now: first it is garbage,
    // then its name goes, then it is garbage no more.
    enum catalog_status status =
        catalog_garbage_find(catalog, own->volume_id, own->sealed.row.key, cause);
    if (status != CATALOG_NONE)
        return status;
    char *path = xasprintf("%s/%s", own->volume, own->sealed.row.key);
    bool gone = access(path, F_OK) < 0 && errno == ENOENT;
    free(path);
    if (gone)
        return CATALOG_OK;
    status = sealed_commit(&own->sealed, catalog, own->volume_id, cause);
    own->changed = status == CATALOG_OK;
    return status == CATALOG_NONE ? CATALOG_OK : status;
}

static enum catalog_status reconcile_apply_rows(
    struct catalog *catalog, struct commit *commit, char **cause)
{
    struct reconcile_commit *own = (struct reconcile_commit *)commit;
    own->changed = 0;
    for (size_t i = 0; i < own->row_count; i++) {
        const struct survey_row *row = &own->rows[i];
        enum catalog_status status =
            catalog_missing_add(catalog, row->stream_id, row->run, row->number, own->now_us, cause);
        if (status != CATALOG_OK && status != CATALOG_NONE)
            return status;
        own->changed += status == CATALOG_OK;
    }
    return CATALOG_OK;
}

static enum catalog_status reconcile_apply_mark(
    struct catalog *catalog, struct commit *commit, char **cause)
{
    const struct reconcile_commit *own = (struct reconcile_commit *)commit;
    return catalog_mark_put(catalog, RECONCILE_MARK, own->now_us, cause);
}

// --- The end of a round ---

static void reconcile_answer(struct reconcile *reconcile, size_t index)
{
    ctl_reply(reconcile->waiters[index].request, reconcile_status(reconcile));
    reconcile->waiters[index] = reconcile->waiters[--reconcile->waiter_count];
}

static void reconcile_note_trouble(struct reconcile *reconcile)
{
    struct survey *survey = &reconcile->survey;
    struct reconcile_round *round = &reconcile->round;
    for (size_t i = 0; i < survey->volume_count; i++) {
        if (survey->volumes[i].trouble == NULL)
            continue;
        log_warn("not all of %s could be held against the catalog: %s",
            survey->volumes[i].volume.path, survey->volumes[i].trouble);
        if (round->trouble == NULL)
            round->trouble = xstrdup(survey->volumes[i].trouble);
    }
    if (survey->cause != NULL && round->trouble == NULL)
        round->trouble = xstrdup(survey->cause);
}

static void reconcile_tell(const struct reconcile_round *round)
{
    const char *how = round->dry ? " (a dry run: nothing was changed)" : "";
    if (round->indexed + round->missing + round->waiting > 0)
        log_warn("catalog and volumes: %" PRIu64 " files without a row were %s, %" PRIu64
                 " rows without their file are %s; %" PRIu64 " other names were left alone%s",
            round->dry ? round->waiting : round->indexed, round->dry ? "found" : "indexed",
            round->missing,
            round->dry || round->braked ? "left as they are" : "missing footage now",
            round->unknown, how);
    else
        log_info("catalog and volumes agree in %" PRIu64 " directories%s", round->days, how);
}

static void reconcile_finish(struct reconcile *reconcile)
{
    struct reconcile_round *round = &reconcile->round;
    bool more = reconcile->survey.more && !round->dry && round->indexed > 0;
    round->unknown += reconcile->strangers;
    if (round->trouble == NULL && !round->dry && !round->braked && !more) {
        struct reconcile_commit *own = reconcile_commit_new(reconcile, reconcile_apply_mark);
        own->now_us = round->start_us;
        committer_put(reconcile->indexer->committer, &own->commit);
    }
    reconcile_tell(round);
    survey_fini(&reconcile->survey);
    reconcile->phase = RECONCILE_IDLE;
    if (more) {
        reconcile_begin(reconcile);
        return;
    }
    while (reconcile->waiter_count > 0)
        reconcile_answer(reconcile, 0);
    if (reconcile->is_asked)
        reconcile_begin(reconcile);
}

// --- The course of a round ---

static void reconcile_put_file(struct reconcile *reconcile, size_t index)
{
    const struct survey_volume *volume = &reconcile->survey.volumes[reconcile->found_volume[index]];
    struct reconcile_commit *own = reconcile_commit_new(reconcile, reconcile_apply_file);
    own->sealed = reconcile->found[index];
    own->volume_id = volume->volume.id;
    own->volume = volume->volume.path;
    committer_put(reconcile->indexer->committer, &own->commit);
}

static void reconcile_loaded(struct worker_job *job)
{
    struct reconcile *reconcile = (struct reconcile *)job;
    bool stopping = !job->ran || reconcile->indexer->stopping;
    for (size_t i = 0; i < reconcile->found_count; i++) {
        if (stopping)
            sealed_fini(&reconcile->found[i]);
        else
            reconcile_put_file(reconcile, i);
    }
    bool none = reconcile->found_count == 0;
    reconcile->found_count = 0;
    if (!stopping && none)
        reconcile_go_on(reconcile);
}

// The next batch: rows first, then files.
static void reconcile_go_on(struct reconcile *reconcile)
{
    struct survey *survey = &reconcile->survey;
    struct reconcile_commit *own = NULL;
    if (reconcile->indexer->stopping)
        return;
    while (reconcile->next_row < survey->row_count &&
           (own == NULL || own->row_count < RECONCILE_BATCH)) {
        const struct survey_row *row = &survey->rows[reconcile->next_row++];
        if (own == NULL)
            own = reconcile_commit_new(reconcile, reconcile_apply_rows);
        own->rows[own->row_count++] = *row;
    }
    if (own != NULL) {
        committer_put(reconcile->indexer->committer, &own->commit);
        return;
    }
    if (reconcile->next_file == survey->file_count) {
        reconcile_finish(reconcile);
        return;
    }
    reconcile->job.run = reconcile_load_run;
    reconcile->job.done = reconcile_loaded;
    worker_submit(reconcile->thread, &reconcile->job);
}

// More than half of a volume's rows would go: rather its files are out of sight.
static bool reconcile_brake(struct reconcile *reconcile)
{
    const struct survey *survey = &reconcile->survey;
    bool braked = false;
    for (size_t i = 0; i < survey->volume_count; i++) {
        const struct survey_volume *volume = &survey->volumes[i];
        if (volume->missing * 2 <= volume->rows)
            continue;
        braked = true;
        log_err("%s lacks the files of %" PRIu64 " of its %" PRIu64 " segments: the rows stay as "
                "they are; is all of it mounted? If the files are really gone: keepframe-indexer "
                "reconcile --force",
            volume->volume.path, volume->missing, volume->rows);
    }
    return braked;
}

static void reconcile_surveyed(struct worker_job *job)
{
    struct reconcile *reconcile = (struct reconcile *)job;
    struct reconcile_round *round = &reconcile->round;
    struct survey *survey = &reconcile->survey;
    if (!job->ran || reconcile->indexer->stopping)
        return;
    reconcile->phase = RECONCILE_WORKING;
    reconcile_note_trouble(reconcile);
    round->days += survey->days;
    round->unknown = survey->unknown;
    round->waiting = survey->file_count;
    round->braked = !round->force && reconcile_brake(reconcile);
    // Where something keeps rows from being changed, they are told nevertheless.
    if (round->dry || round->braked || survey->cause != NULL) {
        round->missing = survey->row_count;
        reconcile->next_row = survey->row_count;
    }
    if (round->dry || survey->cause != NULL)
        reconcile->next_file = survey->file_count;
    reconcile_go_on(reconcile);
}

// Begins the round that was asked for, or goes on with the one in hand.
static void reconcile_begin(struct reconcile *reconcile)
{
    if (reconcile->is_asked && reconcile->phase == RECONCILE_IDLE) {
        free(reconcile->round.trouble);
        reconcile->round = reconcile->asked;
        reconcile->round.start_us = time_now_us();
        reconcile->is_asked = false;
    }
    reconcile->phase = RECONCILE_SURVEYING;
    reconcile->survey = (struct survey){.database = reconcile->database,
        .cache = reconcile->cache,
        .since_us = reconcile->round.since_us,
        .stop = &reconcile->stop};
    reconcile->next_file = reconcile->next_row = 0;
    reconcile->strangers = 0;
    reconcile->job.run = reconcile_survey_run;
    reconcile->job.done = reconcile_surveyed;
    worker_submit(reconcile->thread, &reconcile->job);
}

static void reconcile_ask(struct reconcile *reconcile, const struct reconcile_round *round)
{
    reconcile->asked = *round;
    reconcile->is_asked = true;
    if (reconcile->phase == RECONCILE_IDLE)
        reconcile_begin(reconcile);
}

// --- What is asked for ---

struct reconcile *reconcile_new(struct indexer *indexer)
{
    struct reconcile *reconcile = xcalloc(1, sizeof(*reconcile));
    reconcile->indexer = indexer;
    reconcile->database = xstrdup(indexer->config->storage.database);
    reconcile->cache = xstrdup(indexer->config->storage.cache);
    reconcile->thread = worker_new(indexer->loop, "reconcile");
    return reconcile;
}

void reconcile_start(struct reconcile *reconcile)
{
    struct reconcile_round round = {0};
    char *cause = NULL;
    // Without a mark, everything is looked at: this catalog is new, its volumes may not be.
    catalog_mark_get(reconcile->indexer->catalog, RECONCILE_MARK, &round.since_us, &cause);
    free(cause);
    reconcile_ask(reconcile, &round);
}

void reconcile_stop(struct reconcile *reconcile)
{
    if (reconcile != NULL)
        atomic_store(&reconcile->stop, true);
}

void reconcile_note_stop(struct reconcile *reconcile)
{
    // A round that was cut short is to be made up for.
    if (reconcile->phase != RECONCILE_IDLE || reconcile->round.trouble != NULL ||
        reconcile->round.braked)
        return;
    struct reconcile_commit *own = reconcile_commit_new(reconcile, reconcile_apply_mark);
    committer_put(reconcile->indexer->committer, &own->commit);
}

void reconcile_end(struct reconcile *reconcile)
{
    if (reconcile == NULL)
        return;
    reconcile_stop(reconcile);
    worker_free(reconcile->thread);
    reconcile->thread = NULL;
}

void reconcile_free(struct reconcile *reconcile)
{
    if (reconcile == NULL)
        return;
    survey_fini(&reconcile->survey);
    free(reconcile->round.trouble);
    free(reconcile->database);
    free(reconcile->cache);
    free(reconcile);
}

bool reconcile_request(struct reconcile *reconcile, struct ctl_request *request)
{
    const char *command = ctl_request_command(request);
    bool begin = strcmp(command, "reconcile") == 0;
    if (!begin && strcmp(command, "reconcile_wait") != 0)
        return false;
    if (!ctl_request_privileged(request)) {
        ctl_fail(request, "forbidden", NULL, "only root and the indexer's own user may ask this");
    } else if (reconcile->waiter_count == RECONCILE_WAITERS_MAX || (begin && reconcile->is_asked)) {
        ctl_fail(request, "busy", NULL, "such a round is already asked for");
    } else {
        const json_t *json = ctl_request_json(request);
        reconcile->waiters[reconcile->waiter_count].request = request;
        reconcile->waiters[reconcile->waiter_count++].until_us =
            time_monotonic_us() + RECONCILE_WAIT_US;
        const struct reconcile_round round = {
            .dry = json_is_true(json_object_get(json, "dry_run")),
            .force = json_is_true(json_object_get(json, "force")),
        };
        if (begin)
            reconcile_ask(reconcile, &round);
    }
    return true;
}

void reconcile_tick(struct reconcile *reconcile, int64_t now_us)
{
    bool idle = reconcile->phase == RECONCILE_IDLE && !reconcile->is_asked;
    for (size_t i = reconcile->waiter_count; i-- > 0;) {
        if (idle || now_us >= reconcile->waiters[i].until_us)
            reconcile_answer(reconcile, i);
    }
}

json_t *reconcile_status(const struct reconcile *reconcile)
{
    const struct reconcile_round *round = &reconcile->round;
    char start[TIME_TEXT_SIZE];
    time_format_utc(round->start_us, start);
    return json_pack("{s:b, s:s, s:b, s:b, s:I, s:I, s:I, s:I, s:I, s:b, s:s?}", "running",
        reconcile->phase != RECONCILE_IDLE || reconcile->is_asked, "start", start, "dry_run",
        round->dry, "all", round->since_us == 0, "directories", (json_int_t)round->days, "files",
        (json_int_t)round->waiting, "indexed", (json_int_t)round->indexed, "missing",
        (json_int_t)round->missing, "unknown", (json_int_t)round->unknown, "braked", round->braked,
        "trouble", round->trouble);
}
