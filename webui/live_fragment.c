// A piece of a stream on its way to those who watch it. See live_fragment.h.
#include "webui/live_fragment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/core/alloc.h"
#include "lib/core/timeutil.h"
#include "lib/media/mp4_reader.h"

enum {
    TYPE_MOOV = MP4_TYPE('m', 'o', 'o', 'v'),
    TYPE_MVEX = MP4_TYPE('m', 'v', 'e', 'x'),
    TYPE_TRAK = MP4_TYPE('t', 'r', 'a', 'k'),
    TYPE_TREX = MP4_TYPE('t', 'r', 'e', 'x'),
    TYPE_MOOF = MP4_TYPE('m', 'o', 'o', 'f'),
    TYPE_MFHD = MP4_TYPE('m', 'f', 'h', 'd'),
    TYPE_TRAF = MP4_TYPE('t', 'r', 'a', 'f'),
    TYPE_TFHD = MP4_TYPE('t', 'f', 'h', 'd'),
    TYPE_TFDT = MP4_TYPE('t', 'f', 'd', 't'),
};

// --- The init ---

static uint32_t live_track_id(const struct mp4_reader *trak)
{
    static const uint32_t path[] = {MP4_TYPE('t', 'k', 'h', 'd')};
    struct mp4_box box;
    return mp4_box_find_path(trak, path, ARRAY_LENGTH(path), &box)
               ? mp4_number_behind_times(box.body)
               : 0;
}

static enum media_kind live_track_kind(const struct mp4_reader *trak)
{
    static const uint32_t path[] = {MP4_TYPE('m', 'd', 'i', 'a'), MP4_TYPE('h', 'd', 'l', 'r')};
    struct mp4_box box;
    if (!mp4_box_find_path(trak, path, ARRAY_LENGTH(path), &box))
        return 0;
    mp4_reader_take(&box.body, 8);
    uint32_t handler = mp4_reader_u32(&box.body);
    if (handler == MP4_TYPE('v', 'i', 'd', 'e'))
        return MEDIA_VIDEO;
    return handler == MP4_TYPE('s', 'o', 'u', 'n') ? MEDIA_AUDIO : 0;
}

static void live_read_track(
    const struct mp4_reader *trak, const struct buf *bytes, struct live_track *track)
{
    static const uint32_t mdhd_path[] = {
        MP4_TYPE('m', 'd', 'i', 'a'), MP4_TYPE('m', 'd', 'h', 'd')};
    static const uint32_t stsd_path[] = {MP4_TYPE('m', 'd', 'i', 'a'), MP4_TYPE('m', 'i', 'n', 'f'),
        MP4_TYPE('s', 't', 'b', 'l'), MP4_TYPE('s', 't', 's', 'd')};
    struct mp4_box box, entry;
    char *cause = NULL;
    track->id = live_track_id(trak);
    if (mp4_box_find_path(trak, mdhd_path, ARRAY_LENGTH(mdhd_path), &box))
        track->timescale = mp4_number_behind_times(box.body);
    if (!mp4_box_find_path(trak, stsd_path, ARRAY_LENGTH(stsd_path), &box))
        return;
    mp4_reader_take(&box.body, 8); // version, flags, entry_count
    if (!mp4_box_next(&box.body, &entry))
        return;
    track->entry_offset = (size_t)(entry.start - bytes->data);
    track->entry_size = entry.size;
    codec_describe(entry.start, entry.size, &track->codec, &cause);
    free(cause);
}

// Renames a box that lies in `bytes`, in the copy at `copy`.
static void live_free_box(const struct buf *bytes, struct buf *copy, const struct mp4_box *box)
{
    static const uint8_t name[] = {'f', 'r', 'e', 'e'};
    memcpy(copy->data + (box->start - bytes->data) + 4, name, sizeof(name));
}

// Whether a track is not one that is watched without sound.
static bool live_is_sound(const struct live_init *init, uint32_t id)
{
    const struct live_track *video = live_init_track(init, MEDIA_VIDEO);
    return video != NULL && id != video->id;
}

// Makes the form without sound: every track but the video is freed, and its defaults.
static void live_init_silence(struct live_init *init, struct mp4_reader moov)
{
    struct mp4_box box, child;
    while (mp4_box_next(&moov, &box)) {
        if (box.type == TYPE_TRAK && live_is_sound(init, live_track_id(&box.body)))
            live_free_box(&init->bytes, &init->silent, &box);
        while (box.type == TYPE_MVEX && mp4_box_next(&box.body, &child)) {
            struct mp4_reader trex = child.body;
            mp4_reader_take(&trex, 4); // version, flags
            if (child.type == TYPE_TREX && live_is_sound(init, mp4_reader_u32(&trex)))
                live_free_box(&init->bytes, &init->silent, &child);
        }
    }
}

static bool live_init_read(struct live_init *init, char **cause)
{
    struct mp4_reader file = mp4_reader_init(init->bytes.data, init->bytes.size);
    struct mp4_box moov, box;
    if (!mp4_box_find(&file, TYPE_MOOV, &moov)) {
        *cause = xstrdup("it does not begin with a moov");
        return false;
    }
    struct mp4_reader children = moov.body;
    while (mp4_box_next(&children, &box)) {
        enum media_kind kind = box.type == TYPE_TRAK ? live_track_kind(&box.body) : 0;
        if (kind == 0 || live_init_track(init, kind) != NULL)
            continue;
        struct live_track *track = &init->tracks[init->track_count++];
        track->kind = kind;
        live_read_track(&box.body, &init->bytes, track);
        if (track->id == 0 || track->timescale == 0) {
            *cause = xstrdup("a track of its moov has no number or no time scale");
            return false;
        }
    }
    if (init->track_count == 0) {
        *cause = xstrdup("it has neither a video nor an audio track");
        return false;
    }
    if (init->track_count == 2 && init->tracks[0].kind == MEDIA_AUDIO) {
        const struct live_track audio = init->tracks[0];
        init->tracks[0] = init->tracks[1];
        init->tracks[1] = audio;
    }
    live_init_silence(init, moov.body);
    return true;
}

struct live_init *live_init_new(const void *data, size_t size, char **cause)
{
    struct live_init *init = xcalloc(1, sizeof(*init));
    atomic_init(&init->references, 1);
    buf_put(&init->bytes, data, size);
    buf_put(&init->silent, data, size);
    if (live_init_read(init, cause))
        return init;
    live_init_unref(init);
    return NULL;
}

struct live_init *live_init_ref(struct live_init *init)
{
    atomic_fetch_add(&init->references, 1);
    return init;
}

void live_init_unref(struct live_init *init)
{
    if (init == NULL || atomic_fetch_sub(&init->references, 1) != 1)
        return;
    buf_fini(&init->bytes);
    buf_fini(&init->silent);
    free(init);
}

const struct live_track *live_init_track(const struct live_init *init, enum media_kind kind)
{
    for (size_t i = 0; i < init->track_count; i++)
        if (init->tracks[i].kind == kind)
            return &init->tracks[i];
    return NULL;
}

bool live_init_equal(const struct live_init *a, const struct live_init *b)
{
    return a != NULL && b != NULL &&
           (a == b || (a->bytes.size == b->bytes.size &&
                          memcmp(a->bytes.data, b->bytes.data, a->bytes.size) == 0));
}

void live_init_codecs(const struct live_init *init, bool sound, char text[LIVE_CODECS_SIZE])
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < init->track_count; i++) {
        const struct live_track *track = &init->tracks[i];
        if (!sound && live_is_sound(init, track->id))
            continue;
        used += (size_t)snprintf(
            text + used, LIVE_CODECS_SIZE - used, "%s%s", used > 0 ? "," : "", track->codec.name);
    }
}

// --- Files and parts ---

struct live_file *live_file_new(const struct segment_id *id, int fd)
{
    struct live_file *file = xcalloc(1, sizeof(*file));
    atomic_init(&file->references, 1);
    file->id = *id;
    file->fd = fd;
    return file;
}

struct live_file *live_file_ref(struct live_file *file)
{
    atomic_fetch_add(&file->references, 1);
    return file;
}

void live_file_unref(struct live_file *file)
{
    if (file == NULL || atomic_fetch_sub(&file->references, 1) != 1)
        return;
    close(file->fd);
    free(file);
}

void live_part_ref(const struct live_part *part)
{
    live_file_ref(part->file);
    live_init_ref(part->init);
}

void live_part_unref(const struct live_part *part)
{
    live_file_unref(part->file);
    live_init_unref(part->init);
}

// --- Fragments ---

// Notes where a traf's decode time stands, and frees it in the silent form unless it is video.
static bool live_read_traf(struct live_fragment *fragment, const struct mp4_box *traf)
{
    const struct live_init *init = fragment->part.init;
    struct mp4_box tfhd, tfdt;
    if (!mp4_box_find(&traf->body, TYPE_TFHD, &tfhd))
        return false;
    mp4_reader_take(&tfhd.body, 4); // version, flags
    uint32_t id = mp4_reader_u32(&tfhd.body);
    if (live_is_sound(init, id))
        live_free_box(&fragment->bytes, &fragment->silent_moof, traf);
    if (!mp4_box_find(&traf->body, TYPE_TFDT, &tfdt))
        return true;
    for (size_t i = 0; i < init->track_count && fragment->time_count < LIVE_TIMES_MAX; i++) {
        uint32_t flags;
        if (init->tracks[i].id != id)
            continue;
        struct live_time *time = &fragment->times[fragment->time_count++];
        time->wide = mp4_reader_full(&tfdt.body, &flags) == 1;
        time->offset = (size_t)(tfdt.body.at - fragment->bytes.data);
        time->timescale = init->tracks[i].timescale;
        time->ticks = time->wide ? mp4_reader_u64(&tfdt.body) : mp4_reader_u32(&tfdt.body);
    }
    return !tfdt.body.failed;
}

static bool live_read_moof(struct live_fragment *fragment)
{
    struct mp4_reader file = mp4_reader_init(fragment->bytes.data, fragment->part.moof_size);
    struct mp4_box moof, box;
    if (!mp4_box_find(&file, TYPE_MOOF, &moof))
        return false;
    while (mp4_box_next(&moof.body, &box)) {
        if (box.type == TYPE_MFHD && box.body.left >= 8)
            fragment->sequence_offset = (size_t)(box.body.at + 4 - fragment->bytes.data);
        if (box.type == TYPE_TRAF && !live_read_traf(fragment, &box))
            return false;
    }
    return !moof.body.failed;
}

struct live_fragment *live_fragment_new(
    const struct live_part *part, struct buf *bytes, char **cause)
{
    struct live_fragment *fragment = xcalloc(1, sizeof(*fragment));
    atomic_init(&fragment->references, 1);
    fragment->part = *part;
    fragment->bytes = *bytes;
    buf_put(&fragment->silent_moof, bytes->data, part->moof_size);
    if (bytes->size == part->size && live_read_moof(fragment)) {
        *bytes = BUF_INIT;
        return fragment;
    }
    *cause = xstrdup("its moof can not be read");
    buf_fini(&fragment->silent_moof);
    free(fragment);
    return NULL;
}

struct live_fragment *live_fragment_ref(struct live_fragment *fragment)
{
    atomic_fetch_add(&fragment->references, 1);
    return fragment;
}

void live_fragment_unref(struct live_fragment *fragment)
{
    if (fragment == NULL || atomic_fetch_sub(&fragment->references, 1) != 1)
        return;
    live_part_unref(&fragment->part);
    buf_fini(&fragment->bytes);
    buf_fini(&fragment->silent_moof);
    free(fragment);
}

static void live_store(uint8_t *at, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        at[i] = (uint8_t)(value >> 8 * (size - 1 - i));
}

void live_fragment_put_moof(const struct live_fragment *fragment, bool sound, uint32_t sequence,
    int64_t shift_us, struct buf *out)
{
    const uint8_t *moof = sound ? fragment->bytes.data : fragment->silent_moof.data;
    uint8_t *copy = buf_extend(out, fragment->part.moof_size);
    memcpy(copy, moof, fragment->part.moof_size);
    if (sequence != 0 && fragment->sequence_offset != 0)
        live_store(copy + fragment->sequence_offset, sequence, 4);
    for (size_t i = 0; i < fragment->time_count; i++) {
        const struct live_time *time = &fragment->times[i];
        // Rounded to the nearest tick: the same shift for all fragments of a run.
        int64_t ticks =
            (int64_t)time->ticks + time_muldiv(shift_us, time->timescale, US_PER_SECOND);
        live_store(copy + time->offset, ticks < 0 ? 0 : (uint64_t)ticks, time->wide ? 8 : 4);
    }
}
