// A virtual file: any range of a stream's footage as one MP4 that exists nowhere as a whole. Its
// head (ftyp, moov) is made on demand from the packed sample tables, its media lies in the segment
// files. The exact size is known as soon as it is laid out; until bytes are wanted, only the tables
// of segments that are trimmed or overlap have been looked at.
//
// Laying out is vfile_new(); reading is a vfile_reader of one response: vfile_reader_try() never
// blocks and says when it would, then vfile_reader_load() brings what is missing, in a thread that
// may block. This file knows neither catalog nor clock nor HTTP; it gets at tables and files
// through struct vfile_source.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/media/media.h"
#include "lib/media/mp4_write.h"
#include "lib/media/portion_media.h"
#include "lib/media/samples.h"
#include "lib/media/silence.h"

// Of the bytes that a layout gives. A change of them makes other entity tags.
#define VFILE_FORMAT_VERSION 3

// Index of a kind's track in the arrays below.
enum {
    VFILE_VIDEO = 0,
    VFILE_AUDIO = 1,
};

// A segment that a virtual file may draw from.
struct vfile_segment {
    int64_t run;
    uint32_t number;
    int64_t start_us; // UTC of its presentation span
    int64_t end_us;
    uint64_t media_offset; // of the first and behind the last sample's byte in its file
    uint64_t media_end;
    struct track_summary tracks[MEDIA_TRACKS_MAX]; // counts.samples is 0: it has no such track
    uint32_t entries[MEDIA_TRACKS_MAX];            // 1-based, into the request's sample entries
};

struct vfile_request {
    // Ascending by start. Those that lie before the range serve only as a lead-in, where the first
    // frame shown can not be decoded without them; give the one before the range if there is one.
    const struct vfile_segment *segments;
    size_t segment_count;
    int64_t start_us;
    int64_t end_us;
    bool audio;        // false: not one byte of audio is in the file
    bool start_at_key; // begin at the key frame and hide nothing
    struct vfile_entries {
        const struct mp4_entry *items;
        size_t count;
    } entries[MEDIA_TRACKS_MAX];
    uint32_t width; // of the largest picture
    uint32_t height;
};

// How a virtual file gets at what lies outside it; both may block. `segment` is an index into the
// request's segments.
struct vfile_source {
    // The opened sample table, valid until the next call. NULL with *cause set on failure.
    const struct sample_table *(*table)(void *arg, size_t segment, char **cause);
    // A descriptor that is open for reading, the caller's to close. -1 with *cause set on failure.
    int (*open)(void *arg, size_t segment, char **cause);
    void *arg;
};

struct vfile;

// What the file shows.
struct vfile_info {
    uint64_t size;
    int64_t start_us; // of the first frame shown
    int64_t end_us;
    int64_t lead_in_us; // media before it that the edit list hides
    int64_t skipped_us; // time inside the range that is left out, because there is no footage
    int64_t silence_us; // of sound that was made, because there is none
    int64_t dropped_us; // of sound that is left out, because it overlaps
    int64_t duration_us;
    size_t first; // the request's segments from which bytes are taken
    size_t last;
};

// Lays a file out. The request is not kept. Returns NULL with *cause set when there is no video in
// the range, a table can not be had, or the segments can not stand in one file.
struct vfile *vfile_new(
    const struct vfile_request *request, const struct vfile_source *source, char **cause);
void vfile_free(struct vfile *file);

// The same for a portion of one segment, as a fragment of its own: what the media takes from a
// file, it takes from segment 0. `silence` may be empty when there is none in the media.
struct vfile *vfile_new_portion(
    const struct portion_media *media, const struct silence *silence, char **cause);

enum {
    VFILE_STILL_SCALE = 90000, // ticks in a second of a file of key frames
    VFILE_STILLS_MAX = 1 << 16,
};

// The same of key frames alone, each decoded by itself and shown for its duration; of the request
// only segments, video entries and picture size count.
struct stills;
struct vfile *vfile_new_stills(const struct vfile_request *request, const struct stills *stills,
    const struct vfile_source *source, char **cause);

const struct vfile_info *vfile_info(const struct vfile *file);

// A stretch of the presentation: a segment's part of it, which lasts until the next segment's
// begins, or silence that was made.
struct vfile_stretch {
    bool silence;
    size_t segment;      // index into the request's segments
    int64_t media_us;    // its beginning; before zero where it begins with what is hidden
    int64_t duration_us; // of silence
};

// They are numbered in the order of the file's bytes: each kind ascends by time.
size_t vfile_stretch_count(const struct vfile *file);
void vfile_stretch_get(const struct vfile *file, size_t index, struct vfile_stretch *stretch);

// Bytes of memory that the layout holds.
size_t vfile_memory(const struct vfile *file);

struct vfile_reader;

// Reads a file, which must outlive it. One thread at a time.
struct vfile_reader *vfile_reader_new(const struct vfile *file);
void vfile_reader_free(struct vfile_reader *reader);

// Copies up to `size` bytes at `offset`, which must lie inside the file. Never blocks: returns 0
// when the bytes must be loaded first, else their number; -1 with *cause set when they can not be
// had (a segment file that is shorter than it was).
ssize_t vfile_reader_try(
    struct vfile_reader *reader, uint64_t offset, void *data, size_t size, char **cause);

// Whether the byte at `offset` is media; *segment is then the request's segment that has it.
bool vfile_media_segment(const struct vfile *file, uint64_t offset, size_t *segment);

// Brings the bytes at `offset` within reach of the next vfile_reader_try(). May block. Returns 0,
// or -1 with *cause set.
int vfile_reader_load(
    struct vfile_reader *reader, const struct vfile_source *source, uint64_t offset, char **cause);

// UTC ↔ media time. Inside a segment the media clock is bent linearly to the span that it was
// placed at; media times are ticks of the video track on the run's clock.
int64_t vfile_media_time(const struct vfile_segment *segment, int64_t time_us);
int64_t vfile_wall_time(const struct vfile_segment *segment, int64_t media_time);
