// The difference between two configurations. See reload.h.
#include "supervisor/reload.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"

static bool reload_same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool reload_same_list(const struct config_list *a, const struct config_list *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        if (strcmp(a->items[i], b->items[i]) != 0)
            return false;
    }
    return true;
}

// Whether what all commands have in common is unchanged.
static bool reload_same_recorder(const struct config *a, const struct config *b)
{
    return reload_same_text(a->node, b->node) && reload_same_text(a->ffmpeg.path, b->ffmpeg.path) &&
           reload_same_list(&a->ffmpeg.input_options, &b->ffmpeg.input_options) &&
           reload_same_list(&a->ffmpeg.output_options, &b->ffmpeg.output_options);
}

static bool reload_same_stream(const struct config_stream *a, const struct config_stream *b)
{
    return reload_same_text(a->url, b->url) && reload_same_text(a->username, b->username) &&
           reload_same_text(a->password, b->password) &&
           a->recording.segment_us == b->recording.segment_us &&
           a->recording.timeout_us == b->recording.timeout_us &&
           a->recording.audio == b->recording.audio &&
           a->recording.transport == b->recording.transport;
}

static enum reload_action reload_decide(const struct config_stream *before,
    const struct config_stream *after, bool same_recorder, const struct disabled *disabled)
{
    const struct config_stream *any = after ? after : before;
    assert(any != NULL);
    bool may_be_on = !disabled_has(disabled, any->camera, any->name);
    bool was_on = may_be_on && before != NULL && before->recording.enabled;
    bool is_on = may_be_on && after != NULL && after->recording.enabled;
    if (was_on && is_on)
        return same_recorder && reload_same_stream(before, after) ? RELOAD_KEEP : RELOAD_RESTART;
    if (is_on)
        return RELOAD_START;
    return was_on || after == NULL ? RELOAD_STOP : RELOAD_KEEP;
}

static void reload_plan_add(struct reload_plan *plan, const struct config_stream *before,
    const struct config_stream *after, bool same_recorder, const struct disabled *disabled)
{
    enum reload_action action = reload_decide(before, after, same_recorder, disabled);
    plan->items[plan->count++] =
        (struct reload_item){.action = action, .before = before, .after = after};
    plan->started += action == RELOAD_START;
    plan->stopped += action == RELOAD_STOP;
    plan->restarted += action == RELOAD_RESTART;
    plan->kept += action == RELOAD_KEEP;
}

void reload_plan_init(struct reload_plan *plan, const struct config *before,
    const struct config *after, const struct disabled *disabled)
{
    size_t i = 0, j = 0;
    bool same_recorder = reload_same_recorder(before, after);
    *plan = (struct reload_plan){0};
    plan->items = xcalloc(before->stream_count + after->stream_count, sizeof(*plan->items));
    while (i < before->stream_count || j < after->stream_count) {
        const struct config_stream *old = i < before->stream_count ? &before->streams[i] : NULL;
        const struct config_stream *new = j < after->stream_count ? &after->streams[j] : NULL;
        int order = old == NULL ? 1 : new == NULL ? -1 : config_stream_compare(old, new);
        reload_plan_add(
            plan, order <= 0 ? old : NULL, order >= 0 ? new : NULL, same_recorder, disabled);
        i += order <= 0;
        j += order >= 0;
    }
}

void reload_plan_fini(struct reload_plan *plan)
{
    free(plan->items);
    *plan = (struct reload_plan){0};
}

const char *reload_needs_restart(const struct config *before, const struct config *after)
{
    if (!reload_same_text(before->runtime, after->runtime))
        return "runtime";
    if (!reload_same_text(before->storage.database, after->storage.database))
        return "storage.database";
    if (!reload_same_text(before->storage.cache, after->storage.cache))
        return "storage.cache";
    if (before->storage.volume_count != after->storage.volume_count)
        return "storage.volumes";
    for (size_t i = 0; i < after->storage.volume_count; i++) {
        if (!reload_same_text(before->storage.volumes[i].path, after->storage.volumes[i].path))
            return "storage.volumes[].path";
    }
    return NULL;
}
