// The media of a portion. See portion_media.h.
#include "lib/media/portion_media.h"

#include <stdlib.h>

#include "lib/core/alloc.h"
#include "lib/core/timeutil.h"

enum {
    // The tracks of a file do not end together, and what one lacks stands in the next file.
    PORTION_SLACK_MS = 1000,
    // The tables of the fragments in between are carried along, where no sound is left out.
    PORTION_BRIDGE_MAX = 4096,
};

enum {
    PORTION_VIDEO = 0,
    PORTION_AUDIO = 1,
};

// While sound is gathered; times are ticks of the audio track on the run's clock.
struct portion_sound {
    struct portion_media *media;
    const struct portion_request *request;
    int64_t begin; // of the portion
    int64_t end;
    int64_t next; // where the samples so far end; of the first one to come before there is one
    bool started;
};

static struct mp4_moof_sample *portion_add_sample(
    struct portion_media *media, int kind, uint64_t offset, uint32_t size, int64_t duration)
{
    struct mp4_moof_track *track = &media->tracks[kind];
    ARRAY_RESERVE(track->samples, track->sample_count, media->capacities[kind]);
    struct mp4_moof_sample *sample = &track->samples[track->sample_count++];
    *sample = (struct mp4_moof_sample){
        .offset = offset, .size = size, .duration = (uint32_t)duration, .key = true};
    return sample;
}

static void portion_add_video(struct portion_media *media, const struct portion_request *request,
    const struct sample_table_track *video)
{
    const struct portion *portion = request->portion;
    struct sample_iter iter;
    sample_iter_init(&iter, video);
    for (const struct sample *sample; (sample = sample_iter_next(&iter)) != NULL;) {
        if (sample->index < portion->first || sample->index - portion->first >= portion->count)
            continue;
        struct mp4_moof_sample *added = portion_add_sample(
            media, PORTION_VIDEO, sample->offset, sample->size, sample->duration);
        added->composition = sample->composition;
        added->key = sample->key;
    }
}

// --- Sound ---

// Silent frames from where the sound ends up to that time; the last one lasts until then.
static void portion_fill(struct portion_sound *sound, int64_t until)
{
    const int64_t frame = sound->request->silence.duration;
    if (sound->request->silence.size == 0 || until - sound->next < frame)
        return;
    for (int64_t left = until - sound->next; left > 0;) {
        int64_t duration = left < 2 * frame ? left : frame;
        portion_add_sample(
            sound->media, PORTION_AUDIO, PORTION_SILENCE, sound->request->silence.size, duration);
        left -= duration;
    }
    sound->started = true;
    sound->next = until;
}

// What may be missing at a border of the portion before it is a hole.
static int64_t portion_slack(const struct portion_sound *sound, bool segment_border)
{
    return segment_border
               ? (int64_t)sound->request->tracks[PORTION_AUDIO].timescale * PORTION_SLACK_MS / 1000
               : 0;
}

static void portion_begin_sound(struct portion_sound *sound, int64_t time)
{
    bool border = sound->request->first && !sound->request->run_start;
    sound->next = sound->begin;
    if (time - sound->begin > portion_slack(sound, border))
        portion_fill(sound, time);
    if (!sound->started) // at once, or after less than a frame
        sound->next = time;
    int64_t first = sound->started ? sound->begin : time;
    sound->media->tracks[PORTION_AUDIO].decode_time = (uint64_t)first;
    sound->started = true;
}

static void portion_add_sound(
    struct portion_sound *sound, const struct sample *sample, int64_t time)
{
    const int64_t frame = sound->request->silence.duration;
    int64_t duration = sample->duration, end = time + duration;
    if (!sound->started)
        portion_begin_sound(sound, time);
    if (sound->request->silence.size > 0 && duration >= 2 * frame)
        duration = frame;
    portion_add_sample(sound->media, PORTION_AUDIO, sample->offset, sample->size, duration);
    sound->next = time + duration;
    if (end > sound->end && !sound->request->last)
        end = sound->end;
    portion_fill(sound, end);
}

static void portion_end_sound(struct portion_sound *sound)
{
    if (!sound->started) {
        portion_begin_sound(sound, sound->end);
        if (sound->media->tracks[PORTION_AUDIO].sample_count == 0)
            sound->started = false;
    } else if (sound->end - sound->next > portion_slack(sound, sound->request->last)) {
        portion_fill(sound, sound->end);
    }
}

static void portion_gather_sound(struct portion_media *media, const struct portion_request *request,
    const struct sample_table_track *audio)
{
    const struct track_summary *video = &request->tracks[PORTION_VIDEO];
    const struct track_summary *from = &request->tracks[PORTION_AUDIO];
    struct portion_sound sound = {
        .media = media,
        .request = request,
        .begin =
            time_muldiv(video->start + request->portion->start, from->timescale, video->timescale),
        .end = time_muldiv(video->start + request->portion->end, from->timescale, video->timescale),
    };
    struct sample_iter iter;
    sample_iter_init(&iter, audio);
    for (const struct sample *sample; (sample = sample_iter_next(&iter)) != NULL;) {
        int64_t time = from->start + (int64_t)sample->decode_time;
        bool early = time < sound.begin && (!request->first || request->run_start);
        if (!early && (time < sound.end || request->last))
            portion_add_sound(&sound, sample, time);
    }
    portion_end_sound(&sound);
}

// --- Bytes ---

struct portion_place {
    struct mp4_moof_sample *sample;
    uint64_t offset; // in the segment's file
};

static int portion_compare(const void *left, const void *right)
{
    const struct portion_place *a = left, *b = right;
    if (a->offset != b->offset)
        return a->offset < b->offset ? -1 : 1;
    return a->sample < b->sample ? -1 : a->sample > b->sample; // silence, in its order
}

// How many bytes the last extent grows by when this sample's join it: those in between ride along,
// so that it is one read. 0: they can not.
static uint64_t portion_extend(
    const struct portion_extent *last, uint64_t offset, uint32_t size, bool bridge)
{
    if (offset == PORTION_SILENCE || last->offset == PORTION_SILENCE)
        return last->offset == offset ? size : 0;
    uint64_t end = last->offset + last->size;
    bool near = offset >= end && offset - end <= (bridge ? PORTION_BRIDGE_MAX : 0);
    return near ? offset - end + size : 0;
}

// Adds a sample's bytes to the extents. Returns where in the mdat they stand.
static uint64_t portion_add_bytes(
    struct portion_media *media, uint64_t offset, uint32_t size, bool bridge)
{
    uint64_t more = 0;
    if (media->extent_count > 0) {
        struct portion_extent *last = &media->extents[media->extent_count - 1];
        more = portion_extend(last, offset, size, bridge);
        last->size += more;
    }
    if (more == 0) {
        ARRAY_RESERVE(media->extents, media->extent_count, media->extent_capacity);
        media->extents[media->extent_count++] = (struct portion_extent){offset, size};
        more = size;
    }
    media->size += more;
    return media->size - size;
}

// Puts the samples into the mdat in the order of the file, silence behind them.
static void portion_place_samples(struct portion_media *media, bool bridge)
{
    size_t count = 0, total = 0;
    for (int kind = 0; kind < MEDIA_TRACKS_MAX; kind++)
        total += media->tracks[kind].sample_count;
    struct portion_place *places = xcalloc(total + 1, sizeof(places[0]));
    for (int kind = 0; kind < MEDIA_TRACKS_MAX; kind++) {
        for (size_t i = 0; i < media->tracks[kind].sample_count; i++) {
            struct mp4_moof_sample *sample = &media->tracks[kind].samples[i];
            places[count++] = (struct portion_place){sample, sample->offset};
        }
    }
    qsort(places, count, sizeof(places[0]), portion_compare);
    for (size_t i = 0; i < count; i++) {
        places[i].sample->offset =
            portion_add_bytes(media, places[i].offset, places[i].sample->size, bridge);
    }
    free(places);
}

int portion_media_make(
    struct portion_media *media, const struct portion_request *request, char **cause)
{
    *media = (struct portion_media){0};
    const struct sample_table_track *video = sample_table_track(request->table, MEDIA_VIDEO);
    const struct sample_table_track *audio = sample_table_track(request->table, MEDIA_AUDIO);
    if (video == NULL) {
        *cause = xasprintf("the segment has no video");
        return -1;
    }
    portion_add_video(media, request, video);
    media->tracks[PORTION_VIDEO].decode_time =
        (uint64_t)(request->tracks[PORTION_VIDEO].start + request->portion->decode);
    if (request->audio && audio != NULL)
        portion_gather_sound(media, request, audio);
    portion_place_samples(media, request->audio);
    for (int kind = 0; kind < MEDIA_TRACKS_MAX; kind++) {
        struct mp4_moof_track *track = &media->tracks[kind];
        track->id = (uint32_t)kind + 1;
        track->kind = kind == PORTION_VIDEO ? MEDIA_VIDEO : MEDIA_AUDIO;
        track->decode_time += (uint64_t)request->time_base_s * request->tracks[kind].timescale;
        if (track->sample_count > 0 && (int64_t)track->decode_time < 0) {
            *cause = xasprintf("the segment begins long before its run does");
            return -1;
        }
    }
    return 0;
}

void portion_media_fini(struct portion_media *media)
{
    for (int kind = 0; kind < MEDIA_TRACKS_MAX; kind++)
        free(media->tracks[kind].samples);
    free(media->extents);
    *media = (struct portion_media){0};
}
