// Counts by reason. See tally.h.
#include "indexer/tally.h"

#include <stddef.h>
#include <string.h>

void tally_add(struct tally *tally, const char *reason, uint64_t count)
{
    for (size_t i = 0; i < TALLY_REASONS_MAX; i++) {
        if (tally->entries[i].reason == NULL)
            tally->entries[i].reason = reason;
        if (strcmp(tally->entries[i].reason, reason) == 0) {
            tally->entries[i].count += count;
            return;
        }
    }
}
