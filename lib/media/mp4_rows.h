// Writing the rows of one table sample by sample, be they packed or in memory. Private to mp4_*.c.
#pragma once

#include "lib/media/mp4_write.h"

struct mp4_rows {
    struct buf *buf;
    enum mp4_table table;
    int64_t composition_shift;
    int64_t offset_shift;
    uint32_t key_prefix;
    uint32_t entry;
    uint32_t sample_number; // of the next sample, from 1 on
    uint32_t chunk_number;  // of the open chunk, from 1 on; set to chunks before the first
    uint64_t next_offset;
    uint32_t chunk_samples; // of the open chunk
    uint32_t stsc_samples;  // of the last stsc row
    uint32_t run_count;     // of the open stts or ctts row
    uint32_t run_value;
};

void mp4_rows_add(struct mp4_rows *rows, const struct media_sample *sample, bool last);

// All samples of a track at once.
void mp4_rows_add_all(struct mp4_rows *rows, const struct media_sample *samples, size_t count);

// Writes what is still open.
void mp4_rows_end(struct mp4_rows *rows);
