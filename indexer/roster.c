// Which streams are to be recorded. See roster.h.
#include "indexer/roster.h"

#include <stdio.h>
#include <stdlib.h>

#include "indexer/committer.h"
#include "lib/core/alloc.h"
#include "lib/core/config.h"
#include "lib/core/log.h"
#include "lib/core/timeutil.h"
#include "lib/media/catalog_outage.h"

// The end of a last attempt may come into the catalog after the configuration has changed.
#define ROSTER_PERIOD_US (10 * US_PER_SECOND)

struct roster {
    struct indexer *indexer;
    int64_t since_us; // UTC: when the configuration came into use
    int64_t next_us;
};

struct roster_end {
    struct commit commit;
    int64_t stream_id;
    const char *reason;
    int64_t at_us;
};

struct roster *roster_new(struct indexer *indexer)
{
    struct roster *roster = xcalloc(1, sizeof(*roster));
    roster->indexer = indexer;
    roster->since_us = time_now_us();
    return roster;
}

void roster_free(struct roster *roster)
{
    free(roster);
}

void roster_restart(struct roster *roster)
{
    roster->since_us = time_now_us();
    roster->next_us = 0;
}

static enum catalog_status roster_apply(
    struct catalog *catalog, struct commit *commit, char **cause)
{
    const struct roster_end *end = commit->arg;
    return catalog_outage_off(catalog, end->stream_id, end->reason, end->at_us, cause);
}

static void roster_done(struct commit *commit)
{
    free(commit->arg);
}

static void roster_end_outage(
    struct roster *roster, const struct catalog_stream *stream, const char *reason)
{
    struct roster_end *end = xcalloc(1, sizeof(*end));
    end->stream_id = stream->id;
    end->reason = reason;
    end->at_us = roster->since_us;
    end->commit = (struct commit){.kind = COMMIT_CALL,
        .apply = roster_apply,
        .done = roster_done,
        .drop = roster_done,
        .arg = end};
    log_info("%s/%s: %s, so that its outage ends", stream->camera, stream->stream, reason);
    committer_put(roster->indexer->committer, &end->commit);
}

void roster_tick(struct roster *roster, int64_t now_us)
{
    struct indexer *indexer = roster->indexer;
    struct catalog_stream *streams;
    size_t count;
    char *cause = NULL;
    if (now_us < roster->next_us)
        return;
    roster->next_us = now_us + ROSTER_PERIOD_US;
    if (catalog_outages_failing(indexer->catalog, &streams, &count, &cause) != CATALOG_OK) {
        log_debug("outages can not be read now: %s", cause ? cause : "the catalog is locked");
        free(cause);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const struct config_stream *found =
            config_stream_find(indexer->config, streams[i].camera, streams[i].stream);
        if (found == NULL)
            roster_end_outage(roster, &streams[i], "removed");
        else if (!found->recording.enabled)
            roster_end_outage(roster, &streams[i], "disabled");
    }
    free(streams);
}
