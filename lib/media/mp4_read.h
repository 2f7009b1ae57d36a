// Reads a segment as the recorder writes it: fragmented MP4 (ISO/IEC 14496-12, 8.8), also one that
// was torn by a crash at any byte, and one that was sealed (completely or not). Pure: it asks for
// "bytes at offset" and does no I/O of its own; every size and count is checked before use.
#pragma once

#include <sys/types.h>

#include "lib/media/media.h"

struct mp4_source {
    // Fills `data` with exactly `size` bytes at `offset`. Returns 0, or -1 when they can not be
    // had.
    int (*read)(void *arg, uint64_t offset, void *data, size_t size);
    void *arg;
    uint64_t size; // of the file
};

// Where the parts of the file lie; what sealing and repairing need.
struct mp4_layout {
    uint64_t init_offset; // of the first moov (its header may have been overwritten by sealing)
    uint64_t init_size;
    uint8_t
        init_header[16]; // its first 16 bytes as the recorder wrote them, rebuilt where overwritten
    bool init_overwritten;    // they now are the header of a 64-bit mdat
    uint64_t media_offset;    // of the first sample's byte
    uint64_t media_end;       // behind the last whole sample; what follows is cut off by sealing
    uint64_t cut_mdat_offset; // header of a last mdat whose size reaches beyond media_end, else 0
    uint64_t cut_mdat_size;   // the size it must get
    uint64_t tail_offset;     // of a trailing moov (sealed, or an interrupted seal), else 0
    uint64_t tail_size;       // as its header says; it may reach beyond the file's end
};

// Parses all whole fragments, up to the last whole sample. Returns 0, or -1 with *cause set when
// the file holds no sample that could be played. A file that still grows is read up to its last
// whole fragment. `segment` must be released with media_segment_fini() after success.
int mp4_read(const struct mp4_source *source, struct media_segment *segment,
    struct mp4_layout *layout, char **cause);

// What sealing writes into the trailing moov beside the tables.
struct mp4_tags {
    char identity[192]; // CAMERA/STREAM/RUN-NNNNNN
    char node[256];
    int64_t start_us;
    int64_t end_us;
    int utc_offset_s; // of its name in the volume
};

// Reads the tags of a trailing moov. Returns 0, or -1 with *cause set.
int mp4_read_tags(const struct mp4_source *source, const struct mp4_layout *layout,
    struct mp4_tags *tags, char **cause);
