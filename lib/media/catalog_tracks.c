// The packed tracks of a segment's row. See catalog_tracks.h.
//
// After a byte with the version come the tracks, video first, as many as the row has codecs for,
// then the file. Numbers are little-endian base 128 with a continuation bit; a signed one is folded
// (0, -1, 1 … become 0, 1, 2 …). What can be guessed from the rest is stored as its difference from
// the guess, modulo 2^64, so that a bad guess costs bytes and never a value:
//
//   track  flags     COMPOSED, KEYS, STEADY, CARRIED, LACKING
//          start     signed, from the guess: video (or audio alone) begins as long after the run as
//                    the segment does, audio when the video does
//          samples
//          syncs     unless KEYS: all are
//          chunks    of audio beside video signed, from the video's
//          stsc      of the chunks: near none of them or near all of them is short
//          COMPOSED: first presentation, least, greatest composition (signed), ctts of the samples;
//                    else all are zero, ctts is 1 (0 without samples)
//          STEADY:   last duration (signed, from the mean one), every sample has it
//          else      duration (signed, from the segment's), last duration (signed, from the mean
//                    one), stts of the samples
//          bytes     of audio beside video
//          CARRIED and LACKING say of the parameter sets in its key samples; neither: not known
//   file   signed: bytes behind the media, from what tables of these counts take
//          signed: bytes between the samples, from what fragments take; gives the bytes of the
//          first track. Missing without tracks.
//
// Version 1 had neither CARRIED nor LACKING.
#include "lib/media/catalog_tracks.h"

enum {
    TRACKS_COMPOSED = 1,
    TRACKS_KEYS = 2,
    TRACKS_STEADY = 4,
    TRACKS_CARRIED = 8,
    TRACKS_LACKING = 16,
    TRACKS_FLAGS = 31,
    TRACKS_FLAGS_1 = 7, // of version 1

    TRACKS_NUMBER_SIZE_MAX = 10,
    // What a guess takes for granted; other values only make it worse.
    TRACKS_CHUNK_BYTES = 120,
    TRACKS_INDEX_BYTES = 1400,
};

// --- Numbers ---

static void tracks_put(struct buf *out, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        buf_put_u8(out, (uint8_t)(value | 0x80));
    buf_put_u8(out, (uint8_t)value);
}

static void tracks_put_signed(struct buf *out, uint64_t value)
{
    tracks_put(out, value << 1 ^ -(value >> 63));
}

// A part of a whole: short where it is near nothing or near all of it.
static void tracks_put_part(struct buf *out, uint32_t part, uint32_t whole)
{
    uint64_t rest = whole - part;
    tracks_put(out, rest < part ? rest << 1 | 1 : (uint64_t)part << 1);
}

struct tracks_reader {
    const uint8_t *data;
    size_t left;
    unsigned flags; // that a track may have
    bool failed;
};

static uint64_t tracks_get(struct tracks_reader *reader)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < TRACKS_NUMBER_SIZE_MAX && reader->left > 0; i++) {
        uint8_t byte = *reader->data++;
        reader->left--;
        value |= (uint64_t)(byte & 0x7f) << 7 * i;
        if (byte < 0x80)
            return value;
    }
    reader->failed = true;
    return 0;
}

static uint64_t tracks_get_signed(struct tracks_reader *reader)
{
    uint64_t value = tracks_get(reader);
    return value >> 1 ^ -(value & 1);
}

static uint32_t tracks_get_u32(struct tracks_reader *reader, uint64_t max)
{
    uint64_t value = tracks_get(reader);
    reader->failed |= value > max;
    return (uint32_t)value;
}

static int32_t tracks_get_s32(struct tracks_reader *reader)
{
    int64_t value = (int64_t)tracks_get_signed(reader);
    reader->failed |= value < INT32_MIN || value > INT32_MAX;
    return (int32_t)value;
}

static uint32_t tracks_get_part(struct tracks_reader *reader, uint32_t whole)
{
    uint64_t value = tracks_get(reader);
    reader->failed |= value >> 1 > whole;
    uint32_t part = (uint32_t)(value >> 1);
    return value & 1 ? whole - part : part;
}

// --- Guesses, the same from both sides ---

// `value` × `scale` / `divisor`, whatever they are.
static uint64_t tracks_scale(int64_t value, uint32_t scale, uint64_t divisor)
{
    return divisor == 0 ? 0 : (uint64_t)((__int128)value * scale / divisor);
}

static uint64_t tracks_guess_start(
    const struct catalog_segment *segment, const struct track_summary *track)
{
    const struct track_summary *video = &segment->video.summary;
    if (segment->video.codec_id != 0 && track != video)
        return tracks_scale(video->start, track->timescale, video->timescale);
    uint64_t since_run = (uint64_t)segment->start_us - (uint64_t)segment->run * 1000;
    return tracks_scale((int64_t)since_run, track->timescale, 1000000);
}

static uint64_t tracks_guess_duration(
    const struct catalog_segment *segment, const struct track_summary *track)
{
    uint64_t duration_us = (uint64_t)segment->end_us - (uint64_t)segment->start_us;
    return tracks_scale((int64_t)duration_us, track->timescale, 1000000);
}

static uint64_t tracks_guess_sample(uint64_t duration, uint32_t samples)
{
    return samples == 0 ? 0 : (duration + samples / 2) / samples;
}

static bool tracks_mostly(uint32_t part, uint32_t whole)
{
    return part > whole / 2;
}

// What sample tables of these counts take.
static uint64_t tracks_guess_index(const struct catalog_segment *segment)
{
    uint64_t guess = TRACKS_INDEX_BYTES;
    const struct catalog_track *tracks[] = {&segment->video, &segment->audio};
    for (size_t i = 0; i < 2; i++) {
        const struct track_counts *counts = &tracks[i]->summary.counts;
        if (tracks[i]->codec_id == 0)
            continue;
        guess += 8 * (uint64_t)counts->stts_entries + 4 * (uint64_t)counts->samples;
        guess += 12 * (uint64_t)counts->stsc_entries + 4 * (uint64_t)counts->chunks;
        guess += counts->syncs < counts->samples ? 4 * (uint64_t)counts->syncs : 0;
        guess += counts->ctts_entries > 1 ? 8 * (uint64_t)counts->ctts_entries : 0;
    }
    return guess;
}

// What the heads of fragments with these samples take.
static uint64_t tracks_guess_heads(const struct catalog_segment *segment)
{
    uint64_t guess = 0;
    const struct catalog_track *tracks[] = {&segment->video, &segment->audio};
    for (size_t i = 0; i < 2; i++) {
        const struct track_counts *counts = &tracks[i]->summary.counts;
        if (tracks[i]->codec_id == 0)
            continue;
        guess += TRACKS_CHUNK_BYTES * (uint64_t)counts->chunks + 4 * (uint64_t)counts->samples;
        guess += tracks_mostly(counts->stts_entries, counts->samples) ? 4 * counts->samples : 0;
        guess += tracks_mostly(counts->ctts_entries, counts->samples) ? 4 * counts->samples : 0;
    }
    return guess;
}

// --- One track ---

static uint32_t tracks_one(const struct track_counts *counts)
{
    return counts->samples > 0;
}

static bool tracks_composed(const struct track_summary *track)
{
    return track->first_presentation != 0 || track->least_composition != 0 ||
           track->greatest_composition != 0 ||
           track->counts.ctts_entries != tracks_one(&track->counts);
}

static bool tracks_steady(const struct track_summary *track)
{
    const struct track_counts *counts = &track->counts;
    return counts->duration == (uint64_t)counts->samples * track->last_duration &&
           counts->stts_entries == (counts->samples < 2 ? counts->samples : 2);
}

static void tracks_put_track(
    const struct catalog_segment *segment, const struct track_summary *track, struct buf *out)
{
    const struct track_counts *counts = &track->counts;
    bool composed = tracks_composed(track), keys = counts->syncs == counts->samples,
         steady = tracks_steady(track);
    bool beside = segment->video.codec_id != 0 && track != &segment->video.summary;
    uint64_t duration = tracks_guess_duration(segment, track);
    buf_put_u8(out, (uint8_t)((composed ? TRACKS_COMPOSED : 0) | (keys ? TRACKS_KEYS : 0) |
                              (steady ? TRACKS_STEADY : 0) |
                              (track->sets == MEDIA_SETS_CARRIED ? TRACKS_CARRIED : 0) |
                              (track->sets == MEDIA_SETS_LACKING ? TRACKS_LACKING : 0)));
    tracks_put_signed(out, (uint64_t)track->start - tracks_guess_start(segment, track));
    tracks_put(out, counts->samples);
    if (!keys)
        tracks_put(out, counts->syncs);
    if (beside)
        tracks_put_signed(
            out, (uint64_t)counts->chunks - (uint64_t)segment->video.summary.counts.chunks);
    else
        tracks_put(out, counts->chunks);
    tracks_put_part(out, counts->stsc_entries, counts->chunks);
    if (composed) {
        tracks_put_signed(out, (uint64_t)(int64_t)track->first_presentation);
        tracks_put_signed(out, (uint64_t)(int64_t)track->least_composition);
        tracks_put_signed(out, (uint64_t)(int64_t)track->greatest_composition);
        tracks_put_part(out, counts->ctts_entries, counts->samples);
    }
    if (!steady) {
        tracks_put_signed(out, counts->duration - duration);
        duration = counts->duration;
    }
    tracks_put_signed(out, track->last_duration - tracks_guess_sample(duration, counts->samples));
    if (!steady)
        tracks_put_part(out, counts->stts_entries, counts->samples);
    if (beside)
        tracks_put(out, counts->bytes);
}

static void tracks_get_durations(const struct catalog_segment *segment, struct track_summary *track,
    bool steady, struct tracks_reader *reader)
{
    struct track_counts *counts = &track->counts;
    uint64_t duration = tracks_guess_duration(segment, track);
    if (!steady)
        counts->duration = duration += tracks_get_signed(reader);
    uint64_t last = tracks_get_signed(reader) + tracks_guess_sample(duration, counts->samples);
    reader->failed |= last > UINT32_MAX;
    track->last_duration = (uint32_t)last;
    if (steady) {
        counts->duration = (uint64_t)counts->samples * track->last_duration;
        counts->stts_entries = counts->samples < 2 ? counts->samples : 2;
    } else {
        counts->stts_entries = tracks_get_part(reader, counts->samples);
    }
}

static void tracks_get_track(struct catalog_segment *segment, struct track_summary *track,
    enum media_kind kind, struct tracks_reader *reader)
{
    struct track_counts *counts = &track->counts;
    bool beside = segment->video.codec_id != 0 && kind == MEDIA_AUDIO;
    unsigned flags = tracks_get_u32(reader, reader->flags);
    track->kind = kind;
    track->sets = flags & TRACKS_CARRIED   ? MEDIA_SETS_CARRIED
                  : flags & TRACKS_LACKING ? MEDIA_SETS_LACKING
                                           : MEDIA_SETS_UNKNOWN;
    reader->failed |= (flags & TRACKS_CARRIED) && (flags & TRACKS_LACKING);
    track->start = (int64_t)(tracks_get_signed(reader) + tracks_guess_start(segment, track));
    counts->samples = tracks_get_u32(reader, MEDIA_SAMPLES_MAX);
    counts->syncs = flags & TRACKS_KEYS ? counts->samples : tracks_get_u32(reader, counts->samples);
    uint64_t chunks = beside ? tracks_get_signed(reader) + segment->video.summary.counts.chunks
                             : tracks_get(reader);
    reader->failed |= chunks > counts->samples;
    counts->chunks = (uint32_t)chunks;
    counts->stsc_entries = tracks_get_part(reader, counts->chunks);
    counts->ctts_entries = tracks_one(counts);
    if (flags & TRACKS_COMPOSED) {
        track->first_presentation = tracks_get_s32(reader);
        track->least_composition = tracks_get_s32(reader);
        track->greatest_composition = tracks_get_s32(reader);
        counts->ctts_entries = tracks_get_part(reader, counts->samples);
    }
    tracks_get_durations(segment, track, flags & TRACKS_STEADY, reader);
    if (beside)
        counts->bytes = tracks_get(reader);
}

// --- The row ---

// The track whose bytes follow from those of the file, or NULL.
static struct track_summary *tracks_first(struct catalog_segment *segment)
{
    return segment->video.codec_id != 0   ? &segment->video.summary
           : segment->audio.codec_id != 0 ? &segment->audio.summary
                                          : NULL;
}

static bool tracks_track_valid(const struct catalog_track *track)
{
    const struct track_counts *counts = &track->summary.counts;
    return track->codec_id == 0 ||
           (track->summary.timescale > 0 && counts->samples <= MEDIA_SAMPLES_MAX &&
               counts->syncs <= counts->samples && counts->chunks <= counts->samples &&
               counts->stsc_entries <= counts->chunks && counts->stts_entries <= counts->samples &&
               counts->ctts_entries <= counts->samples && counts->bytes <= INT64_MAX &&
               counts->duration <= INT64_MAX);
}

bool catalog_tracks_valid(const struct catalog_segment *segment)
{
    return segment->size_bytes <= INT64_MAX && segment->media_offset <= segment->media_end &&
           segment->media_end <= segment->size_bytes && tracks_track_valid(&segment->video) &&
           tracks_track_valid(&segment->audio);
}

void catalog_tracks_encode(const struct catalog_segment *segment, struct buf *out)
{
    uint64_t heads = segment->media_end - segment->media_offset;
    buf_put_u8(out, CATALOG_TRACKS_VERSION);
    const struct catalog_track *tracks[] = {&segment->video, &segment->audio};
    for (size_t i = 0; i < 2; i++) {
        if (tracks[i]->codec_id == 0)
            continue;
        tracks_put_track(segment, &tracks[i]->summary, out);
        heads -= tracks[i]->summary.counts.bytes;
    }
    tracks_put_signed(out, segment->size_bytes - segment->media_end - tracks_guess_index(segment));
    if (segment->video.codec_id != 0 || segment->audio.codec_id != 0)
        tracks_put_signed(out, heads - tracks_guess_heads(segment));
}

static void tracks_get_file(struct catalog_segment *segment, struct tracks_reader *reader)
{
    segment->media_end =
        segment->size_bytes - (tracks_get_signed(reader) + tracks_guess_index(segment));
    struct track_summary *first = tracks_first(segment);
    if (first == NULL)
        return;
    uint64_t beside = first == &segment->audio.summary ? 0 : segment->audio.summary.counts.bytes;
    uint64_t heads = tracks_get_signed(reader) + tracks_guess_heads(segment);
    first->counts.bytes = segment->media_end - segment->media_offset - beside - heads;
}

int catalog_tracks_decode(struct catalog_segment *segment, const uint8_t *data, size_t size)
{
    struct tracks_reader reader = {.data = data, .left = size};
    uint64_t version = tracks_get(&reader);
    reader.failed |= version < 1 || version > CATALOG_TRACKS_VERSION;
    reader.flags = version == 1 ? TRACKS_FLAGS_1 : TRACKS_FLAGS;
    if (segment->video.codec_id != 0)
        tracks_get_track(segment, &segment->video.summary, MEDIA_VIDEO, &reader);
    if (segment->audio.codec_id != 0)
        tracks_get_track(segment, &segment->audio.summary, MEDIA_AUDIO, &reader);
    tracks_get_file(segment, &reader);
    if (!reader.failed && reader.left == 0 && catalog_tracks_valid(segment))
        return 0;
    segment->video = segment->audio = (struct catalog_track){0};
    segment->media_end = segment->media_offset;
    return -1;
}
