// Which segments have to go. See retention.h.
#include "indexer/retention.h"

#include <string.h>

#include "lib/core/timeutil.h"

const char *retention_reason_name(enum retention_reason reason)
{
    static const char *const names[] = {
        [RETENTION_KEEP] = "keep",
        [RETENTION_CONTINUOUS] = "continuous",
        [RETENTION_MIN_FREE] = "min_free",
    };
    return names[reason];
}

static uint64_t retention_minus(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

static void retention_credit_drop(struct retention_credit *credit)
{
    memmove(&credit->entries[0], &credit->entries[1], --credit->count * sizeof(credit->entries[0]));
}

void retention_credit_add(struct retention_credit *credit, int64_t now_us, uint64_t freed_bytes,
    uint64_t before_bytes, uint64_t after_bytes)
{
    credit->available_bytes = after_bytes;
    uint64_t hidden = retention_minus(freed_bytes, retention_minus(after_bytes, before_bytes));
    if (hidden == 0)
        return;
    if (credit->count == RETENTION_CREDITS_MAX)
        retention_credit_drop(credit);
    credit->entries[credit->count].bytes = hidden;
    credit->entries[credit->count++].since_us = now_us;
}

uint64_t retention_credit_look(
    struct retention_credit *credit, int64_t now_us, uint64_t available_bytes)
{
    uint64_t appeared = retention_minus(available_bytes, credit->available_bytes), expired = 0;
    credit->growth_bytes = retention_minus(credit->available_bytes, available_bytes);
    credit->available_bytes = available_bytes;
    while (credit->count > 0) {
        uint64_t *bytes = &credit->entries[0].bytes;
        uint64_t taken = *bytes < appeared ? *bytes : appeared;
        *bytes -= taken;
        appeared -= taken;
        bool over = now_us - credit->entries[0].since_us >= RETENTION_CREDIT_US;
        if (*bytes > 0 && !over)
            break;
        expired += *bytes;
        retention_credit_drop(credit);
    }
    return expired;
}

static uint64_t retention_reserve(const struct config_amount *min_free, uint64_t total)
{
    return min_free->is_percent ? (uint64_t)time_muldiv((int64_t)total, min_free->value, 100)
                                : (uint64_t)min_free->value;
}

struct retention_need retention_need(const struct config_amount *min_free,
    const struct retention_space *space, const struct retention_credit *credit)
{
    uint64_t credited = 0;
    for (size_t i = 0; i < credit->count; i++)
        credited += credit->entries[i].bytes;
    uint64_t reserve = retention_reserve(min_free, space->total_bytes);
    uint64_t ahead = credit->growth_bytes < reserve / 4 ? credit->growth_bytes : reserve / 4;
    struct retention_need need = {
        .bytes = retention_minus(reserve + ahead, space->available_bytes + credited),
    };
    if (min_free->is_percent && space->total_files > 0)
        need.files = retention_minus(
            retention_reserve(min_free, space->total_files), space->available_files);
    return need;
}

static void retention_choose(struct retention_candidate *candidate, enum retention_reason reason,
    struct retention_need *need)
{
    candidate->reason = reason;
    need->bytes = retention_minus(need->bytes, candidate->bytes);
    need->files = retention_minus(need->files, 1);
}

size_t retention_plan(struct retention_candidate *candidates, size_t count, int64_t now_us,
    struct retention_need need)
{
    size_t chosen = 0;
    for (size_t i = 0; i < count; i++) {
        struct retention_candidate *candidate = &candidates[i];
        candidate->reason = RETENTION_KEEP;
        candidate->early = false;
        if (candidate->end_us < now_us - candidate->continuous_us) {
            retention_choose(candidate, RETENTION_CONTINUOUS, &need);
            chosen++;
        }
    }
    for (size_t i = 0; i < count && (need.bytes > 0 || need.files > 0); i++) {
        if (candidates[i].reason != RETENTION_KEEP)
            continue;
        retention_choose(&candidates[i], RETENTION_MIN_FREE, &need);
        candidates[i].early = true;
        chosen++;
    }
    return chosen;
}
