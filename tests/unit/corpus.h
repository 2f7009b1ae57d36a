// What tests of containers share: files of the corpus in memory, as a source that mp4_read() asks,
// and the packets that ffprobe found in them.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/core/alloc.h"
#include "lib/core/buf.h"
#include "lib/core/fsutil.h"
#include "lib/media/mp4_read.h"

static const char *const corpus_files[] = {"h264-000000", "h264-000001", "h264-b-aac-000000",
    "h264-b-aac-000001", "h265-000000", "h265-000001"};

// Files of other writers: plain ones, and fragments of other kinds.
static const char *const corpus_plain[] = {"plain-h264-aac", "plain-h264-front",
    "plain-h264-negative", "plain-h265-mp3", "plain-av1-opus", "plain-mjpeg-aac", "plain-sound",
    "plain-h264-inband"};
static const char *const corpus_fragments[] = {"frag-av1-opus", "frag-mjpeg-mp3",
    "frag-base-offset", "frag-mixed-moov", "frag-every-frame", "frag-cmaf", "frag-dash-sidx",
    "frag-separate"};

static inline int memory_read(void *arg, uint64_t offset, void *data, size_t size)
{
    const struct buf *file = arg;
    assert_true(offset <= file->size && size <= file->size - offset);
    memcpy(data, file->data + offset, size);
    return 0;
}

static inline struct mp4_source memory_source(struct buf *file)
{
    return (struct mp4_source){.read = memory_read, .arg = file, .size = file->size};
}

// A file of the corpus; release with buf_fini().
static inline struct buf corpus_load(const char *name, const char *suffix)
{
    char *path = xasprintf("%s/%s%s", CORPUS_DIR, name, suffix);
    char *cause = NULL;
    struct buf file = BUF_INIT;
    file.data = (uint8_t *)fs_read_file(path, 1 << 20, &file.size, &cause);
    if (file.data == NULL)
        fail_msg("%s", cause);
    file.capacity = file.size + 1;
    free(path);
    return file;
}

struct packet {
    enum media_kind kind;
    int64_t pts;
    int64_t dts;
    uint32_t size;
    uint64_t offset;
    bool key;
};

// The packets of one kind, in file order; release with free().
static inline struct packet *corpus_packets(const char *name, enum media_kind kind, size_t *count)
{
    struct buf text = corpus_load(name, ".packets");
    struct packet *packets = NULL;
    size_t capacity = 0;
    *count = 0;
    for (char *line = buf_string(&text), *end; *line != '\0'; line = end + 1) {
        struct packet packet = {0};
        char type[8], flags[8];
        end = strchr(line, '\n');
        assert_non_null(end);
        assert_int_equal(sscanf(line, "%7[^,],%ld,%ld,%u,%lu,%7[^\n]", type, &packet.pts,
                             &packet.dts, &packet.size, &packet.offset, flags),
            6);
        packet.kind = strcmp(type, "video") == 0 ? MEDIA_VIDEO : MEDIA_AUDIO;
        packet.key = flags[0] == 'K';
        if (packet.kind != kind)
            continue;
        ARRAY_RESERVE(packets, *count, capacity);
        packets[(*count)++] = packet;
    }
    buf_fini(&text);
    return packets;
}

// Reads, or fails the test with the reader's cause.
static inline void must_read(
    struct buf *file, struct media_segment *segment, struct mp4_layout *layout)
{
    struct mp4_source source = memory_source(file);
    char *cause = NULL;
    if (mp4_read(&source, segment, layout, &cause) != 0)
        fail_msg("%s", cause);
}

static inline void must_not_read(struct buf *file)
{
    struct mp4_source source = memory_source(file);
    struct media_segment segment;
    struct mp4_layout layout;
    char *cause = NULL;
    assert_int_equal(mp4_read(&source, &segment, &layout, &cause), -1);
    assert_non_null(cause);
    free(cause);
}

// Holds a track against ffprobe's packets that end at or before `end`. ffprobe adds the greatest
// negative composition offset to every presentation time, or, in a file with edit lists, takes it
// off every decode time.
static inline void check_packets(
    const struct media_segment *segment, const char *name, enum media_kind kind, uint64_t end)
{
    size_t count, whole = 0;
    struct packet *packets = corpus_packets(name, kind, &count);
    while (whole < count && packets[whole].offset + packets[whole].size <= end)
        whole++;
    const struct media_track *track = media_segment_track(segment, kind);
    assert_int_equal(track ? track->sample_count : 0, whole);
    int64_t time = track ? track->start : 0;
    int64_t shift = 0, before = 0;
    for (size_t i = 0; i < whole; i++) {
        const struct media_sample *sample = &track->samples[i];
        if (i == 0)
            shift = packets[0].pts - packets[0].dts - sample->composition;
        if (i == 0 && shift != 0 && time + sample->composition == packets[0].pts)
            before = shift;
        assert_int_equal(sample->offset, packets[i].offset);
        assert_int_equal(sample->size, packets[i].size);
        assert_int_equal(sample->key, packets[i].key);
        assert_int_equal(time, packets[i].dts + before);
        assert_int_equal(time + sample->composition + shift - before, packets[i].pts);
        time += sample->duration;
    }
    free(packets);
}

static inline void check_all_packets(
    const struct media_segment *segment, const char *name, uint64_t end)
{
    check_packets(segment, name, MEDIA_VIDEO, end);
    check_packets(segment, name, MEDIA_AUDIO, end);
}
