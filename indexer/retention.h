// Which segments have to go: the rules of retention as pure functions. The caller brings the time,
// the file system's figures and the candidates; nothing is read or deleted here.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/core/config.h"

enum retention_reason {
    RETENTION_KEEP,
    RETENTION_CONTINUOUS, // older than its stream's `continuous`
    RETENTION_MIN_FREE,   // the volume needs the room
};

// "continuous", "min_free": as deletions are counted and logged.
const char *retention_reason_name(enum retention_reason reason);

// A volume's figures, as statvfs(3) gives them to an ordinary user.
struct retention_space {
    uint64_t total_bytes;
    uint64_t available_bytes;
    uint64_t total_files; // 0: the file system has no limit
    uint64_t available_files;
};

// Room that was made and that the file system does not show yet (xfs and btrfs report late). It
// counts as free for a while, so that nothing is deleted twice for the same need.
enum {
    RETENTION_CREDITS_MAX = 16,
};

#define RETENTION_CREDIT_US INT64_C(60000000)

struct retention_credit {
    struct {
        uint64_t bytes;
        int64_t since_us;
    } entries[RETENTION_CREDITS_MAX]; // oldest first
    size_t count;
    uint64_t available_bytes; // of the last look, 0 before the first
    uint64_t growth_bytes;    // what was written between the last two
};

// `freed_bytes` were unlinked, between two looks at the file system that `before_bytes` and
// `after_bytes` were available.
void retention_credit_add(struct retention_credit *credit, int64_t now_us, uint64_t freed_bytes,
    uint64_t before_bytes, uint64_t after_bytes);

// A new look: what has appeared since the last one is credited no more. Returns the bytes whose
// time is over and that never appeared: somebody else took them, or holds the deleted files open.
uint64_t retention_credit_look(
    struct retention_credit *credit, int64_t now_us, uint64_t available_bytes);

struct retention_need {
    uint64_t bytes;
    uint64_t files;
};

// What is missing to `min_free` (its percentage holds for files too, where the file system limits
// them), the credit counted as free. As much as was written between the last two looks is kept free
// beyond it, a quarter of it at most, so that it holds until the next look.
struct retention_need retention_need(const struct config_amount *min_free,
    const struct retention_space *space, const struct retention_credit *credit);

struct retention_candidate {
    int64_t end_us;
    int64_t continuous_us; // its stream's limit
    uint64_t bytes;
    enum retention_reason reason; // the plan
    bool early;                   // goes although it is younger than promised
};

// Decides over candidates that ascend by start across all streams: those past their age go, and the
// oldest of the others until the need is met. Returns how many go.
size_t retention_plan(struct retention_candidate *candidates, size_t count, int64_t now_us,
    struct retention_need need);
