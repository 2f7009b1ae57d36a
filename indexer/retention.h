// Which segments have to go: the rules of retention as one pure plan. The caller brings the time,
// the rules, the needs of the volumes and the candidates; nothing is read or deleted here.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/core/config.h"

// Why a segment goes, by name: as deletions are counted and logged.
#define RETENTION_REASONS(X)                                                                       \
    X(KEEP, "keep")                                                                                \
    X(CONTINUOUS,                                                                                  \
        "continuous")         /* older than its stream's `continuous`, and no event touches it */  \
    X(EVENTS, "events")       /* an event touches it, but it is older than `events` */             \
    X(NO_EVENT, "no_event")   /* `mode: events`, and no event touches it */                        \
    X(MAX_BYTES, "max_bytes") /* its stream takes more than `max_bytes` */                         \
    X(MIN_FREE, "min_free")   /* its volume needs the room */

enum retention_reason {
#define X(name, text) RETENTION_##name,
    RETENTION_REASONS(X)
#undef X
    RETENTION_REASON_COUNT,
};

const char *retention_reason_name(enum retention_reason reason);

// In `mode: events` an event may be told that much later than it began; until then nothing of that
// time is deleted for want of one.
#define RETENTION_TOLD_US INT64_C(600000000)

// A volume's figures, as statvfs(3) gives them to an ordinary user.
struct retention_space {
    uint64_t total_bytes;
    uint64_t available_bytes;
    uint64_t total_files; // 0: the file system has no limit
    uint64_t available_files;
};

struct retention_need {
    uint64_t bytes;
    uint64_t files;
};

// What `min_free` wants free of `total` bytes or files.
uint64_t retention_reserve(const struct config_amount *min_free, uint64_t total);

struct retention_span {
    int64_t start_us;
    int64_t end_us;
};

// Sorts spans, and makes one of those that touch. Returns how many are left.
size_t retention_spans_join(struct retention_span *spans, size_t count);

// Whether one of the joined spans has a moment in common with [start_us, end_us).
bool retention_spans_touch(
    const struct retention_span *spans, size_t count, int64_t start_us, int64_t end_us);

// One stream: its limits, and what bears on its candidates. Both lists are joined.
struct retention_stream {
    bool events_only;              // mode: events
    int64_t continuous_us;         //
    int64_t events_us;             // age of what an event touches, never less than continuous_us
                                   // unless events_only
    int64_t pre_us, post_us;       //
    uint64_t max_bytes;            // 0: no limit
    uint64_t bytes;                // that it takes, without what is locked
    struct retention_span *locks;  // times that no rule may delete
    size_t lock_count;             //
    struct retention_span *events; // with what is kept before and behind them
    size_t event_count;            //
};

// How far an age reaches back at `now_us`: all segments that end before the first may go whatever
// events there are, those that end before the second if no event touches them.
int64_t retention_hard_us(const struct retention_stream *stream, int64_t now_us);
int64_t retention_soft_us(const struct retention_stream *stream, int64_t now_us);

// The span that an event keeps; `end_us` 0: it goes on.
struct retention_span retention_event_span(
    const struct retention_stream *stream, int64_t start_us, int64_t end_us);

// One volume: what is missing there, how many segments may go for that, and up to which start all
// its segments are among the candidates.
struct retention_volume {
    struct retention_need need;
    size_t allowance;
    int64_t reach_us;
};

struct retention_candidate {
    size_t stream;                // index into the streams
    size_t volume;                // index into the volumes, SIZE_MAX: it is on none of them
    int64_t start_us;             //
    int64_t end_us;               //
    uint64_t bytes;               //
    enum retention_reason reason; // the plan
    bool locked;                  // a lock holds it
    bool early;                   // it goes although it is younger than promised
};

struct retention_input {
    int64_t now_us;
    const struct retention_stream *streams;
    const struct retention_volume *volumes;
    size_t volume_count;
};

// Decides over candidates that ascend by start across all streams; of each stream they are its
// oldest, but for such as were found to stay. Those past their age go; then
// the oldest of each stream that takes too much; then the oldest of each volume that needs room.
// Locked ones stay. Returns how many go.
size_t retention_plan(
    const struct retention_input *input, struct retention_candidate *candidates, size_t count);
