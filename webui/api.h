// The JSON API: what footage there is, and whether all is well.
#pragma once

#include "lib/media/catalog.h"
#include "webui/route.h"

extern const struct query_rule api_segments_rules[];

enum {
    API_LIST_DEFAULT = 1000, // `limit` of lists
    API_LIST_MAX = 10000,
};

// Answers for a catalog that gave nothing, and releases the cause. Returns false when all is well.
bool api_catalog_failed(struct reply *reply, enum catalog_status status, char *cause);

void api_health(struct worker *worker, const struct request *request, struct reply *reply);
void api_cameras(struct worker *worker, const struct request *request, struct reply *reply);
void api_camera(struct worker *worker, const struct request *request, struct reply *reply);
void api_segments(struct worker *worker, const struct request *request, struct reply *reply);

// In api_probe.c.
json_t *api_probe(const struct request *request, struct reply *reply);

// In api_events.c: events and locks.
extern const struct query_rule api_events_rules[];
extern const struct query_rule api_locks_rules[];
void api_events(struct worker *worker, const struct request *request, struct reply *reply);
void api_locks(struct worker *worker, const struct request *request, struct reply *reply);
json_t *api_event_add(const struct request *request, struct reply *reply);
json_t *api_event_end(const struct request *request, struct reply *reply);
json_t *api_event_remove(const struct request *request, struct reply *reply);
json_t *api_lock_add(const struct request *request, struct reply *reply);
json_t *api_lock_renew(const struct request *request, struct reply *reply);
json_t *api_lock_remove(const struct request *request, struct reply *reply);
void api_event_answer(json_t *result, struct reply *reply);
void api_lock_answer(json_t *result, struct reply *reply);
void api_removed_answer(json_t *result, struct reply *reply);

// In api_timeline.c: what there is of a stream over time.
extern const struct query_rule api_timeline_rules[];
extern const struct query_rule api_gaps_rules[];
extern const struct query_rule api_calendar_rules[];
void api_timeline(struct worker *worker, const struct request *request, struct reply *reply);
void api_gaps(struct worker *worker, const struct request *request, struct reply *reply);
void api_calendar(struct worker *worker, const struct request *request, struct reply *reply);

// In api_storage.c: room, and how the programs are.
void api_storage(struct worker *worker, const struct request *request, struct reply *reply);
void api_status(struct worker *worker, const struct request *request, struct reply *reply);
