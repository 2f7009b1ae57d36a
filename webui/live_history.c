// What is remembered of one stream that is followed. See live_history.h.
#include "webui/live_history.h"

#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/timeutil.h"

void live_history_init(struct live_history *history)
{
    memset(history, 0, sizeof(*history));
    history->is_broken = true;
}

static void live_history_forget_group(struct live_history *history)
{
    for (size_t i = 0; i < history->group_count; i++)
        live_fragment_unref(history->group[i]);
    history->group_count = 0;
    history->group_bytes = 0;
}

static void live_history_forget_first(struct live_history *history)
{
    live_part_unref(&history->parts[history->first]);
    history->first = (history->first + 1) % LIVE_HISTORY_PARTS_MAX;
    history->count--;
}

void live_history_fini(struct live_history *history)
{
    live_history_forget_group(history);
    while (history->count > 0)
        live_history_forget_first(history);
    free(history->group);
}

const struct live_part *live_history_part(const struct live_history *history, size_t index)
{
    return &history->parts[(history->first + index) % LIVE_HISTORY_PARTS_MAX];
}

const struct live_part *live_history_last(const struct live_history *history)
{
    return history->count > 0 ? live_history_part(history, history->count - 1) : NULL;
}

void live_history_break(struct live_history *history)
{
    history->is_broken = true;
}

// Whether the part's file and place in it follow on the last one's.
static bool live_history_follows(const struct live_part *last, const struct live_part *part)
{
    const struct segment_id *before = &last->file->id, *now = &part->file->id;
    if (now->run != before->run)
        return false;
    if (now->number == before->number)
        return part->index == last->index + 1;
    return now->number == before->number + 1 && part->index == 0;
}

void live_history_place(struct live_history *history, struct live_part *part)
{
    const struct live_part *last = live_history_last(history);
    int64_t step_us = part->start_us - history->end_us;
    bool runs_on = !history->is_broken && last != NULL && live_history_follows(last, part) &&
                   step_us >= -LIVE_STEP_BACK_US && step_us <= LIVE_STEP_ON_US;
    part->serial = ++history->serial;
    history->continuity += !runs_on;
    part->continuity = history->continuity;
    history->is_broken = false;
}

void live_history_add(struct live_history *history, const struct live_part *part)
{
    const struct live_part *last = live_history_last(history);
    bool is_other = last == NULL || last->continuity != part->continuity;
    int64_t end_us = part->start_us + part->duration_us;
    if (is_other || end_us > history->end_us)
        history->end_us = end_us;
    if (history->count == LIVE_HISTORY_PARTS_MAX)
        live_history_forget_first(history);
    live_part_ref(part);
    history->parts[(history->first + history->count++) % LIVE_HISTORY_PARTS_MAX] = *part;
    while (history->count > 1 && live_history_part(history, 0)->appeared_us <
                                     part->appeared_us - LIVE_HISTORY_S * US_PER_SECOND)
        live_history_forget_first(history);
}

void live_history_keep(struct live_history *history, struct live_fragment *fragment)
{
    const struct live_part *part = &fragment->part;
    bool is_begin = part->key;
    bool is_continued =
        history->group_count > 0 &&
        history->group[history->group_count - 1]->part.continuity == part->continuity;
    if (is_begin || !is_continued ||
        history->group_bytes + fragment->bytes.size > LIVE_GROUP_SIZE_MAX)
        live_history_forget_group(history);
    if (!is_begin && history->group_count == 0)
        return;
    ARRAY_RESERVE(history->group, history->group_count, history->group_capacity);
    history->group[history->group_count++] = live_fragment_ref(fragment);
    history->group_bytes += fragment->bytes.size;
}
