// Any bytes as the packed tracks of a row: what is taken is valid and packs again to what says the
// same; what is not leaves a row without tracks.
#include <stdlib.h>
#include <string.h>

#include "lib/media/catalog_tracks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// The rest of the row comes from the input too.
struct fuzz_row {
    int64_t start_us, end_us, run;
    uint64_t size_bytes, media_offset;
    uint32_t timescales[2];
    uint8_t tracks;
} __attribute__((packed));

static struct catalog_segment row_of(const struct fuzz_row *from)
{
    struct catalog_segment row = {.start_us = from->start_us,
        .end_us = from->end_us,
        .run = from->run,
        .size_bytes = from->size_bytes,
        .media_offset = from->media_offset,
        .video.codec_id = from->tracks & 1,
        .audio.codec_id = from->tracks >> 1 & 1};
    row.video.summary.timescale = row.video.codec_id ? from->timescales[0] : 0;
    row.audio.summary.timescale = row.audio.codec_id ? from->timescales[1] : 0;
    return row;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_row from;
    if (size < sizeof(from))
        return 0;
    memcpy(&from, data, sizeof(from));
    struct catalog_segment row = row_of(&from), again = row_of(&from);
    if (catalog_tracks_decode(&row, data + sizeof(from), size - sizeof(from)) < 0) {
        if (row.video.codec_id != 0 || row.audio.codec_id != 0 || row.media_end != row.media_offset)
            abort();
        return 0;
    }
    struct buf packed = BUF_INIT;
    catalog_tracks_encode(&row, &packed);
    if (!catalog_tracks_valid(&row) ||
        catalog_tracks_decode(&again, packed.data, packed.size) < 0 ||
        again.media_end != row.media_end ||
        memcmp(&again.video.summary.counts, &row.video.summary.counts,
            sizeof(row.video.summary.counts)) != 0 ||
        memcmp(&again.audio.summary.counts, &row.audio.summary.counts,
            sizeof(row.audio.summary.counts)) != 0 ||
        again.video.summary.start != row.video.summary.start ||
        again.audio.summary.start != row.audio.summary.start)
        abort();
    buf_fini(&packed);
    return 0;
}
