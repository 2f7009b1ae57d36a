// What a plan of retention is made of. See gathering.h.
#include "indexer/gathering.h"

#include <stdlib.h>
#include <string.h>

#include "indexer/purge.h"
#include "indexer/storage.h"
#include "lib/core/alloc.h"
#include "lib/core/config.h"
#include "lib/core/timeutil.h"
#include "lib/media/catalog_storage.h"

enum {
    GATHERING_ROWS_MAX = 256, // of a round, beside those that volumes need
    GATHERING_PAGE = 64,      // of one stream
};

#define GATHERING_PAUSE_US (5 * US_PER_SECOND) // of a stream in which there was nothing more
#define GATHERING_COUNT_US (60 * US_PER_SECOND)

void gathering_init(struct gathering *gathering, struct indexer *indexer)
{
    *gathering = (struct gathering){.indexer = indexer};
    gathering->volume_count = indexer->config->storage.volume_count;
    gathering->volume_locked_us = xcalloc(gathering->volume_count, sizeof(int64_t));
    gathering->volume_read = xcalloc(gathering->volume_count, sizeof(bool));
    gathering->volumes = xcalloc(gathering->volume_count, sizeof(*gathering->volumes));
    gathering_restart(gathering);
}

void gathering_clear(struct gathering *gathering)
{
    for (size_t i = 0; gathering->rules != NULL && i < gathering->stream_count; i++) {
        free(gathering->rules[i].locks);
        free(gathering->rules[i].events);
    }
    for (size_t i = 0; i < gathering->count; i++)
        catalog_segment_fini(&gathering->rows[i]);
    free(gathering->rules);
    free(gathering->rows);
    free(gathering->candidates);
    gathering->rules = NULL;
    gathering->rows = NULL;
    gathering->candidates = NULL;
    gathering->count = 0;
    gathering->more = false;
}

void gathering_fini(struct gathering *gathering)
{
    gathering_clear(gathering);
    catalog_locks_free(gathering->locks, gathering->lock_count);
    free(gathering->streams);
    free(gathering->cursors);
    free(gathering->volume_locked_us);
    free(gathering->volume_read);
    free(gathering->volumes);
}

// --- Streams and their limits ---

static void gathering_set_rules(struct gathering *gathering, size_t index)
{
    const struct config *config = gathering->indexer->config;
    const struct catalog_stream *stream = &gathering->streams[index];
    const struct config_stream *found = config_stream_find(config, stream->camera, stream->stream);
    // A stream that is not configured any more has the defaults.
    const struct config_recording *recording = found ? &found->recording : &config->defaults;
    struct retention_stream *rules = &gathering->rules[index];
    *rules = (struct retention_stream){
        .events_only = recording->retain.mode == CONFIG_MODE_EVENTS,
        .continuous_us = recording->retain.continuous_us,
        .events_us = recording->retain.events_us ? recording->retain.events_us
                                                 : recording->retain.continuous_us,
        .pre_us = recording->retain.pre_us,
        .post_us = recording->retain.post_us,
        .max_bytes = (uint64_t)recording->retain.max_bytes,
        .bytes = stream->bytes,
    };
    if (!rules->events_only && rules->events_us < rules->continuous_us)
        rules->events_us = rules->continuous_us;
}

// Gives each stream the cursor that it had.
static void gathering_align_cursors(struct gathering *gathering, size_t known)
{
    struct gathering_cursor *cursors = xcalloc(gathering->stream_count, sizeof(*cursors));
    for (size_t i = 0; i < gathering->stream_count; i++) {
        const struct gathering_cursor *old = NULL;
        int64_t id = gathering->streams[i].id;
        if (i < known && gathering->cursors[i].stream_id == id)
            old = &gathering->cursors[i];
        for (size_t j = 0; old == NULL && j < known; j++)
            old = gathering->cursors[j].stream_id == id ? &gathering->cursors[j] : NULL;
        cursors[i] = old ? *old
                         : (struct gathering_cursor){.stream_id = id,
                               .locked_us = INT64_MIN,
                               .judged_us = INT64_MIN,
                               .again_us = INT64_MIN};
        cursors[i].aged_to_us = cursors[i].soft_to_us = cursors[i].again_to_us = INT64_MIN;
    }
    free(gathering->cursors);
    gathering->cursors = cursors;
}

// --- Locks ---

static int64_t gathering_before(int64_t start_us)
{
    return start_us > INT64_MIN + CATALOG_DURATION_US_MAX ? start_us - CATALOG_DURATION_US_MAX
                                                          : INT64_MIN;
}

static void gathering_back(int64_t *cursor_us, int64_t to_us)
{
    if (*cursor_us > to_us)
        *cursor_us = to_us;
}

// A lock has gone: what it may have kept is looked at again.
static void gathering_release(
    struct gathering *gathering, const char *camera, const char *stream, int64_t start_us)
{
    int64_t to_us = gathering_before(start_us);
    for (size_t i = 0; i < gathering->volume_count; i++)
        gathering_back(&gathering->volume_locked_us[i], to_us);
    for (size_t i = 0; i < gathering->stream_count; i++) {
        const struct catalog_stream *one = &gathering->streams[i];
        if (strcmp(one->camera, camera) != 0 ||
            (stream[0] != '\0' && strcmp(one->stream, stream) != 0))
            continue;
        gathering_back(&gathering->cursors[i].locked_us, to_us);
        gathering_back(&gathering->cursors[i].judged_us, to_us);
        gathering->cursors[i].next_us = 0;
    }
}

void gathering_restart(struct gathering *gathering)
{
    gathering_recheck_locked(gathering);
    for (size_t i = 0; i < gathering->stream_count; i++)
        gathering->cursors[i].judged_us = INT64_MIN;
}

void gathering_recheck_locked(struct gathering *gathering)
{
    for (size_t i = 0; i < gathering->volume_count; i++)
        gathering->volume_locked_us[i] = INT64_MIN;
    for (size_t i = 0; i < gathering->stream_count; i++) {
        gathering->cursors[i].locked_us = INT64_MIN;
        gathering->cursors[i].next_us = 0;
    }
}

static bool gathering_same_lock(const struct catalog_lock *a, const struct catalog_lock *b)
{
    return strcmp(a->id, b->id) == 0 && a->start_us == b->start_us && a->end_us == b->end_us &&
           strcmp(a->camera, b->camera) == 0 && strcmp(a->stream, b->stream) == 0;
}

// Reads the locks; what an earlier one kept that is gone is looked at again.
static enum catalog_status gathering_read_locks(
    struct gathering *gathering, int64_t now_us, char **cause)
{
    struct catalog_lock *locks;
    size_t count;
    enum catalog_status status =
        catalog_locks(gathering->indexer->catalog, now_us, &locks, &count, cause);
    if (status != CATALOG_OK)
        return status;
    bool changed = count != gathering->lock_count;
    for (size_t i = 0; i < gathering->lock_count; i++) {
        const struct catalog_lock *old = &gathering->locks[i];
        bool there = false;
        for (size_t j = 0; j < count && !there; j++)
            there = gathering_same_lock(old, &locks[j]);
        if (!there)
            gathering_release(gathering, old->camera, old->stream, old->start_us);
        changed |= !there;
    }
    if (changed)
        gathering->locked_bytes_us = 0;
    catalog_locks_free(gathering->locks, gathering->lock_count);
    gathering->locks = locks;
    gathering->lock_count = count;
    return CATALOG_OK;
}

static void gathering_set_locks(struct gathering *gathering, size_t index)
{
    const struct catalog_stream *stream = &gathering->streams[index];
    struct retention_stream *rules = &gathering->rules[index];
    size_t capacity = 0;
    for (size_t i = 0; i < gathering->lock_count; i++) {
        const struct catalog_lock *lock = &gathering->locks[i];
        if (!catalog_lock_holds(lock, stream->camera, stream->stream, INT64_MIN, INT64_MAX))
            continue;
        ARRAY_RESERVE(rules->locks, rules->lock_count, capacity);
        rules->locks[rules->lock_count++] = (struct retention_span){lock->start_us, lock->end_us};
    }
    rules->lock_count = retention_spans_join(rules->locks, rules->lock_count);
}

// Counts what is locked apart: when locks have changed, and each minute, since footage comes.
static enum catalog_status gathering_count_locked(
    struct gathering *gathering, int64_t monotonic_us, char **cause)
{
    bool count = gathering->locked_bytes_us == 0 ||
                 monotonic_us - gathering->locked_bytes_us >= GATHERING_COUNT_US;
    for (size_t i = 0; i < gathering->stream_count; i++) {
        struct retention_stream *rules = &gathering->rules[i];
        struct gathering_cursor *cursor = &gathering->cursors[i];
        if (count)
            cursor->locked_segments = cursor->locked_bytes = 0;
        for (size_t j = 0; count && rules->locks != NULL && j < rules->lock_count; j++) {
            uint64_t segments, bytes;
            enum catalog_status status =
                catalog_footage_in(gathering->indexer->catalog, cursor->stream_id,
                    rules->locks[j].start_us, rules->locks[j].end_us, &segments, &bytes, cause);
            if (status != CATALOG_OK)
                return status;
            cursor->locked_segments += segments;
            cursor->locked_bytes += bytes;
        }
        rules->bytes -= cursor->locked_bytes < rules->bytes ? cursor->locked_bytes : rules->bytes;
    }
    if (count)
        gathering->locked_bytes_us = monotonic_us;
    return CATALOG_OK;
}

// --- Candidates ---

static void gathering_take(struct gathering *gathering, struct catalog_segments *found)
{
    gathering->rows =
        xreallocarray(gathering->rows, gathering->count + found->count, sizeof(*gathering->rows));
    if (found->count > 0)
        memcpy(&gathering->rows[gathering->count], found->rows,
            found->count * sizeof(*gathering->rows));
    gathering->count += found->count;
    free(found->rows);
}

// Reads the segments of a stream that end before `before_us` and start behind *to_us, which then
// says how far that came. *full: there may be more.
static enum catalog_status gathering_page(struct gathering *gathering, size_t index,
    int64_t before_us, int64_t after_us, int64_t *to_us, bool *full, char **cause)
{
    struct catalog_segments found;
    enum catalog_status status = catalog_oldest_of_stream(gathering->indexer->catalog,
        gathering->streams[index].id, before_us, after_us, GATHERING_PAGE, &found, cause);
    if (status != CATALOG_OK)
        return status;
    *full = found.count == GATHERING_PAGE;
    *to_us = found.count > 0 ? found.rows[found.count - 1].start_us : INT64_MIN;
    gathering_take(gathering, &found);
    return CATALOG_OK;
}

// What has to go of one stream by its age or for its bytes: all before the hard limit and, when it
// takes too much, its oldest; then what no event keeps.
static enum catalog_status gathering_read_stream(
    struct gathering *gathering, size_t index, int64_t now_us, char **cause)
{
    const struct retention_stream *rules = &gathering->rules[index];
    const struct catalog_stream *stream = &gathering->streams[index];
    struct gathering_cursor *cursor = &gathering->cursors[index];
    int64_t hard_us = retention_hard_us(rules, now_us), soft_us = retention_soft_us(rules, now_us);
    bool over = rules->max_bytes > 0 && rules->bytes > rules->max_bytes, full = false;
    enum catalog_status status = CATALOG_OK;
    if (over || stream->first_us < hard_us)
        status = gathering_page(gathering, index, over ? INT64_MAX : hard_us, cursor->locked_us,
            &cursor->aged_to_us, &full, cause);
    if (status == CATALOG_OK && !full && soft_us > hard_us && stream->first_us < soft_us)
        status = gathering_page(
            gathering, index, soft_us, cursor->judged_us, &cursor->soft_to_us, &full, cause);
    gathering->more |= full;
    return status;
}

static enum catalog_status gathering_read_streams(
    struct gathering *gathering, int64_t now_us, int64_t monotonic_us, char **cause)
{
    enum catalog_status status = CATALOG_OK;
    size_t turn = gathering->turn;
    for (size_t i = 0; i < gathering->stream_count && status == CATALOG_OK; i++) {
        size_t index = (turn + i) % gathering->stream_count;
        struct gathering_cursor *cursor = &gathering->cursors[index];
        if (gathering->streams[index].segments == 0 || monotonic_us < cursor->next_us)
            continue;
        if (gathering->count >= GATHERING_ROWS_MAX) {
            gathering->more = true;
            gathering->turn = index;
            break;
        }
        bool more = gathering->more;
        gathering->more = false;
        status = gathering_read_stream(gathering, index, now_us, cause);
        cursor->next_us = gathering->more ? 0 : monotonic_us + GATHERING_PAUSE_US;
        gathering->more |= more;
    }
    return status;
}

// The second look: slowly through everything that an event or a lock keeps, for what came late.
static enum catalog_status gathering_read_again(
    struct gathering *gathering, int64_t now_us, char **cause)
{
    if (gathering->stream_count == 0)
        return CATALOG_OK;
    size_t index = gathering->again % gathering->stream_count;
    struct gathering_cursor *cursor = &gathering->cursors[index];
    int64_t soft_us = retention_soft_us(&gathering->rules[index], now_us);
    bool full = false;
    enum catalog_status status = CATALOG_OK;
    if (gathering->streams[index].segments > 0)
        status = gathering_page(
            gathering, index, soft_us, cursor->again_us, &cursor->again_to_us, &full, cause);
    cursor->again_us = full ? cursor->again_to_us : INT64_MIN;
    if (!full)
        gathering->again = index + 1;
    return status;
}

static enum catalog_status gathering_read_volume(
    struct gathering *gathering, size_t index, int64_t monotonic_us, char **cause)
{
    struct keeper *keeper = storage_at(gathering->indexer->storage, index);
    struct retention_volume *volume = &gathering->volumes[index];
    *volume = (struct retention_volume){.reach_us = INT64_MAX};
    gathering->volume_read[index] = false;
    // What is on its way out must have gone before more is chosen.
    if (keeper->volume == NULL || purge_busy(keeper->purge))
        return CATALOG_OK;
    volume->need = keeper_need(keeper);
    volume->allowance = credit_allowance(&keeper->credit, monotonic_us);
    if ((volume->need.bytes == 0 && volume->need.files == 0) || volume->allowance == 0)
        return CATALOG_OK;
    struct catalog_segments found;
    size_t limit = volume->allowance < GATHERING_ROWS_MAX ? volume->allowance : GATHERING_ROWS_MAX;
    enum catalog_status status = catalog_oldest_on_volume(gathering->indexer->catalog, keeper->id,
        gathering->volume_locked_us[index], limit, &found, cause);
    if (status != CATALOG_OK)
        return status;
    gathering->volume_read[index] = true;
    if (found.count == limit)
        volume->reach_us = found.rows[limit - 1].start_us;
    gathering->more |= found.count == GATHERING_ROWS_MAX;
    gathering_take(gathering, &found);
    return CATALOG_OK;
}

static int gathering_compare(const void *left, const void *right)
{
    const struct catalog_segment *a = left, *b = right;
    if (a->start_us != b->start_us)
        return a->start_us < b->start_us ? -1 : 1;
    return a->stream_id < b->stream_id ? -1 : a->stream_id > b->stream_id;
}

static void gathering_sort(struct gathering *gathering)
{
    struct catalog_segment *rows = gathering->rows;
    if (gathering->count > 1)
        qsort(rows, gathering->count, sizeof(*rows), gathering_compare);
    size_t kept = 0;
    for (size_t i = 0; i < gathering->count; i++) {
        if (kept > 0 && gathering_compare(&rows[kept - 1], &rows[i]) == 0)
            catalog_segment_fini(&rows[i]);
        else
            rows[kept++] = rows[i];
    }
    gathering->count = kept;
}

static size_t gathering_stream_index(const struct gathering *gathering, int64_t id)
{
    size_t index = 0;
    while (index < gathering->stream_count && gathering->streams[index].id != id)
        index++;
    return index;
}

static void gathering_make_candidates(struct gathering *gathering)
{
    gathering_sort(gathering);
    gathering->candidates = xcalloc(gathering->count, sizeof(*gathering->candidates));
    size_t kept = 0;
    for (size_t i = 0; i < gathering->count; i++) {
        struct catalog_segment *row = &gathering->rows[i];
        const struct keeper *keeper = storage_find(gathering->indexer->storage, row->volume_id);
        size_t stream = gathering_stream_index(gathering, row->stream_id);
        if (stream == gathering->stream_count) {
            catalog_segment_fini(row); // a stream that has just come
            continue;
        }
        gathering->candidates[kept] = (struct retention_candidate){
            .stream = stream,
            .volume = keeper ? keeper->index : SIZE_MAX,
            .start_us = row->start_us,
            .end_us = row->end_us,
            .bytes = row->size_bytes,
        };
        gathering->rows[kept++] = *row;
    }
    gathering->count = kept;
}

// --- Events ---

static enum catalog_status gathering_set_events(
    struct gathering *gathering, size_t index, int64_t start_us, int64_t end_us, char **cause)
{
    struct retention_stream *rules = &gathering->rules[index];
    const struct catalog_stream *stream = &gathering->streams[index];
    const struct catalog_event_query query = {
        .camera = stream->camera,
        .stream = stream->stream,
        .start_us = start_us - rules->post_us,
        .end_us = end_us + rules->pre_us + 1,
    };
    struct catalog_event *events;
    size_t count;
    enum catalog_status status =
        catalog_events_in(gathering->indexer->catalog, &query, &events, &count, cause);
    if (status != CATALOG_OK)
        return status;
    rules->events = xcalloc(count, sizeof(*rules->events));
    for (size_t i = 0; i < count; i++)
        rules->events[i] = retention_event_span(rules, events[i].start_us, events[i].end_us);
    rules->event_count = retention_spans_join(rules->events, count);
    catalog_events_free(events, count);
    return CATALOG_OK;
}

// The events of those streams of which there are candidates and whose limits ask for them.
static enum catalog_status gathering_read_events(struct gathering *gathering, char **cause)
{
    struct retention_span *spans = xcalloc(gathering->stream_count, sizeof(*spans));
    enum catalog_status status = CATALOG_OK;
    for (size_t i = 0; i < gathering->count; i++) {
        const struct retention_candidate *candidate = &gathering->candidates[i];
        struct retention_span *span = &spans[candidate->stream];
        if (span->end_us == 0)
            span->start_us = candidate->start_us;
        if (candidate->end_us > span->end_us)
            span->end_us = candidate->end_us;
    }
    for (size_t i = 0; i < gathering->stream_count && status == CATALOG_OK; i++) {
        const struct retention_stream *rules = &gathering->rules[i];
        if (spans[i].end_us > 0 && (rules->events_only || rules->events_us > rules->continuous_us))
            status = gathering_set_events(gathering, i, spans[i].start_us, spans[i].end_us, cause);
    }
    free(spans);
    return status;
}

// --- A round ---

enum catalog_status gathering_read(
    struct gathering *gathering, int64_t now_us, int64_t monotonic_us, char **cause)
{
    struct catalog_stream *streams;
    size_t count, known = gathering->stream_count;
    enum catalog_status status =
        catalog_streams(gathering->indexer->catalog, &streams, &count, cause);
    if (status != CATALOG_OK)
        return status;
    free(gathering->streams);
    gathering->streams = streams;
    gathering->stream_count = count;
    gathering->rules = xcalloc(gathering->stream_count, sizeof(*gathering->rules));
    gathering_align_cursors(gathering, known);
    status = gathering_read_locks(gathering, now_us, cause);
    for (size_t i = 0; i < gathering->stream_count; i++) {
        gathering_set_rules(gathering, i);
        gathering_set_locks(gathering, i);
    }
    if (status == CATALOG_OK)
        status = gathering_count_locked(gathering, monotonic_us, cause);
    if (status == CATALOG_OK)
        status = gathering_read_streams(gathering, now_us, monotonic_us, cause);
    if (status == CATALOG_OK)
        status = gathering_read_again(gathering, now_us, cause);
    for (size_t i = 0; i < gathering->volume_count && status == CATALOG_OK; i++)
        status = gathering_read_volume(gathering, i, monotonic_us, cause);
    if (status != CATALOG_OK)
        return status;
    gathering_make_candidates(gathering);
    return gathering_read_events(gathering, cause);
}

// The cursors over what is locked move up to the first segment that is not.
static void gathering_follow_locked(struct gathering *gathering)
{
    bool *stopped = xcalloc(gathering->stream_count, sizeof(*stopped));
    bool *stopped_volume = xcalloc(gathering->volume_count, sizeof(*stopped_volume));
    for (size_t i = 0; i < gathering->count; i++) {
        const struct retention_candidate *candidate = &gathering->candidates[i];
        struct gathering_cursor *cursor = &gathering->cursors[candidate->stream];
        stopped[candidate->stream] |= !candidate->locked;
        if (!stopped[candidate->stream] && candidate->start_us <= cursor->aged_to_us &&
            candidate->start_us > cursor->locked_us)
            cursor->locked_us = candidate->start_us;
        size_t volume = candidate->volume;
        if (volume >= gathering->volume_count)
            continue;
        stopped_volume[volume] |= !candidate->locked;
        if (!stopped_volume[volume] && gathering->volume_read[volume] &&
            candidate->start_us <= gathering->volumes[volume].reach_us &&
            candidate->start_us > gathering->volume_locked_us[volume])
            gathering->volume_locked_us[volume] = candidate->start_us;
    }
    free(stopped);
    free(stopped_volume);
}

void gathering_follow(struct gathering *gathering)
{
    gathering_follow_locked(gathering);
    for (size_t i = 0; i < gathering->stream_count; i++) {
        struct gathering_cursor *cursor = &gathering->cursors[i];
        if (cursor->soft_to_us > cursor->judged_us)
            cursor->judged_us = cursor->soft_to_us;
    }
}
