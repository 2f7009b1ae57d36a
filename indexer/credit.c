// Room that was made and does not show yet. See credit.h.
#include "indexer/credit.h"

#include <string.h>

static uint64_t credit_minus(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

static void credit_drop(struct credit *credit)
{
    memmove(&credit->entries[0], &credit->entries[1], --credit->count * sizeof(credit->entries[0]));
}

// Room has appeared while deleting did not seem to help.
static void credit_move(struct credit *credit, uint64_t bytes)
{
    if (credit->missing_bytes == 0)
        return;
    credit->moved_bytes += bytes;
    if (credit->moved_bytes < credit->missing_bytes / 2)
        return;
    credit->missing_bytes = credit->moved_bytes = 0;
    credit->pause_us = credit->resume_us = 0;
}

static void credit_stall(struct credit *credit, int64_t now_us, uint64_t missing_bytes)
{
    if (credit->missing_bytes == 0) {
        credit->pause_us = CREDIT_PAUSE_US;
        credit->resume_us = now_us + credit->pause_us;
        credit->moved_bytes = 0;
    }
    credit->missing_bytes = missing_bytes;
}

void credit_add(struct credit *credit, int64_t now_us, uint64_t freed_bytes, uint64_t before_bytes,
    uint64_t after_bytes)
{
    credit->available_bytes = after_bytes;
    uint64_t shown = credit_minus(after_bytes, before_bytes);
    uint64_t hidden = credit_minus(freed_bytes, shown);
    // The file system gives back at once: whatever was missing, it was somebody else.
    if (freed_bytes > 0 && shown >= freed_bytes / 2)
        credit_move(credit, credit->missing_bytes);
    if (hidden == 0)
        return;
    if (credit->count == CREDIT_ENTRIES_MAX)
        credit_drop(credit);
    credit->entries[credit->count].freed = freed_bytes;
    credit->entries[credit->count].hidden = hidden;
    credit->entries[credit->count++].since_us = now_us;
}

uint64_t credit_look(struct credit *credit, int64_t now_us, uint64_t available_bytes)
{
    uint64_t appeared = credit_minus(available_bytes, credit->available_bytes), expired = 0;
    credit->growth_bytes = credit_minus(credit->available_bytes, available_bytes);
    credit->available_bytes = available_bytes;
    credit_move(credit, appeared);
    while (credit->count > 0) {
        uint64_t *hidden = &credit->entries[0].hidden;
        uint64_t taken = *hidden < appeared ? *hidden : appeared;
        *hidden -= taken;
        appeared -= taken;
        if (*hidden > 0 && now_us - credit->entries[0].since_us < CREDIT_US)
            break;
        expired += *hidden;
        // A small rest is what was written meanwhile.
        if (*hidden > credit->entries[0].freed / 2)
            credit_stall(credit, now_us, *hidden);
        credit_drop(credit);
    }
    return expired;
}

size_t credit_allowance(const struct credit *credit, int64_t now_us)
{
    if (credit->missing_bytes == 0)
        return SIZE_MAX;
    return now_us >= credit->resume_us ? CREDIT_TRIAL_FILES : 0;
}

void credit_used(struct credit *credit, int64_t now_us)
{
    if (credit->missing_bytes == 0 || now_us < credit->resume_us)
        return;
    credit->pause_us *= 2;
    if (credit->pause_us > CREDIT_PAUSE_MAX_US)
        credit->pause_us = CREDIT_PAUSE_MAX_US;
    credit->resume_us = now_us + credit->pause_us;
}

struct retention_need credit_need(const struct credit *credit, const struct config_amount *min_free,
    const struct retention_space *space)
{
    uint64_t credited = 0;
    for (size_t i = 0; i < credit->count; i++)
        credited += credit->entries[i].hidden;
    uint64_t reserve = retention_reserve(min_free, space->total_bytes);
    uint64_t ahead = credit->growth_bytes < reserve / 4 ? credit->growth_bytes : reserve / 4;
    struct retention_need need = {
        .bytes = credit_minus(reserve + ahead, space->available_bytes + credited),
    };
    if (min_free->is_percent && space->total_files > 0)
        need.files =
            credit_minus(retention_reserve(min_free, space->total_files), space->available_files);
    return need;
}
