// Reads a virtual file: tries without waiting, loads with. See vfile.h.
#include "lib/media/vfile.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/core/alloc.h"
#include "lib/media/vfile_parts.h"

enum {
    VFILE_WINDOW_SIZE = 256 * 1024,
    VFILE_FILES = 16, // descriptors that a reader holds, opened ahead of their turn
    VFILE_READ_AHEAD = 4 * 1024 * 1024,
};

struct vfile_extent {
    uint64_t base; // from the piece's beginning
    uint64_t offset;
    uint64_t size;
};

struct vfile_reader {
    const struct vfile *file;
    // Bytes that were made or read by the last load.
    struct buf window;
    uint64_t window_offset;
    // Open segment files: that of piece i stands at i modulo the number of places.
    struct vfile_open {
        size_t piece;
        int fd; // -1: free
    } open[VFILE_FILES];
    bool blocks; // the file system can not tell what it has cached: every read is loaded
    // The chunks of a sparse piece.
    struct vfile_extent *extents;
    size_t extent_count;
    size_t extent_piece;
    size_t piece; // where the last media read was
};

struct vfile_reader *vfile_reader_new(const struct vfile *file)
{
    struct vfile_reader *reader = xcalloc(1, sizeof(*reader));
    reader->file = file;
    for (int i = 0; i < VFILE_FILES; i++)
        reader->open[i].fd = -1;
    return reader;
}

static void vfile_reader_close(struct vfile_open *place)
{
    if (place->fd >= 0)
        close(place->fd);
    place->fd = -1;
}

void vfile_reader_free(struct vfile_reader *reader)
{
    if (reader == NULL)
        return;
    for (int i = 0; i < VFILE_FILES; i++)
        vfile_reader_close(&reader->open[i]);
    buf_fini(&reader->window);
    free(reader->extents);
    free(reader);
}

// Where in its file the byte `offset` of the piece stands, and how many follow it there. False when
// the piece's chunks are not known yet.
static bool vfile_reader_locate(const struct vfile_reader *reader, size_t index, uint64_t offset,
    uint64_t *file_offset, uint64_t *available)
{
    const struct vfile_piece *piece = &reader->file->plan.pieces[index];
    if (!piece->sparse) {
        *file_offset = piece->file_offset + offset;
        *available = piece->size - offset;
        return true;
    }
    if (reader->extents == NULL || reader->extent_piece != index)
        return false;
    size_t low = 0, high = reader->extent_count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (reader->extents[middle].base <= offset)
            low = middle;
        else
            high = middle;
    }
    const struct vfile_extent *extent = &reader->extents[low];
    *file_offset = extent->offset + (offset - extent->base);
    *available = extent->size - (offset - extent->base);
    return true;
}

// Finds the media byte `offset` of the media part. Consecutive reads stay in one piece mostly.
static size_t vfile_reader_piece(struct vfile_reader *reader, uint64_t offset)
{
    const struct vfile_plan *plan = &reader->file->plan;
    const struct vfile_piece *piece = &plan->pieces[reader->piece];
    if (offset < piece->base || offset - piece->base >= piece->size)
        reader->piece = vfile_find_piece(
            reader->file, &reader->file->parts[reader->file->part_count - 1], offset);
    return reader->piece;
}

static ssize_t vfile_reader_short(const struct vfile_piece *piece, char **cause)
{
    *cause = xasprintf("segment %zu of the range: its file ended early", piece->segment);
    return -1;
}

// Reads media without waiting for the disk; 0 when it would wait.
static ssize_t vfile_reader_try_media(
    struct vfile_reader *reader, uint64_t offset, void *data, size_t size, char **cause)
{
    size_t index = vfile_reader_piece(reader, offset);
    const struct vfile_piece *piece = &reader->file->plan.pieces[index];
    const struct vfile_open *place = &reader->open[index % VFILE_FILES];
    uint64_t file_offset, available;
    if (reader->blocks || place->fd < 0 || place->piece != index ||
        !vfile_reader_locate(reader, index, offset - piece->base, &file_offset, &available))
        return 0;
    struct iovec vector = {data, size < available ? size : (size_t)available};
    ssize_t got;
    do
        got = preadv2(place->fd, &vector, 1, (off_t)file_offset, RWF_NOWAIT);
    while (got < 0 && errno == EINTR);
    if (got > 0)
        return got;
    if (got == 0)
        return vfile_reader_short(piece, cause);
    if (errno == EAGAIN)
        return 0;
    if (errno == EOPNOTSUPP || errno == ENOSYS) {
        reader->blocks = true;
        return 0;
    }
    *cause = xasprintf("segment %zu of the range: %s", piece->segment, strerror(errno));
    return -1;
}

ssize_t vfile_reader_try(
    struct vfile_reader *reader, uint64_t offset, void *data, size_t size, char **cause)
{
    const struct vfile *file = reader->file;
    assert(offset < file->info.size);
    if (offset >= reader->window_offset && offset - reader->window_offset < reader->window.size) {
        size_t at = (size_t)(offset - reader->window_offset);
        size_t count = reader->window.size - at < size ? reader->window.size - at : size;
        memcpy(data, reader->window.data + at, count);
        // A slow client must not keep what it has had.
        if (at + count == reader->window.size)
            buf_fini(&reader->window);
        return (ssize_t)count;
    }
    const struct vfile_part *part = vfile_find_part(file, offset);
    if (part->kind == VFILE_MEDIA)
        return vfile_reader_try_media(reader, offset - part->offset, data, size, cause);
    if (part->kind != VFILE_HEAD)
        return 0;
    size_t at = (size_t)(offset - part->offset);
    size_t count = part->size - at < size ? (size_t)part->size - at : size;
    memcpy(data, file->heads.data + part->head + at, count);
    return (ssize_t)count;
}

// --- Loading ---

static struct mp4_span vfile_span_of(const struct vfile *file, const struct vfile_piece *piece,
    int kind, const struct sample_table_track *samples)
{
    const struct vfile_span *span = &piece->spans[kind];
    return (struct mp4_span){.samples = samples,
        .first = span->first,
        .count = span->count,
        .last_duration = span->last_duration,
        .composition_shift = span->composition_shift,
        .entry = span->entry,
        .sample_base = span->base.samples,
        .chunk_base = span->base.chunks,
        .offset_shift = (int64_t)(file->media_offset + piece->base) - (int64_t)piece->file_offset};
}

// Calls `fn` for each chunk of a span: a run of samples that lie one behind the other.
static void vfile_each_chunk(const struct vfile_span *span, const struct sample_table_track *track,
    void (*fn)(void *arg, uint64_t offset, uint64_t size), void *arg)
{
    uint64_t offset = 0, size = 0;
    bool any = false;
    struct sample_iter iter;
    sample_iter_init(&iter, track);
    for (const struct sample *sample; (sample = sample_iter_next(&iter)) != NULL;) {
        if (sample->index < span->first)
            continue;
        if (sample->index - span->first >= span->count)
            break;
        if (sample->chunk_start || !any) {
            if (any)
                fn(arg, offset, size);
            offset = sample->offset;
            size = 0;
            any = true;
        }
        size += sample->size;
    }
    if (any)
        fn(arg, offset, size);
}

struct vfile_chunk_sink {
    struct buf *buf;
    uint64_t place;
    struct vfile_reader *reader;
    size_t capacity;
};

static void vfile_put_chunk(void *arg, uint64_t offset, uint64_t size)
{
    (void)offset;
    struct vfile_chunk_sink *sink = arg;
    buf_put_u64(sink->buf, sink->place);
    sink->place += size;
}

static void vfile_add_extent(void *arg, uint64_t offset, uint64_t size)
{
    struct vfile_chunk_sink *sink = arg;
    struct vfile_reader *reader = sink->reader;
    ARRAY_RESERVE(reader->extents, reader->extent_count, sink->capacity);
    reader->extents[reader->extent_count++] = (struct vfile_extent){sink->place, offset, size};
    sink->place += size;
}

// Appends one span's body of a table to the window.
static int vfile_make_body(struct vfile_reader *reader, const struct vfile_source *source,
    const struct vfile_part *part, size_t index, char **cause)
{
    const struct vfile *file = reader->file;
    const struct vfile_plan *plan = &file->plan;
    const struct vfile_piece *piece = &plan->pieces[index];
    const struct vfile_span *span = &piece->spans[part->track];
    const struct track_counts *end = index + 1 < plan->piece_count
                                         ? &plan->pieces[index + 1].spans[part->track].base
                                         : &plan->tracks[part->track].counts;
    const struct mp4_track *track = &file->tracks[part->track];
    uint64_t expected = mp4_table_body_size(track, end, part->table) -
                        mp4_table_body_size(track, &span->base, part->table);
    const struct sample_table *table = source->table(source->arg, piece->segment, cause);
    if (table == NULL)
        return -1;
    const struct sample_table_track *samples = sample_table_track(table, track->kind);
    size_t before = reader->window.size;
    if (samples != NULL && samples->sample_count >= span->first &&
        samples->sample_count - span->first >= span->count) {
        struct mp4_span bytes = vfile_span_of(file, piece, part->track, samples);
        struct vfile_chunk_sink sink = {
            .buf = &reader->window, .place = file->media_offset + piece->base};
        if (part->table == MP4_CO64 && piece->sparse)
            vfile_each_chunk(span, samples, vfile_put_chunk, &sink);
        else
            mp4_put_table_body(&reader->window, &bytes, part->table);
    }
    if (reader->window.size - before == expected)
        return 0;
    *cause = xasprintf(
        "segment %zu of the range: its sample table does not agree with its row", piece->segment);
    return -1;
}

// Makes table bodies from the span that holds `offset` (of the part) on, as many as fill a window.
static int vfile_load_table(struct vfile_reader *reader, const struct vfile_source *source,
    const struct vfile_part *part, uint64_t offset, char **cause)
{
    const struct vfile *file = reader->file;
    size_t index = vfile_find_piece(file, part, offset);
    const struct vfile_span *span = &file->plan.pieces[index].spans[part->track];
    reader->window_offset =
        part->offset + mp4_table_body_size(&file->tracks[part->track], &span->base, part->table);
    for (; index < file->plan.piece_count && reader->window.size < VFILE_WINDOW_SIZE; index++) {
        if (file->plan.pieces[index].spans[part->track].count == 0)
            continue;
        if (vfile_make_body(reader, source, part, index, cause) < 0)
            return -1;
    }
    return 0;
}

// Opens the file of a piece, unless it is open, and checks that it is as long as it must be.
static int vfile_reader_open(
    struct vfile_reader *reader, const struct vfile_source *source, size_t index, char **cause)
{
    const struct vfile_piece *piece = &reader->file->plan.pieces[index];
    struct vfile_open *place = &reader->open[index % VFILE_FILES];
    if (place->fd >= 0 && place->piece == index)
        return 0;
    vfile_reader_close(place);
    int fd = source->open(source->arg, piece->segment, cause);
    if (fd < 0)
        return -1;
    struct stat info;
    if (fstat(fd, &info) < 0 || !S_ISREG(info.st_mode) || info.st_size < 0 ||
        (uint64_t)info.st_size < piece->file_end) {
        close(fd);
        return (int)vfile_reader_short(piece, cause);
    }
    posix_fadvise(fd, (off_t)piece->file_offset, 0, POSIX_FADV_SEQUENTIAL);
    *place = (struct vfile_open){index, fd};
    return 0;
}

// Opens the file that is wanted now, and those that come next: whatever happens to their names
// afterwards, their bytes stay.
static int vfile_reader_open_ahead(
    struct vfile_reader *reader, const struct vfile_source *source, size_t index, char **cause)
{
    const struct vfile_open *place = &reader->open[index % VFILE_FILES];
    if (place->fd >= 0 && place->piece == index)
        return 0;
    if (vfile_reader_open(reader, source, index, cause) < 0)
        return -1;
    size_t end = index + VFILE_FILES;
    for (size_t i = index + 1; i < end && i < reader->file->plan.piece_count; i++) {
        char *ignored = NULL;
        if (vfile_reader_open(reader, source, i, &ignored) < 0)
            free(ignored); // it is tried again, and told, when its turn comes
    }
    return 0;
}

static int vfile_load_extents(
    struct vfile_reader *reader, const struct vfile_source *source, size_t index, char **cause)
{
    const struct vfile_piece *piece = &reader->file->plan.pieces[index];
    if (!piece->sparse || (reader->extents != NULL && reader->extent_piece == index))
        return 0;
    free(reader->extents);
    reader->extents = NULL;
    reader->extent_count = 0;
    reader->extent_piece = index;
    const struct sample_table *table = source->table(source->arg, piece->segment, cause);
    if (table == NULL)
        return -1;
    const struct sample_table_track *track = sample_table_track(table, MEDIA_VIDEO);
    struct vfile_chunk_sink sink = {.reader = reader};
    if (track != NULL)
        vfile_each_chunk(&piece->spans[VFILE_VIDEO], track, vfile_add_extent, &sink);
    if (sink.place == piece->size && reader->extent_count > 0)
        return 0;
    *cause = xasprintf(
        "segment %zu of the range: its sample table does not agree with its row", piece->segment);
    return -1;
}

// Reads a window of media, waiting for the disk.
static int vfile_load_media(
    struct vfile_reader *reader, const struct vfile_source *source, uint64_t offset, char **cause)
{
    size_t index = vfile_reader_piece(reader, offset);
    const struct vfile_piece *piece = &reader->file->plan.pieces[index];
    if (vfile_load_extents(reader, source, index, cause) < 0 ||
        vfile_reader_open_ahead(reader, source, index, cause) < 0)
        return -1;
    int fd = reader->open[index % VFILE_FILES].fd;
    uint64_t at = offset - piece->base, file_offset, available;
    while (at < piece->size && reader->window.size < VFILE_WINDOW_SIZE &&
           vfile_reader_locate(reader, index, at, &file_offset, &available)) {
        size_t want = VFILE_WINDOW_SIZE - reader->window.size;
        if (want > available)
            want = (size_t)available;
        uint8_t *place = buf_extend(&reader->window, want);
        ssize_t got = pread(fd, place, want, (off_t)file_offset);
        reader->window.size -= want - (got > 0 ? (size_t)got : 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            *cause = xasprintf("segment %zu of the range: %s", piece->segment, strerror(errno));
            return -1;
        }
        if (got == 0)
            return (int)vfile_reader_short(piece, cause);
        at += (size_t)got;
        if (at == piece->size || reader->window.size == VFILE_WINDOW_SIZE)
            posix_fadvise(
                fd, (off_t)(file_offset + (size_t)got), VFILE_READ_AHEAD, POSIX_FADV_WILLNEED);
    }
    return 0;
}

int vfile_reader_load(
    struct vfile_reader *reader, const struct vfile_source *source, uint64_t offset, char **cause)
{
    const struct vfile_part *part = vfile_find_part(reader->file, offset);
    reader->window.size = 0;
    reader->window_offset = offset;
    int result = 0;
    if (part->kind == VFILE_TABLE)
        result = vfile_load_table(reader, source, part, offset - part->offset, cause);
    else if (part->kind == VFILE_MEDIA)
        result = vfile_load_media(reader, source, offset - part->offset, cause);
    if (result < 0)
        buf_fini(&reader->window);
    return result;
}
