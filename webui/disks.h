// Which volumes stand on which disk, as far as their files have been opened: reads wait in the lane
// of their disk, so a slow one holds a few I/O threads and not all. Any thread may ask.
#pragma once

#include <stdint.h>
#include <sys/types.h>

struct disks;

struct disks *disks_new(void);
void disks_free(struct disks *disks);

// A file of the volume (0: of the cache) was found on that device.
void disks_note(struct disks *disks, int64_t volume_id, dev_t device);

// The lane for reads of that volume; one of its own as long as its device is not known.
uint64_t disks_lane(struct disks *disks, int64_t volume_id);
