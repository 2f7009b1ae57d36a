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
    struct vfile_extents extents; // of the last piece that needed them
    size_t piece;                 // where the last media read was
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
    vfile_extents_fini(&reader->extents);
    free(reader);
}

// Where the byte `offset` of the piece stands, and how many follow it there.
struct vfile_location {
    const uint8_t *made; // NULL: in the segment file
    uint64_t file_offset;
    uint64_t available;
};

// False when the piece's extents are not known yet.
static bool vfile_reader_locate(const struct vfile_reader *reader, size_t index, uint64_t offset,
    struct vfile_location *location)
{
    const struct vfile_plan *plan = &reader->file->plan;
    const struct vfile_piece *piece = &plan->pieces[index];
    if (piece->kind == PIECE_SILENCE) {
        const struct vfile_made *made = vfile_piece_made(plan, piece);
        uint64_t at = offset % made->size;
        *location = (struct vfile_location){.made = made->data + at, .available = made->size - at};
        return true;
    }
    uint32_t prefix =
        piece->kind == PIECE_STILL && piece->prefixed ? vfile_piece_made(plan, piece)->size : 0;
    if (offset < prefix) {
        *location = (struct vfile_location){
            .made = vfile_piece_made(plan, piece)->data + offset, .available = prefix - offset};
        return true;
    }
    if (piece->kind == PIECE_STILL || (!piece->sparse && !piece->prefixed)) {
        *location = (struct vfile_location){
            .file_offset = piece->file_offset + offset - prefix, .available = piece->size - offset};
        return true;
    }
    if (reader->extents.count == 0 || reader->extents.piece != index)
        return false;
    const struct vfile_extent *extent = vfile_extents_find(&reader->extents, offset);
    uint64_t at = offset - extent->base;
    *location =
        (struct vfile_location){.file_offset = extent->offset + at, .available = extent->size - at};
    if (extent->offset == VFILE_MADE)
        location->made = vfile_piece_made(plan, piece)->data + at;
    return true;
}

// Finds the media byte `offset` of the media part. Consecutive reads stay in one piece mostly.
static size_t vfile_reader_piece(struct vfile_reader *reader, uint64_t offset)
{
    const struct vfile_piece *piece = &reader->file->plan.pieces[reader->piece];
    if (offset < piece->base || offset - piece->base >= piece->size)
        reader->piece = vfile_find_piece(reader->file, offset);
    return reader->piece;
}

static ssize_t vfile_reader_short(const struct vfile_piece *piece, char **cause)
{
    *cause = xasprintf("segment %zu of the range: its file ended early", piece->segment);
    return -1;
}

// Reads a segment file without waiting for the disk; 0 when it would wait.
static ssize_t vfile_reader_try_file(
    struct vfile_reader *reader, size_t index, uint64_t offset, struct iovec vector, char **cause)
{
    const struct vfile_piece *piece = &reader->file->plan.pieces[index];
    const struct vfile_open *place = &reader->open[index % VFILE_FILES];
    if (reader->blocks || place->fd < 0 || place->piece != index)
        return 0;
    ssize_t got;
    do
        got = preadv2(place->fd, &vector, 1, (off_t)offset, RWF_NOWAIT);
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

// Reads media without waiting; 0 when it would wait.
static ssize_t vfile_reader_try_media(
    struct vfile_reader *reader, uint64_t offset, void *data, size_t size, char **cause)
{
    size_t index = vfile_reader_piece(reader, offset);
    const struct vfile_piece *piece = &reader->file->plan.pieces[index];
    struct vfile_location at;
    if (!vfile_reader_locate(reader, index, offset - piece->base, &at))
        return 0;
    size = size < at.available ? size : (size_t)at.available;
    if (at.made == NULL)
        return vfile_reader_try_file(
            reader, index, at.file_offset, (struct iovec){data, size}, cause);
    memcpy(data, at.made, size);
    return (ssize_t)size;
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

// Makes table bodies from the span that holds `offset` (of the part) on, as many as fill a window.
static int vfile_load_table(struct vfile_reader *reader, const struct vfile_source *source,
    const struct vfile_part *part, uint64_t offset, char **cause)
{
    const struct vfile *file = reader->file;
    const struct vfile_track_plan *plan = &file->plan.tracks[part->track];
    size_t index = vfile_find_span(file, part, offset);
    reader->window_offset = part->offset + mp4_table_body_size(&file->tracks[part->track],
                                               &plan->spans[index].base, part->table);
    for (; index < plan->span_count && reader->window.size < VFILE_WINDOW_SIZE; index++)
        if (vfile_put_table(file, source, part, index, &reader->window, cause) < 0)
            return -1;
    return 0;
}

// Opens the file of a piece, unless it is open, and checks that it is as long as it must be.
static int vfile_reader_open(
    struct vfile_reader *reader, const struct vfile_source *source, size_t index, char **cause)
{
    const struct vfile_piece *piece = &reader->file->plan.pieces[index];
    struct vfile_open *place = &reader->open[index % VFILE_FILES];
    if (piece->kind == PIECE_SILENCE || (place->fd >= 0 && place->piece == index))
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
    if (piece->kind == PIECE_STILL) // its neighbours are not wanted
        posix_fadvise(fd, (off_t)piece->file_offset, (off_t)(piece->file_end - piece->file_offset),
            POSIX_FADV_WILLNEED);
    else
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
    bool silence = reader->file->plan.pieces[index].kind == PIECE_SILENCE;
    if (silence || (place->fd >= 0 && place->piece == index))
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

// Reads from a segment file into the window, as much as `at` has there and the window wants.
// Returns the number of bytes, or -1 with *cause set.
static ssize_t vfile_load_file(struct vfile_reader *reader, size_t index,
    const struct vfile_location *at, size_t want, char **cause)
{
    const struct vfile_piece *piece = &reader->file->plan.pieces[index];
    int fd = reader->open[index % VFILE_FILES].fd;
    uint8_t *place = buf_extend(&reader->window, want);
    ssize_t got;
    do
        got = pread(fd, place, want, (off_t)at->file_offset);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        *cause = xasprintf("segment %zu of the range: %s", piece->segment, strerror(errno));
    reader->window.size -= want - (got > 0 ? (size_t)got : 0);
    return got != 0 ? got : vfile_reader_short(piece, cause);
}

// Reads a window of one piece's media, waiting for the disk.
static int vfile_load_media(
    struct vfile_reader *reader, const struct vfile_source *source, uint64_t offset, char **cause)
{
    size_t index = vfile_reader_piece(reader, offset);
    const struct vfile_piece *piece = &reader->file->plan.pieces[index];
    bool known = reader->extents.count > 0 && reader->extents.piece == index;
    bool made = piece->sparse || (piece->prefixed && piece->kind == PIECE_SEGMENT);
    if (made && !known &&
        vfile_extents_load(&reader->extents, reader->file, source, index, cause) < 0)
        return -1;
    if (vfile_reader_open_ahead(reader, source, index, cause) < 0)
        return -1;
    uint64_t at = offset - piece->base;
    struct vfile_location location;
    while (at < piece->size && reader->window.size < VFILE_WINDOW_SIZE &&
           vfile_reader_locate(reader, index, at, &location)) {
        size_t want = VFILE_WINDOW_SIZE - reader->window.size;
        want = want < location.available ? want : (size_t)location.available;
        ssize_t got = (ssize_t)want;
        if (location.made != NULL)
            buf_put(&reader->window, location.made, want);
        else
            got = vfile_load_file(reader, index, &location, want, cause);
        if (got < 0)
            return -1;
        at += (uint64_t)got;
        if (location.made == NULL && piece->kind != PIECE_STILL &&
            (at == piece->size || reader->window.size == VFILE_WINDOW_SIZE))
            posix_fadvise(reader->open[index % VFILE_FILES].fd,
                (off_t)(location.file_offset + (uint64_t)got), VFILE_READ_AHEAD,
                POSIX_FADV_WILLNEED);
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
