// Silence for a client that hears a stream whose sound has stopped. See live_sound.h.
#include "webui/live_sound.h"

#include <stdlib.h>

#include "lib/core/timeutil.h"
#include "lib/media/mp4_reader.h"
#include "lib/media/silence.h"

enum {
    LIVE_SOUND_FRAMES_MAX = 4096, // half a minute and more

    TFHD_DURATION = 0x000008,
    TFHD_SIZE = 0x000010,
    TFHD_BASE_IS_MOOF = 0x020000,
    TRUN_DATA_OFFSET = 0x000001,
};

static int64_t live_sound_ticks(int64_t us, uint32_t timescale)
{
    return (int64_t)((__int128)us * timescale / US_PER_SECOND);
}

// Begins a box. Returns where, for live_sound_end().
static size_t live_sound_begin(struct buf *bytes, uint32_t type)
{
    buf_put_u32(bytes, 0);
    buf_put_u32(bytes, type);
    return bytes->size - 8;
}

static void live_sound_end(struct buf *bytes, size_t begin)
{
    buf_set_u32(bytes, begin, (uint32_t)(bytes->size - begin));
}

// A traf (8.8.6) of so many equal frames. Returns where its data offset stands.
static size_t live_sound_put_traf(
    struct buf *bytes, uint32_t track, const struct silence *silence, int64_t ticks, uint32_t count)
{
    size_t traf = live_sound_begin(bytes, MP4_TYPE('t', 'r', 'a', 'f'));
    size_t tfhd = live_sound_begin(bytes, MP4_TYPE('t', 'f', 'h', 'd'));
    buf_put_u32(bytes, TFHD_DURATION | TFHD_SIZE | TFHD_BASE_IS_MOOF);
    buf_put_u32(bytes, track);
    buf_put_u32(bytes, silence->duration);
    buf_put_u32(bytes, silence->size);
    live_sound_end(bytes, tfhd);
    size_t tfdt = live_sound_begin(bytes, MP4_TYPE('t', 'f', 'd', 't'));
    buf_put_u32(bytes, 1 << 24);
    buf_put_u64(bytes, (uint64_t)ticks);
    live_sound_end(bytes, tfdt);
    size_t trun = live_sound_begin(bytes, MP4_TYPE('t', 'r', 'u', 'n'));
    buf_put_u32(bytes, TRUN_DATA_OFFSET);
    buf_put_u32(bytes, count);
    size_t offset = bytes->size;
    buf_put_u32(bytes, 0);
    live_sound_end(bytes, trun);
    live_sound_end(bytes, traf);
    return offset;
}

static struct live_fragment *live_sound_make(const struct live_fragment *sent,
    const struct live_track *track, const struct silence *silence, int64_t ticks, uint32_t count)
{
    struct buf bytes = BUF_INIT;
    char *cause = NULL;
    size_t moof = live_sound_begin(&bytes, MP4_TYPE('m', 'o', 'o', 'f'));
    size_t mfhd = live_sound_begin(&bytes, MP4_TYPE('m', 'f', 'h', 'd'));
    buf_put_u64(&bytes, 0);
    live_sound_end(&bytes, mfhd);
    size_t offset = live_sound_put_traf(&bytes, track->id, silence, ticks, count);
    live_sound_end(&bytes, moof);
    struct live_part part = sent->part;
    part.moof_size = (uint32_t)bytes.size;
    buf_set_u32(&bytes, offset, part.moof_size + 8);
    size_t mdat = live_sound_begin(&bytes, MP4_TYPE('m', 'd', 'a', 't'));
    for (uint32_t i = 0; i < count; i++)
        buf_put(&bytes, silence->data, silence->size);
    live_sound_end(&bytes, mdat);
    part.size = (uint32_t)bytes.size;
    part.start_us = media_ticks_to_us(ticks, track->timescale);
    part.duration_us =
        media_ticks_to_us(ticks + (int64_t)count * silence->duration, track->timescale) -
        part.start_us;
    part.sound_end_us = part.start_us + part.duration_us;
    part.has_video = part.key = false;
    live_part_ref(&part);
    struct live_fragment *made = live_fragment_new(&part, &bytes, &cause);
    if (made == NULL)
        live_part_unref(&part);
    buf_fini(&bytes);
    free(cause);
    return made;
}

struct live_fragment *live_sound_fill(struct live_sound *sound, const struct live_fragment *sent)
{
    const struct live_part *part = &sent->part;
    const struct live_track *track = live_init_track(part->init, MEDIA_AUDIO);
    struct silence silence;
    if (track == NULL || live_init_track(part->init, MEDIA_VIDEO) == NULL)
        return NULL;
    if (!sound->is_begun || sound->continuity != part->continuity)
        sound->end_ticks = live_sound_ticks(part->start_us, track->timescale);
    sound->is_begun = true;
    sound->continuity = part->continuity;
    if (part->sound_end_us != INT64_MIN) {
        int64_t ticks = live_sound_ticks(part->sound_end_us, track->timescale);
        sound->end_ticks = ticks > sound->end_ticks ? ticks : sound->end_ticks;
    }
    int64_t lag =
        live_sound_ticks(part->start_us + part->duration_us, track->timescale) - sound->end_ticks;
    if (!part->has_video || lag < live_sound_ticks(LIVE_SOUND_LAG_US, track->timescale) ||
        !silence_make(part->init->bytes.data + track->entry_offset, track->entry_size,
            track->timescale, &silence))
        return NULL;
    int64_t count = lag / silence.duration;
    if (count == 0 || count > LIVE_SOUND_FRAMES_MAX || sound->end_ticks < 0)
        return NULL;
    int64_t ticks = sound->end_ticks;
    sound->end_ticks += count * silence.duration;
    return live_sound_make(sent, track, &silence, ticks, (uint32_t)count);
}
