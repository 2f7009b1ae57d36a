// The whole fragments of a segment file that is still being written, one after the other. Pure: it
// asks for "bytes at offset" and does no I/O of its own; every size is checked before use, and what
// is not there whole is not there yet.
#pragma once

#include "lib/media/mp4_read.h"
#include "webui/live_fragment.h"

enum {
    LIVE_INIT_SIZE_MAX = 1024 * 1024,
    LIVE_MOOF_SIZE_MAX = 4 * 1024 * 1024,
    LIVE_FRAGMENT_SIZE_MAX = 32 * 1024 * 1024, // moof and mdat
};

struct live_reader {
    struct live_init *init; // NULL until it was read
    uint64_t offset;        // of the next box
    uint32_t index;         // of the next fragment
    uint32_t lost;          // fragments that were not believed, or too large
};

enum live_read {
    LIVE_READ_PART,   // a whole fragment
    LIVE_READ_LOST,   // one that can not be used: what follows does not run on from before
    LIVE_READ_WAIT,   // there is no more yet
    LIVE_READ_END,    // and there will be no more: the file is sealed
    LIVE_READ_BROKEN, // what follows is no MP4
};

void live_reader_fini(struct live_reader *reader);

// The next step through the file, as far as `source` has it by now. On LIVE_READ_PART, index,
// place, presentation and key of `part` are filled; *cause is set on LIVE_READ_LOST and
// LIVE_READ_BROKEN.
enum live_read live_reader_next(struct live_reader *reader, const struct mp4_source *source,
    struct live_part *part, char **cause);
