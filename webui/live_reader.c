// The whole fragments of a growing segment file. See live_reader.h.
#include "webui/live_reader.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/media/mp4_reader.h"

enum {
    TYPE_MOOV = MP4_TYPE('m', 'o', 'o', 'v'),
    TYPE_MOOF = MP4_TYPE('m', 'o', 'o', 'f'),
    TYPE_MDAT = MP4_TYPE('m', 'd', 'a', 't'),
};

void live_reader_fini(struct live_reader *reader)
{
    live_init_unref(reader->init);
    *reader = (struct live_reader){0};
}

// The header of the box at that place. Returns LIVE_READ_PART when it is there.
static enum live_read live_read_header(
    const struct mp4_source *source, uint64_t offset, struct mp4_file_box *box, char **cause)
{
    uint8_t data[16];
    if (offset > source->size || source->size - offset < 8)
        return LIVE_READ_WAIT;
    size_t have = source->size - offset < sizeof(data) ? 8 : sizeof(data);
    if (source->read(source->arg, offset, data, have) != 0)
        return LIVE_READ_WAIT;
    struct mp4_reader reader = mp4_reader_init(data, have);
    *box = (struct mp4_file_box){.offset = offset, .header_size = 8};
    box->size = mp4_reader_u32(&reader);
    box->type = mp4_reader_u32(&reader);
    if (box->size == 1) {
        if (have < sizeof(data))
            return LIVE_READ_WAIT;
        box->header_size = 16;
        box->size = mp4_reader_u64(&reader);
    }
    if (box->size >= box->header_size && box->size <= INT64_MAX / 4)
        return LIVE_READ_PART;
    *cause = xasprintf("there is no box at byte %" PRIu64, offset);
    return LIVE_READ_BROKEN;
}

static bool live_is_whole(const struct mp4_source *source, const struct mp4_file_box *box)
{
    return box->size <= source->size - box->offset;
}

// Whether a segment may have a box of this type between its fragments.
static bool live_may_skip(uint32_t type)
{
    return type == MP4_TYPE('f', 't', 'y', 'p') || type == MP4_TYPE('f', 'r', 'e', 'e') ||
           type == MP4_TYPE('s', 'k', 'i', 'p') || type == MP4_TYPE('s', 't', 'y', 'p') ||
           type == MP4_TYPE('s', 'i', 'd', 'x') || type == MP4_TYPE('e', 'm', 's', 'g') ||
           type == MP4_TYPE('p', 'r', 'f', 't') || type == MP4_TYPE('u', 'u', 'i', 'd');
}

// Reads everything up to the end of the moov. Returns LIVE_READ_PART when that is done.
static enum live_read live_read_init(struct live_reader *reader, const struct mp4_source *source,
    const struct mp4_file_box *moov, char **cause)
{
    uint64_t end = moov->offset + moov->size;
    if (end > LIVE_INIT_SIZE_MAX) {
        *cause = xasprintf("its moov is absurdly large (%" PRIu64 " bytes)", moov->size);
        return LIVE_READ_BROKEN;
    }
    if (!live_is_whole(source, moov))
        return LIVE_READ_WAIT;
    uint8_t *data = xmalloc((size_t)end);
    enum live_read result = LIVE_READ_WAIT;
    if (source->read(source->arg, 0, data, (size_t)end) == 0) {
        reader->init = live_init_new(data, (size_t)end, cause);
        reader->offset = end;
        result = reader->init != NULL ? LIVE_READ_PART : LIVE_READ_BROKEN;
    }
    free(data);
    return result;
}

// --- One fragment ---

// A file of the init and one fragment, as mp4_read() asks for it.
struct live_excerpt {
    const struct mp4_source *source;
    const struct buf *init;
    uint64_t offset; // of the fragment in the source
};

static int live_excerpt_read(void *arg, uint64_t offset, void *data, size_t size)
{
    const struct live_excerpt *excerpt = arg;
    uint8_t *out = data;
    if (offset < excerpt->init->size) {
        size_t left = excerpt->init->size - (size_t)offset;
        size_t head = size < left ? size : left;
        memcpy(out, excerpt->init->data + offset, head);
        out += head;
        size -= head;
        offset += head;
    }
    offset += excerpt->offset - excerpt->init->size;
    return size == 0 ? 0 : excerpt->source->read(excerpt->source->arg, offset, out, size);
}

static int64_t live_track_end_us(const struct media_track *track)
{
    int64_t end = track->start;
    for (size_t i = 0; i < track->sample_count; i++)
        end += track->samples[i].duration;
    return media_ticks_to_us(end, track->timescale);
}

static bool live_describe(
    const struct live_init *init, const struct media_segment *segment, struct live_part *part)
{
    const struct media_track *video = media_segment_track(segment, MEDIA_VIDEO);
    const struct media_track *audio = media_segment_track(segment, MEDIA_AUDIO);
    bool has_audio = audio != NULL && audio->sample_count > 0;
    part->has_video = video != NULL && video->sample_count > 0;
    part->key =
        part->has_video ? video->samples[0].key : live_init_track(init, MEDIA_VIDEO) == NULL;
    part->sound_end_us = has_audio ? live_track_end_us(audio) : INT64_MIN;
    return media_segment_span(segment, &part->start_us, &part->duration_us);
}

// What a fragment that lies whole in the source holds.
static enum live_read live_read_fragment(const struct live_reader *reader,
    const struct mp4_source *source, struct live_part *part, char **cause)
{
    struct live_excerpt excerpt = {source, &reader->init->bytes, part->offset};
    const struct mp4_source file = {
        .read = live_excerpt_read, .arg = &excerpt, .size = reader->init->bytes.size + part->size};
    struct media_segment segment;
    struct mp4_layout layout;
    if (mp4_read(&file, &segment, &layout, cause) != 0)
        return LIVE_READ_LOST;
    bool is_usable = layout.skipped == 0 && live_describe(reader->init, &segment, part);
    media_segment_fini(&segment);
    if (is_usable)
        return LIVE_READ_PART;
    *cause = xstrdup("it contradicts itself");
    return LIVE_READ_LOST;
}

// A moof was met: a fragment, once its mdat is there too.
static enum live_read live_read_pair(struct live_reader *reader, const struct mp4_source *source,
    const struct mp4_file_box *moof, struct live_part *part, char **cause)
{
    struct mp4_file_box mdat;
    if (moof->size > LIVE_MOOF_SIZE_MAX) {
        *cause = xasprintf("a moof of %" PRIu64 " bytes", moof->size);
        return LIVE_READ_BROKEN;
    }
    enum live_read result = live_read_header(source, moof->offset + moof->size, &mdat, cause);
    if (result != LIVE_READ_PART)
        return result;
    if (mdat.type != TYPE_MDAT) { // one without data
        *cause = xstrdup("it has no mdat");
        reader->offset = mdat.offset;
        reader->index++;
        return LIVE_READ_LOST;
    }
    if (!live_is_whole(source, &mdat))
        return LIVE_READ_WAIT;
    uint64_t size = moof->size + mdat.size;
    reader->offset = mdat.offset + mdat.size;
    *part = (struct live_part){.init = reader->init,
        .index = reader->index++,
        .offset = moof->offset,
        .size = (uint32_t)size,
        .moof_size = (uint32_t)moof->size};
    if (size <= LIVE_FRAGMENT_SIZE_MAX)
        return live_read_fragment(reader, source, part, cause);
    *cause = xasprintf("it has %" PRIu64 " bytes", size);
    return LIVE_READ_LOST;
}

enum live_read live_reader_next(struct live_reader *reader, const struct mp4_source *source,
    struct live_part *part, char **cause)
{
    struct mp4_file_box box;
    for (;;) {
        enum live_read result = live_read_header(source, reader->offset, &box, cause);
        if (result != LIVE_READ_PART)
            return result;
        if (box.type == TYPE_MOOV && reader->init != NULL)
            return LIVE_READ_END;
        if (box.type == TYPE_MOOV) {
            result = live_read_init(reader, source, &box, cause);
            if (result != LIVE_READ_PART)
                return result;
            continue;
        }
        if (box.type == TYPE_MDAT && reader->init == NULL)
            return LIVE_READ_END; // what sealing makes of the moov
        if (box.type == TYPE_MOOF && reader->init != NULL) {
            result = live_read_pair(reader, source, &box, part, cause);
            reader->lost += result == LIVE_READ_LOST;
            return result;
        }
        if (box.type != TYPE_MDAT && !live_may_skip(box.type)) {
            *cause = xasprintf("there is no box of a segment at byte %" PRIu64, box.offset);
            return LIVE_READ_BROKEN;
        }
        if (!live_is_whole(source, &box))
            return LIVE_READ_WAIT;
        reader->offset += box.size;
    }
}
