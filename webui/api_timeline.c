// What there is of a stream over time: coverage, gaps with their causes, a calendar. From the
// catalog, and from the cache where footage is not committed yet. See docs/api.md.
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/timeutil.h"
#include "lib/media/catalog_epoch.h"
#include "lib/media/catalog_timeline.h"
#include "webui/api.h"
#include "webui/civil.h"
#include "webui/footage.h"

enum {
    TIMELINE_BUCKETS_DEFAULT = 500,
    TIMELINE_BUCKETS_MAX = 5000,
    TIMELINE_STEPS_MAX = 1000,
    CALENDAR_DAYS_MAX = 3660,
};

enum {
    TIMELINE_START,
    TIMELINE_END,
    TIMELINE_BUCKETS,
};

const struct query_rule api_timeline_rules[] = {
    [TIMELINE_START] = {.name = "start", .type = QUERY_TIME},
    [TIMELINE_END] = {.name = "end", .type = QUERY_TIME},
    [TIMELINE_BUCKETS] = {.name = "buckets",
        .type = QUERY_INTEGER,
        .fallback = TIMELINE_BUCKETS_DEFAULT,
        .min = 1,
        .max = TIMELINE_BUCKETS_MAX},
    {0},
};

enum {
    GAPS_START,
    GAPS_END,
    GAPS_LEAST,
    GAPS_LIMIT,
    GAPS_CURSOR,
};

const struct query_rule api_gaps_rules[] = {
    [GAPS_START] = {.name = "start", .type = QUERY_TIME},
    [GAPS_END] = {.name = "end", .type = QUERY_TIME},
    [GAPS_LEAST] = {.name = "least", .type = QUERY_DURATION, .fallback = US_PER_SECOND},
    [GAPS_LIMIT] = {.name = "limit",
        .type = QUERY_INTEGER,
        .fallback = API_LIST_DEFAULT,
        .min = 1,
        .max = API_LIST_MAX},
    [GAPS_CURSOR] = {.name = "cursor", .type = QUERY_TEXT},
    {0},
};

enum {
    CALENDAR_START,
    CALENDAR_END,
    CALENDAR_ZONE,
};

const struct query_rule api_calendar_rules[] = {
    [CALENDAR_START] = {.name = "start", .type = QUERY_TEXT},
    [CALENDAR_END] = {.name = "end", .type = QUERY_TEXT},
    [CALENDAR_ZONE] = {.name = "zone", .type = QUERY_TEXT},
    {0},
};

// --- A stream's footage ---

struct timeline {
    struct worker *worker;
    int64_t stream_id;     // 0: the catalog does not know it yet
    int64_t first_us;      // of its footage; 0 without any
    struct footage recent; // what is not committed yet, ascending
};

// Returns false with the reply filled.
static bool timeline_open(struct timeline *timeline, struct worker *worker,
    const struct request *request, struct reply *reply)
{
    const struct footage_query query = {
        .camera = request->names[0],
        .stream = request->names[1],
        .start_us = INT64_MIN / 2,
        .end_us = INT64_MAX / 2,
        .after_us = INT64_MIN,
        .uncommitted = true,
    };
    struct catalog_stream stream = {0};
    char *cause = NULL;
    *timeline = (struct timeline){.worker = worker};
    enum catalog_status status = footage_load(worker, &query, &timeline->recent, &cause);
    if (status == CATALOG_NONE)
        reply_error(reply, 404, "stream_not_found", NULL, "there is no stream \"%s/%s\"",
            query.camera, query.stream);
    if (api_catalog_failed(reply, status, cause) || status == CATALOG_NONE)
        return false;
    cause = NULL;
    if (timeline->recent.stream_id != 0)
        status = worker_check(worker,
            catalog_stream_find(worker->catalog, query.camera, query.stream, &stream, &cause));
    if (api_catalog_failed(reply, status, cause)) {
        footage_fini(&timeline->recent);
        return false;
    }
    timeline->stream_id = timeline->recent.stream_id;
    timeline->first_us = stream.first_us;
    if (timeline->recent.count > 0 &&
        (stream.first_us == 0 || timeline->recent.segments[0].start_us < stream.first_us))
        timeline->first_us = timeline->recent.segments[0].start_us;
    return true;
}

// Adds what is not committed; where that overlaps with other footage a bucket is full at most.
static void timeline_cover_recent(const struct timeline *timeline, const int64_t *bounds,
    size_t bucket_count, int64_t *covered_us)
{
    int64_t at_us = INT64_MIN;
    for (size_t i = 0; i < timeline->recent.count; i++) {
        const struct footage_segment *segment = &timeline->recent.segments[i];
        int64_t start_us = segment->start_us > at_us ? segment->start_us : at_us;
        for (size_t j = 0; j < bucket_count && bounds[j] < segment->end_us; j++) {
            int64_t from_us = start_us > bounds[j] ? start_us : bounds[j];
            int64_t until_us = segment->end_us < bounds[j + 1] ? segment->end_us : bounds[j + 1];
            if (until_us <= from_us)
                continue;
            covered_us[j] += until_us - from_us;
            if (covered_us[j] > bounds[j + 1] - bounds[j])
                covered_us[j] = bounds[j + 1] - bounds[j];
        }
        at_us = segment->end_us > at_us ? segment->end_us : at_us;
    }
}

static enum catalog_status timeline_cover(const struct timeline *timeline, const int64_t *bounds,
    size_t bucket_count, int64_t *covered_us, char **cause)
{
    enum catalog_status status = CATALOG_OK;
    memset(covered_us, 0, bucket_count * sizeof(*covered_us));
    if (timeline->stream_id != 0)
        status = worker_check(
            timeline->worker, catalog_coverage(timeline->worker->catalog, timeline->stream_id,
                                  bounds, bucket_count + 1, covered_us, cause));
    if (status == CATALOG_OK)
        timeline_cover_recent(timeline, bounds, bucket_count, covered_us);
    return status;
}

static double timeline_seconds(int64_t time_us)
{
    return (double)time_us / (double)US_PER_SECOND;
}

// --- Gaps ---

static void gap_append(
    json_t *list, const struct catalog_gap *gap, int64_t start_us, int64_t end_us, int64_t least_us)
{
    if (end_us - start_us < least_us || end_us <= start_us)
        return;
    json_array_append_new(
        list, json_pack("{s:o, s:o, s:f, s:o, s:o}", "start", reply_time(start_us), "end",
                  reply_time(end_us), "seconds", timeline_seconds(end_us - start_us), "reason",
                  gap->reason[0] ? reply_text("%s", gap->reason) : json_null(), "detail",
                  gap->detail[0] ? reply_text("%s", gap->detail) : json_null()));
}

// Appends a gap of the catalog's, less the footage that is not committed yet.
static void timeline_append_gap(
    const struct timeline *timeline, json_t *list, const struct catalog_gap *gap, int64_t least_us)
{
    int64_t at_us = gap->start_us;
    for (size_t i = 0; i < timeline->recent.count; i++) {
        const struct footage_segment *segment = &timeline->recent.segments[i];
        if (segment->start_us >= gap->end_us)
            break;
        gap_append(list, gap, at_us, segment->start_us, least_us);
        if (segment->state == FOOTAGE_OPEN) // goes on to this moment
            return;
        at_us = segment->end_us > at_us ? segment->end_us : at_us;
    }
    gap_append(list, gap, at_us, gap->end_us, least_us);
}

// The gaps of a time; *next_us says from where on there are more, 0: nowhere. NULL with the reply
// filled on failure.
static json_t *timeline_gaps(const struct timeline *timeline, int64_t start_us, int64_t end_us,
    int64_t least_us, size_t limit, int64_t *next_us, struct reply *reply)
{
    struct catalog_gap *gaps = NULL;
    size_t count = 0;
    char *cause = NULL;
    enum catalog_status status = CATALOG_OK;
    int64_t now_us = time_now_us();
    *next_us = 0;
    if (end_us > now_us) // time to come is no gap
        end_us = now_us;
    if (timeline->stream_id != 0 && start_us < end_us)
        status = worker_check(
            timeline->worker, catalog_gaps(timeline->worker->catalog, timeline->stream_id, start_us,
                                  end_us, least_us, limit, &gaps, &count, next_us, &cause));
    if (api_catalog_failed(reply, status, cause))
        return NULL;
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        timeline_append_gap(timeline, list, &gaps[i], least_us);
    free(gaps);
    return list;
}

static bool timeline_check_range(int64_t start_us, int64_t end_us, struct reply *reply)
{
    if (start_us < end_us)
        return true;
    reply_error(reply, 400, "bad_parameter", "end", "\"end\" must be later than \"start\"");
    return false;
}

void api_gaps(struct worker *worker, const struct request *request, struct reply *reply)
{
    const struct query_value *values = request->values;
    int64_t start_us = values[GAPS_START].number, cursor_us = 0, next_us;
    int64_t end_us = values[GAPS_END].given ? values[GAPS_END].number : time_now_us();
    if (!timeline_check_range(start_us, end_us, reply))
        return;
    if (values[GAPS_CURSOR].given && (!time_parse(values[GAPS_CURSOR].text, &cursor_us) ||
                                         cursor_us < start_us || cursor_us > end_us)) {
        reply_error(reply, 400, "bad_parameter", "cursor",
            "\"cursor\" must be the one that the page before gave");
        return;
    }
    struct timeline timeline;
    if (!timeline_open(&timeline, worker, request, reply))
        return;
    json_t *gaps = timeline_gaps(&timeline, cursor_us ? cursor_us : start_us, end_us,
        values[GAPS_LEAST].number, (size_t)values[GAPS_LIMIT].number, &next_us, reply);
    if (gaps != NULL)
        reply_json(reply, 200,
            json_pack("{s:s, s:s, s:s, s:o, s:o}", "node", worker->conf->node, "camera",
                request->names[0], "stream", request->names[1], "gaps", gaps, "cursor",
                reply_time(next_us)));
    footage_fini(&timeline.recent);
}

// --- Timeline ---

// Its bounds and what is covered between them; both arrays are released by the caller.
static json_t *timeline_buckets(const int64_t *bounds, const int64_t *covered_us, size_t count)
{
    json_t *buckets = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(buckets, json_pack("{s:o, s:f}", "start", reply_time(bounds[i]),
                                           "covered_seconds", timeline_seconds(covered_us[i])));
    return buckets;
}

// Narrows [*start_us, *end_us) to where gaps may be that last as long as a bucket: half of such a
// gap lies in one bucket (bounds at whole hours move by one at most), the rest in its neighbours.
// So nothing is searched where all is well.
static void timeline_narrow(const int64_t *bounds, const int64_t *covered_us, size_t count,
    int64_t *start_us, int64_t *end_us)
{
    int64_t now_us = time_now_us(), hour_us = 3600 * US_PER_SECOND;
    int64_t bucket_us = (bounds[count] - bounds[0]) / (int64_t)count;
    int64_t suspect_us = bucket_us >= 2 * hour_us ? bucket_us / 2 - hour_us : bucket_us / 2;
    *start_us = *end_us = bounds[count];
    for (size_t i = 0; i < count; i++) {
        int64_t until_us = bounds[i + 1] < now_us ? bounds[i + 1] : now_us;
        if (until_us <= bounds[i] || until_us - bounds[i] - covered_us[i] < suspect_us)
            continue;
        if (*start_us == bounds[count])
            *start_us = bounds[i > 0 ? i - 1 : 0];
        *end_us = bounds[i + 2 < count ? i + 2 : count];
    }
}

// Where clocks stepped. NULL with the reply filled on failure.
static json_t *timeline_steps(
    const struct timeline *timeline, int64_t start_us, int64_t end_us, struct reply *reply)
{
    struct catalog_epoch *epochs = NULL;
    size_t count = 0;
    char *cause = NULL;
    enum catalog_status status = CATALOG_OK;
    if (timeline->stream_id != 0)
        status = worker_check(
            timeline->worker, catalog_epochs_in(timeline->worker->catalog, timeline->stream_id,
                                  start_us, end_us, TIMELINE_STEPS_MAX, &epochs, &count, &cause));
    if (api_catalog_failed(reply, status, cause))
        return NULL;
    json_t *steps = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(
            steps, json_pack("{s:o, s:s, s:f}", "time", reply_time(epochs[i].start_us), "cause",
                       epochs[i].cause, "moved_seconds", timeline_seconds(epochs[i].moved_us)));
    free(epochs);
    return steps;
}

static void timeline_answer(const struct timeline *timeline, const struct request *request,
    int64_t start_us, int64_t end_us, struct reply *reply)
{
    int64_t span_us = end_us - start_us, next_us;
    int64_t wanted = request->values[TIMELINE_BUCKETS].number;
    size_t count = (size_t)(wanted < span_us ? wanted : span_us);
    int64_t *bounds = xcalloc(count + 1, sizeof(*bounds));
    int64_t *covered_us = xcalloc(count, sizeof(*covered_us));
    int64_t least_us = span_us / (int64_t)count, from_us, until_us;
    char *cause = NULL;
    json_t *gaps = NULL, *steps = NULL;
    catalog_timeline_bounds(start_us, end_us, count, bounds);
    enum catalog_status status = timeline_cover(timeline, bounds, count, covered_us, &cause);
    least_us = least_us > US_PER_SECOND ? least_us : US_PER_SECOND;
    if (!api_catalog_failed(reply, status, cause)) {
        timeline_narrow(bounds, covered_us, count, &from_us, &until_us);
        gaps = timeline_gaps(timeline, from_us, until_us, least_us, 0, &next_us, reply);
    }
    if (gaps != NULL && (steps = timeline_steps(timeline, start_us, end_us, reply)) == NULL)
        json_decref(gaps);
    if (steps != NULL)
        reply_json(reply, 200,
            json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o}", "node",
                timeline->worker->conf->node, "camera", request->names[0], "stream",
                request->names[1], "start", reply_time(start_us), "end", reply_time(end_us),
                "buckets", timeline_buckets(bounds, covered_us, count), "gaps", gaps, "steps",
                steps));
    free(bounds);
    free(covered_us);
}

void api_timeline(struct worker *worker, const struct request *request, struct reply *reply)
{
    const struct query_value *values = request->values;
    int64_t end_us = values[TIMELINE_END].given ? values[TIMELINE_END].number : time_now_us();
    int64_t start_us =
        values[TIMELINE_START].given ? values[TIMELINE_START].number : end_us - US_PER_DAY;
    struct timeline timeline;
    if (!timeline_check_range(start_us, end_us, reply) ||
        !timeline_open(&timeline, worker, request, reply))
        return;
    timeline_answer(&timeline, request, start_us, end_us, reply);
    footage_fini(&timeline.recent);
}

// --- Calendar ---

struct calendar {
    struct civil_zone zone;
    int64_t start; // days; INT64_MIN: from the first with footage on
    int64_t end;
};

// Returns false with the reply filled.
static bool calendar_read_day(
    const struct query_value *value, const char *field, int64_t *day, struct reply *reply)
{
    if (!value->given || civil_parse_day(value->text, day))
        return true;
    reply_error(reply, 400, "bad_parameter", field, "\"%s\" must be a day, as 2026-03-31", field);
    return false;
}

static bool calendar_read(
    const struct request *request, struct calendar *calendar, struct reply *reply)
{
    const struct query_value *values = request->values;
    const char *zone = values[CALENDAR_ZONE].given ? values[CALENDAR_ZONE].text : "local";
    if (!civil_parse_zone(zone, &calendar->zone)) {
        reply_error(reply, 400, "bad_parameter", "zone",
            "\"zone\" must be local (the server's), utc, or an offset as +02:00");
        return false;
    }
    calendar->start = INT64_MIN;
    calendar->end = civil_day_of(&calendar->zone, time_now_us()) + 1;
    return calendar_read_day(&values[CALENDAR_START], "start", &calendar->start, reply) &&
           calendar_read_day(&values[CALENDAR_END], "end", &calendar->end, reply);
}

static json_t *calendar_days(
    const struct calendar *calendar, const int64_t *bounds, const int64_t *covered_us, size_t count)
{
    json_t *days = json_array();
    for (size_t i = 0; i < count; i++) {
        char name[CIVIL_DAY_SIZE];
        civil_format_day(calendar->start + (int64_t)i, name);
        json_array_append_new(days,
            json_pack("{s:s, s:o, s:o, s:f}", "day", name, "start", reply_time(bounds[i]), "end",
                reply_time(bounds[i + 1]), "covered_seconds", timeline_seconds(covered_us[i])));
    }
    return days;
}

static void calendar_answer(const struct timeline *timeline, const struct calendar *calendar,
    const struct request *request, struct reply *reply)
{
    size_t count = (size_t)(calendar->end - calendar->start);
    int64_t *bounds = xcalloc(count + 1, sizeof(*bounds));
    int64_t *covered_us = xcalloc(count, sizeof(*covered_us));
    char *cause = NULL;
    for (size_t i = 0; i <= count; i++)
        bounds[i] = civil_day_start(&calendar->zone, calendar->start + (int64_t)i);
    enum catalog_status status = timeline_cover(timeline, bounds, count, covered_us, &cause);
    if (!api_catalog_failed(reply, status, cause))
        reply_json(reply, 200,
            json_pack("{s:s, s:s, s:s, s:o}", "node", timeline->worker->conf->node, "camera",
                request->names[0], "stream", request->names[1], "days",
                calendar_days(calendar, bounds, covered_us, count)));
    free(bounds);
    free(covered_us);
}

void api_calendar(struct worker *worker, const struct request *request, struct reply *reply)
{
    struct calendar calendar;
    struct timeline timeline;
    if (!calendar_read(request, &calendar, reply) ||
        !timeline_open(&timeline, worker, request, reply))
        return;
    if (calendar.start == INT64_MIN)
        calendar.start =
            timeline.first_us ? civil_day_of(&calendar.zone, timeline.first_us) : calendar.end - 1;
    if (calendar.end <= calendar.start)
        reply_error(reply, 400, "bad_parameter", "end", "\"end\" must be later than \"start\"");
    else if (calendar.end - calendar.start > CALENDAR_DAYS_MAX)
        reply_error(reply, 400, "range_too_long", "start",
            "a calendar has %d days at most; ask for a part of them", CALENDAR_DAYS_MAX);
    else
        calendar_answer(&timeline, &calendar, request, reply);
    footage_fini(&timeline.recent);
}
