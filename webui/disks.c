// Which volumes stand on which disk. See disks.h.
#include "webui/disks.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "lib/core/alloc.h"
#include "webui/io.h"

struct disk {
    int64_t volume_id;
    bool is_known;
    dev_t device;
};

struct disks {
    pthread_mutex_t mutex; // of what follows
    struct disk *items;
    size_t count;
    size_t capacity;
};

struct disks *disks_new(void)
{
    struct disks *disks = xcalloc(1, sizeof(*disks));
    pthread_mutex_init(&disks->mutex, NULL);
    return disks;
}

void disks_free(struct disks *disks)
{
    if (disks == NULL)
        return;
    pthread_mutex_destroy(&disks->mutex);
    free(disks->items);
    free(disks);
}

static size_t disks_place(struct disks *disks, int64_t volume_id)
{
    for (size_t i = 0; i < disks->count; i++)
        if (disks->items[i].volume_id == volume_id)
            return i;
    ARRAY_RESERVE(disks->items, disks->count, disks->capacity);
    disks->items[disks->count] = (struct disk){.volume_id = volume_id};
    return disks->count++;
}

void disks_note(struct disks *disks, int64_t volume_id, dev_t device)
{
    pthread_mutex_lock(&disks->mutex);
    struct disk *disk = &disks->items[disks_place(disks, volume_id)];
    disk->is_known = true;
    disk->device = device;
    pthread_mutex_unlock(&disks->mutex);
}

uint64_t disks_lane(struct disks *disks, int64_t volume_id)
{
    pthread_mutex_lock(&disks->mutex);
    size_t place = disks_place(disks, volume_id);
    const struct disk *disk = &disks->items[place];
    // The first volume known on a device gives its lane the number.
    for (size_t i = 0; disk->is_known && i < place; i++)
        if (disks->items[i].is_known && disks->items[i].device == disk->device)
            place = i;
    pthread_mutex_unlock(&disks->mutex);
    return IO_LANE_DISKS + place;
}
