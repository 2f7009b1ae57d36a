// Any segments, however they overlap, contradict themselves or lie about their times, as a virtual
// file: it is refused with a cause, or every byte that it announces can be made and its boxes nest.
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/core/alloc.h"
#include "lib/media/vfile.h"
#include "tests/unit/entries.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    FUZZ_SEGMENTS = 4,
    FUZZ_FILE_SIZE = 1 << 20,
};

struct input {
    const uint8_t *data;
    size_t size;
};

static uint64_t take(struct input *input, size_t bytes)
{
    uint64_t value = 0;
    for (; bytes > 0 && input->size > 0; bytes--, input->size--)
        value = value << 8 | *input->data++;
    return value;
}

// Small, mostly; anything, sometimes.
static int64_t take_time(struct input *input)
{
    uint64_t form = take(input, 1);
    return form == 255  ? (int64_t)take(input, 8)
           : form > 200 ? (int64_t)take(input, 4)
                        : (int64_t)form * 900;
}

// A moment in UTC, up to some 9,000 years away; requests never hold others.
static int64_t take_moment(struct input *input)
{
    return take_time(input) % INT64_C(28000000000000000) * 10;
}

static struct {
    struct media_segment media[FUZZ_SEGMENTS];
    struct buf packed[FUZZ_SEGMENTS];
    struct vfile_segment segments[FUZZ_SEGMENTS];
    size_t count;
    struct sample_table table;
    int fd;
} fuzz;

static const struct sample_table *fuzz_table(void *arg, size_t segment, char **cause)
{
    (void)arg;
    const struct buf *packed = &fuzz.packed[segment];
    return sample_table_open(&fuzz.table, packed->data, packed->size, cause) == 0 ? &fuzz.table
                                                                                  : NULL;
}

static int fuzz_open(void *arg, size_t segment, char **cause)
{
    (void)arg;
    (void)segment;
    (void)cause;
    return dup(fuzz.fd);
}

static void take_track(
    struct input *input, struct media_track *track, enum media_kind kind, uint64_t *offset)
{
    size_t count = take(input, 1) % 24;
    *track = (struct media_track){.kind = kind, .id = kind, .start = take_time(input)};
    track->parameter_sets = kind == MEDIA_VIDEO && count % 5 == 0;
    track->timescale = kind == MEDIA_VIDEO ? 90000 : 16000;
    track->samples = xcalloc(count + 1, sizeof(track->samples[0]));
    for (size_t i = 0; i < count; i++) {
        uint8_t form = (uint8_t)take(input, 1);
        *offset += form & 1 ? take(input, 1) : 0;
        uint32_t bytes = (uint32_t)take(input, 1);
        track->samples[track->sample_count++] = (struct media_sample){.offset = *offset,
            .size = bytes,
            .duration = form & 2 ? (uint32_t)take_time(input) : 3600,
            .composition = form & 4   ? (int32_t)take_time(input)
                           : form & 8 ? -3600
                                      : 0,
            .key = form & 16};
        *offset += bytes;
    }
}

static void take_segment(struct input *input)
{
    struct media_segment *media = &fuzz.media[fuzz.count];
    struct vfile_segment *segment = &fuzz.segments[fuzz.count];
    uint64_t offset = 100, form = take(input, 1);
    media->track_count = 2;
    take_track(input, &media->tracks[0], MEDIA_VIDEO, &offset);
    take_track(input, &media->tracks[1], MEDIA_AUDIO, &offset);
    *segment = (struct vfile_segment){.run = form & 1,
        .number = (uint32_t)(form >> 4),
        .media_offset = 100,
        .media_end = offset,
        .entries = {1 + (form >> 1 & 1), 1 + (form >> 2 & 1)}};
    segment->start_us = form & 2 ? take_moment(input) : take_time(input);
    segment->end_us =
        form & 2 ? take_time(input) : segment->start_us + take_moment(input) % 1000000000;
    for (int kind = 0; kind < MEDIA_TRACKS_MAX; kind++)
        track_summarize(&media->tracks[kind], &segment->tracks[kind]);
    sample_table_encode(media, &fuzz.packed[fuzz.count++]);
    if (form & 32)
        segment->tracks[VFILE_VIDEO].sets = MEDIA_SETS_UNKNOWN;
    if (form & 4)
        segment->tracks[take(input, 1) & 1].timescale = (uint32_t)take(input, 4);
    if (form & 8)
        segment->tracks[take(input, 1) & 1].counts.duration = take(input, 8);
}

static int segment_compare(const void *left, const void *right)
{
    const struct vfile_segment *a = left, *b = right;
    return a->start_us < b->start_us ? -1 : a->start_us > b->start_us;
}

// Two configurations of H.264; AAC or Opus. With `bare`, entries of which nothing can be made.
static void make_entries(struct buf entries[4], bool opus, bool bare)
{
    static const uint8_t avc[2][16] = {
        {1, 100, 0, 30, 0xff, 0xe1, 0, 3, 0x67, 1, 2, 1, 0, 2, 0x68, 9},
        {1, 100, 0, 30, 0xff, 0xe1, 0, 3, 0x67, 1, 3, 1, 0, 2, 0x68, 9}};
    static const uint8_t aac[] = {0x14, 0x08};
    for (int i = 0; i < 2; i++) {
        entries[i] = entry_video(bare ? "mp4v" : "avc1", "avcC", avc[i], sizeof(avc[i]));
        entries[2 + i] = opus ? entry_opus(1, bare) : entry_aac(aac, bare ? 1 : sizeof(aac));
    }
}

// Reads it all, in order. Returns whether all of it could be had.
static bool read_all(const struct vfile *file, const struct vfile_source *source, uint8_t *data)
{
    struct vfile_reader *reader = vfile_reader_new(file);
    char *cause = NULL;
    uint64_t size = vfile_info(file)->size, at = 0;
    while (at < size) {
        ssize_t got = vfile_reader_try(reader, at, data + at, (size_t)(size - at), &cause);
        if (got == 0 && vfile_reader_load(reader, source, at, &cause) == 0)
            got = vfile_reader_try(reader, at, data + at, (size_t)(size - at), &cause);
        if (got <= 0)
            break;
        at += (uint64_t)got;
    }
    if (at < size && cause == NULL)
        abort();
    free(cause);
    vfile_reader_free(reader);
    return at == size;
}

// ftyp, moov and mdat fill the file.
static void check_boxes(const uint8_t *data, uint64_t size)
{
    static const char types[] = "ftypmoovmdat";
    uint64_t at = 0;
    for (int i = 0; i < 3; i++) {
        uint64_t length = 0;
        if (size - at < 16 || memcmp(data + at + 4, types + 4 * i, 4) != 0)
            abort();
        for (int b = 0; b < 4; b++)
            length = length << 8 | data[at + (uint64_t)b];
        for (int b = 8; length == 1 && b < 16; b++)
            length = (b == 8 ? 0 : length << 8) | data[at + (uint64_t)b];
        if (i == 2) {
            length = 0;
            for (int b = 8; b < 16; b++)
                length = length << 8 | data[at + (uint64_t)b];
        }
        if (length > size - at)
            abort();
        at += length;
    }
    if (at != size)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    if (fuzz.fd == 0) {
        fuzz.fd = memfd_create("fuzz", MFD_CLOEXEC);
        if (fuzz.fd < 0 || ftruncate(fuzz.fd, FUZZ_FILE_SIZE) < 0)
            abort();
    }
    uint8_t form = (uint8_t)take(&input, 1);
    struct buf entry[4];
    struct mp4_entry entries[4];
    make_entries(entry, form & 8, form & 16);
    for (int i = 0; i < 4; i++)
        entries[i] = (struct mp4_entry){entry[i].data, entry[i].size};
    struct vfile_request request = {.segments = fuzz.segments,
        .start_us = take_moment(&input),
        .audio = form & 1,
        .start_at_key = form & 2,
        .entries = {{entries, 2}, {entries + 2, 2}}};
    request.end_us = request.start_us + 1 + (take_time(&input) & INT64_C(0xffffffffff)) * 10;
    fuzz.count = 0;
    for (int i = 0; i <= form >> 2 % FUZZ_SEGMENTS && i < FUZZ_SEGMENTS; i++)
        take_segment(&input);
    // Tables stay where they were: then they belong to other segments, which is refused.
    if (!(form & 4))
        qsort(fuzz.segments, fuzz.count, sizeof(fuzz.segments[0]), segment_compare);
    request.segment_count = fuzz.count;

    const struct vfile_source source = {fuzz_table, fuzz_open, NULL};
    char *cause = NULL;
    struct vfile *file = vfile_new(&request, &source, &cause);
    if (file == NULL && cause == NULL)
        abort();
    free(cause);
    if (file != NULL && vfile_info(file)->size < (1 << 24)) {
        uint8_t *bytes = xmalloc(vfile_info(file)->size);
        if (read_all(file, &source, bytes))
            check_boxes(bytes, vfile_info(file)->size);
        free(bytes);
    }
    vfile_free(file);
    for (int i = 0; i < 4; i++)
        buf_fini(&entry[i]);
    for (size_t i = 0; i < fuzz.count; i++) {
        media_segment_fini(&fuzz.media[i]);
        buf_fini(&fuzz.packed[i]);
    }
    return 0;
}
