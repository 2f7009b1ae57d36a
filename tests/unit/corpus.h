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
