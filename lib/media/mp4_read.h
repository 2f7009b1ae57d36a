// Reads a segment, in two forms of MP4 (ISO/IEC 14496-12): of fragments (8.8), as the recorder
// writes it, also torn by a crash at any byte, and sealed (completely or not); and plain, with its
// tables in the moov (8.5 to 8.7), as other recorders and cameras write it. Pure: it asks for
// "bytes at offset" and does no I/O of its own; every size and count is checked before use.
#pragma once

#include "lib/media/media.h"
#include "lib/media/mend.h"

struct mp4_source {
    // Fills `data` with exactly `size` bytes at `offset`. Returns 0, or -1 when they can not be
    // had.
    int (*read)(void *arg, uint64_t offset, void *data, size_t size);
    void *arg;
    uint64_t size; // of the file
    bool growing;  // it is still written to: its last fragment counts when it is whole, else not
};

// Where the parts of the file lie; what sealing and repairing need.
struct mp4_layout {
    bool plain;   // the moov's tables name all samples: sealing makes that moov a free box
    bool empty;   // with a failure of mp4_read(): there is no byte of media, so nothing is lost
    bool foreign; // its moov is not such that sealing could be undone: leave it as it is
    uint64_t init_offset; // of the first moov (its header may have been overwritten by sealing)
    uint64_t init_size;
    uint8_t
        init_header[16]; // its first 16 bytes as the recorder wrote them, rebuilt where overwritten
    bool init_overwritten; // they now are the header of a 64-bit mdat, or of a free box
    uint64_t media_offset; // of the first byte of any sample
    uint64_t media_end;    // behind the last whole sample, and what describes it; what follows is
                           // cut off by sealing
    uint64_t cut_mdat_offset; // header of a last mdat whose size is not media_end's, else 0
    uint64_t cut_mdat_size;   // the size it must get
    bool cut_mdat_wide;       // its header is 16 bytes long: the size stands in the last 8
    uint64_t tail_offset;     // of a trailing moov (sealed, or an interrupted seal), else 0
    uint64_t tail_size;       // as its header says; it may reach beyond the file's end
    uint32_t skipped; // fragments before media_end that were not believed, tracks that end early
    struct {
        uint64_t ntp;    // 0: it has none
        uint32_t track;  // index of the track that it belongs to
        uint32_t sample; // index of that track's first sample in the fragment
    } reference;         // the producer reference time (8.16.5) of the last fragment
};

// Finds all samples whose bytes are there, track by track up to the first that is not whole.
// Returns 0, or -1 with *cause set when the file holds no sample that could be played. `segment`
// must be released with media_segment_fini() after success.
//
// Durations come from the fragments' runs; where a fragment's decode time (tfdt) says otherwise,
// the sample before it lasts longer or shorter, but one tick at least. A track begins where the
// empty edits and the first other edit of its list put it (8.6.6); what later edits would cut or
// repeat stays as it is in the file. A track has one sample entry, the one that its first sample
// has: it ends before a chunk of another, and a fragment of another is not believed.
int mp4_read(const struct mp4_source *source, struct media_segment *segment,
    struct mp4_layout *layout, char **cause);

// The 16 bytes that sealing writes over the beginning of the first moov, at init_offset: the header
// of one mdat that spans everything up to media_end, where the trailing moov begins; in a plain
// file the moov's own, as a free box (8.1.2).
void mp4_sealed_header(const struct mp4_layout *layout, uint8_t header[16]);

// The header that a last mdat must get when it is cut, or has no size of its own (cut_mdat_offset
// is not 0). Returns its size, 8 or 16. It must be durable before a trailing moov is appended:
// otherwise the fragment would claim the moov's bytes after a power cut.
size_t mp4_cut_header(const struct mp4_layout *layout, uint8_t header[16]);

// What sealing writes into the trailing moov beside the tables.
struct mp4_tags {
    char identity[192]; // CAMERA/STREAM/RUN-NNNNNN
    char node[256];
    int64_t start_us;
    int64_t end_us;
    int utc_offset_s; // of its name in the volume
    struct mend mend; // what makes its times of those of the fragments
};

// Reads the tags of a trailing moov. Returns 0, or -1 with *cause set.
int mp4_read_tags(const struct mp4_source *source, const struct mp4_layout *layout,
    struct mp4_tags *tags, char **cause);
