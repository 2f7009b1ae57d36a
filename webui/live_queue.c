// What one client has still to be sent. See live_queue.h.
#include "webui/live_queue.h"

#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"

struct live_entry {
    struct live_fragment *fragment;
    int64_t queued_us;
    bool is_caught_up; // something before it was dropped
};

struct live_tile {
    struct live_entry *entries;
    size_t count;
    size_t capacity;
    int64_t turn_us; // since when it waits for its turn; INT64_MAX: nothing has come since the last
    bool sound;
    bool needs_key;         // before anything else is queued
    bool was_dropped;       // since the last fragment that was queued
    struct live_init *init; // of what was queued last; NULL: nothing yet
    uint64_t continuity;    // of what was queued last
    struct live_init *sent; // the init that the client has
    uint64_t sent_continuity;
    int64_t sent_run;
};

struct live_queue {
    size_t tile_count;
    uint64_t dropped;
    struct live_tile tiles[];
};

struct live_queue *live_queue_new(size_t tile_count)
{
    struct live_queue *queue = xcalloc(1, sizeof(*queue) + tile_count * sizeof(struct live_tile));
    queue->tile_count = tile_count;
    for (size_t i = 0; i < tile_count; i++) {
        queue->tiles[i].needs_key = true;
        queue->tiles[i].turn_us = INT64_MAX;
    }
    return queue;
}

void live_queue_free(struct live_queue *queue)
{
    if (queue == NULL)
        return;
    for (size_t i = 0; i < queue->tile_count; i++) {
        struct live_tile *tile = &queue->tiles[i];
        for (size_t k = 0; k < tile->count; k++)
            live_fragment_unref(tile->entries[k].fragment);
        free(tile->entries);
        live_init_unref(tile->init);
        live_init_unref(tile->sent);
    }
    free(queue);
}

void live_queue_set_sound(struct live_queue *queue, size_t tile, bool sound)
{
    queue->tiles[tile].sound = sound;
}

uint64_t live_queue_dropped(const struct live_queue *queue)
{
    return queue->dropped;
}

// --- Dropping ---

// Drops `count` entries from `first` on.
static void live_tile_drop(
    struct live_queue *queue, struct live_tile *tile, size_t first, size_t count)
{
    for (size_t i = first; i < first + count; i++)
        live_fragment_unref(tile->entries[i].fragment);
    tile->count -= count;
    memmove(tile->entries + first, tile->entries + first + count,
        (tile->count - first) * sizeof(*tile->entries));
    queue->dropped += count;
    if (first < tile->count) {
        tile->entries[first].is_caught_up = true;
    } else if (count > 0) {
        tile->needs_key = true;
        tile->was_dropped = true;
    }
}

// Drops what has become too old. What is left begins with a key frame, or goes on from what was
// sent.
static void live_tile_expire(struct live_queue *queue, struct live_tile *tile, int64_t now_us)
{
    const int64_t limit_us = now_us - LIVE_QUEUE_AGE_US;
    if (tile->count == 0 || tile->entries[0].queued_us >= limit_us)
        return;
    size_t key = tile->count - 1; // the last one
    while (key > 0 && !tile->entries[key].fragment->part.key)
        key--;
    if (key > 0) {
        live_tile_drop(queue, tile, 0, key);
        return;
    }
    // No newer key frame is there: one at the front is kept, and what goes with it while it is
    // young.
    size_t from = tile->entries[0].fragment->part.key ? 1 : 0;
    if (from < tile->count && tile->entries[from].queued_us < limit_us)
        live_tile_drop(queue, tile, from, tile->count - from);
}

// --- In and out ---

// Whether a fragment can follow what was queued before it.
static bool live_tile_accepts(struct live_tile *tile, const struct live_part *part)
{
    if (tile->init != NULL && part->continuity == tile->continuity &&
        live_init_equal(tile->init, part->init))
        return part->key || !tile->needs_key;
    tile->needs_key = true;
    return part->key;
}

void live_queue_put(
    struct live_queue *queue, size_t tile_index, struct live_fragment *fragment, int64_t now_us)
{
    struct live_tile *tile = &queue->tiles[tile_index];
    const struct live_part *part = &fragment->part;
    if (!part->has_video && !tile->sound && live_init_track(part->init, MEDIA_VIDEO) != NULL)
        return;
    live_tile_expire(queue, tile, now_us);
    if (tile->turn_us == INT64_MAX)
        tile->turn_us = now_us;
    if (!live_tile_accepts(tile, part)) {
        queue->dropped += tile->was_dropped;
        return;
    }
    ARRAY_RESERVE(tile->entries, tile->count, tile->capacity);
    tile->entries[tile->count++] =
        (struct live_entry){live_fragment_ref(fragment), now_us, tile->was_dropped};
    live_init_ref(part->init);
    live_init_unref(tile->init);
    tile->init = part->init;
    tile->continuity = part->continuity;
    tile->needs_key = tile->was_dropped = false;
}

static void live_tile_take(struct live_tile *tile, struct live_item *item)
{
    const struct live_entry entry = tile->entries[0];
    const struct live_part *part = &entry.fragment->part;
    bool is_first = tile->sent == NULL;
    tile->count--;
    memmove(tile->entries, tile->entries + 1, tile->count * sizeof(*tile->entries));
    tile->turn_us = tile->count > 0 ? tile->entries[0].queued_us : INT64_MAX;
    item->fragment = entry.fragment;
    item->needs_init = !live_init_equal(tile->sent, part->init);
    item->flags = part->key ? LIVE_FLAG_KEY : 0;
    if (entry.is_caught_up)
        item->flags |= LIVE_FLAG_CATCH_UP;
    if (!is_first && part->continuity != tile->sent_continuity)
        item->flags |= LIVE_FLAG_DISCONTINUITY;
    if (!is_first && part->file->id.run != tile->sent_run)
        item->flags |= LIVE_FLAG_NEW_RUN | LIVE_FLAG_DISCONTINUITY;
    live_init_ref(part->init);
    live_init_unref(tile->sent);
    tile->sent = part->init;
    tile->sent_continuity = part->continuity;
    tile->sent_run = part->file->id.run;
}

bool live_queue_take(struct live_queue *queue, int64_t now_us, struct live_item *item)
{
    struct live_tile *next = NULL;
    for (size_t i = 0; i < queue->tile_count; i++) {
        struct live_tile *tile = &queue->tiles[i];
        live_tile_expire(queue, tile, now_us);
        if (tile->count > 0 && (next == NULL || tile->turn_us < next->turn_us))
            next = tile;
    }
    if (next == NULL)
        return false;
    *item = (struct live_item){.tile = (size_t)(next - queue->tiles)};
    live_tile_take(next, item);
    return true;
}
