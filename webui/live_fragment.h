// A piece of a stream on its way to those who watch it: one movie fragment (ISO/IEC 14496-12, 8.8)
// of a segment file that is still being written, and the init that it needs. Both are shared by
// whoever has a reference, in any thread, and never changed.
//
// Each has its head in two forms of equal size: as the recorder wrote it, and with the boxes of the
// audio track renamed to `free`, so that nothing waits for sound that may fall silent.
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/core/buf.h"
#include "lib/media/codec.h"
#include "lib/media/media.h"
#include "lib/media/segment_id.h"

// What a player needs before the first fragment.
struct live_init {
    atomic_uint references;
    struct buf bytes;  // ftyp and moov
    struct buf silent; // the same without the audio track
    size_t track_count;
    struct live_track {
        enum media_kind kind;
        uint32_t id;
        uint32_t timescale;
        struct codec_info codec; // kind 0: not known
        size_t entry_offset;     // of the sample entry box in the bytes
        size_t entry_size;
    } tracks[MEDIA_TRACKS_MAX]; // video first, when there is one
};

// Makes an init of the bytes before the first fragment of a file. Returns NULL with *cause set when
// they are no such thing.
struct live_init *live_init_new(const void *data, size_t size, char **cause);
struct live_init *live_init_ref(struct live_init *init);
void live_init_unref(struct live_init *init);

// The track of that kind, or NULL.
const struct live_track *live_init_track(const struct live_init *init, enum media_kind kind);

// Whether a player that has the one can play what needs the other. NULL equals nothing.
bool live_init_equal(const struct live_init *a, const struct live_init *b);

// The codecs as a MIME type's parameter wants them (RFC 6381), "avc1.64001f,mp4a.40.2".
enum {
    LIVE_CODECS_SIZE = 160,
};
void live_init_codecs(const struct live_init *init, bool sound, char text[LIVE_CODECS_SIZE]);

// A segment file that is followed. It stays open as long as somebody may read from it, also when
// its name in the cache has gone.
struct live_file {
    atomic_uint references;
    int fd;
    struct segment_id id;
};

// Takes the descriptor.
struct live_file *live_file_new(const struct segment_id *id, int fd);
struct live_file *live_file_ref(struct live_file *file);
void live_file_unref(struct live_file *file);

// What is known of a fragment, apart from its bytes. RUN-NNNNNN and index name it for ever.
struct live_part {
    struct live_file *file;
    struct live_init *init;
    uint32_t index;  // in its file, from 0
    uint64_t offset; // of moof and mdat in the file
    uint32_t size;   // of both
    uint32_t moof_size;
    int64_t start_us; // where its presentation begins on the run's media clock
    int64_t duration_us;
    int64_t sound_end_us; // where its audio ends there; INT64_MIN: it has none
    bool has_video;
    bool key;            // begins with a key frame
    uint64_t continuity; // another one than before: the media clock does not run on from there
    uint64_t serial;     // counts all fragments of a stream, from 1, as long as it is followed
    int64_t appeared_us; // monotonic; when it could be read
};

void live_part_ref(const struct live_part *part);
void live_part_unref(const struct live_part *part);

enum {
    LIVE_TIMES_MAX = 4,
};

// A fragment with its bytes.
struct live_fragment {
    atomic_uint references;
    struct live_part part;
    struct buf bytes;       // moof and mdat
    struct buf silent_moof; // without the audio track
    size_t sequence_offset; // of mfhd's sequence_number in the moof; 0: it has none
    size_t time_count;
    struct live_time {
        size_t offset; // of a tfdt's baseMediaDecodeTime in the moof
        bool wide;     // it has 64 bits
        uint32_t timescale;
        uint64_t ticks;
    } times[LIVE_TIMES_MAX];
};

// Makes a fragment of a part's bytes, which it takes, and of the part, whose references it takes
// too. Returns NULL with *cause set, and with nothing taken, when the moof is none.
struct live_fragment *live_fragment_new(
    const struct live_part *part, struct buf *bytes, char **cause);
struct live_fragment *live_fragment_ref(struct live_fragment *fragment);

// Appends its moof with its times shifted (and never under 0), with or without the audio track.
// `sequence` becomes its number, unless it is 0.
void live_fragment_put_moof(const struct live_fragment *fragment, bool sound, uint32_t sequence,
    int64_t shift_us, struct buf *out);
void live_fragment_unref(struct live_fragment *fragment);
