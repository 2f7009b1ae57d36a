// Events and locks: the commands of indexer.sock that add, change and remove them. A request is
// checked in the loop, changes the catalog in the committer's thread, and is answered once that is
// durable; so the same request again, after an answer that was lost, does no harm.
//
//   event_add  {"id"?, "camera", "stream"?, "start", "end"?, "label", "data"?}
//   event_end  {"id", "end"}
//   event_remove, lock_remove  {"id"}
//   lock_add   {"id"?, "camera", "stream"?, "start", "end", "reason", "expires"?}
//   lock_renew {"id", "expires"}
//
// Results: {"node", "created", "event" or "lock": what is there now}; {"node"} of what was removed.
#pragma once

#include "indexer/indexer.h"
#include "lib/media/catalog_lock.h"

struct ctl_request;
struct marks;

struct marks *marks_new(struct indexer *indexer);

// After the committer has ended.
void marks_free(struct marks *marks);

// Answers the request, now or later, when it is one of the commands above. Returns false when not.
bool marks_request(struct marks *marks, struct ctl_request *request);

// Removes locks that have expired, now and then.
void marks_tick(struct marks *marks, int64_t now_us);
