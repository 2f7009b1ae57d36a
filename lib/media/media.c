// A segment's tracks and the counts that sizes are computed from. See media.h.
#include "lib/media/media.h"

#include <stdlib.h>

void media_segment_fini(struct media_segment *segment)
{
    for (size_t i = 0; i < segment->track_count; i++) {
        free(segment->tracks[i].entry);
        free(segment->tracks[i].samples);
    }
    *segment = (struct media_segment){0};
}

const struct media_track *media_segment_track(
    const struct media_segment *segment, enum media_kind kind)
{
    for (size_t i = 0; i < segment->track_count; i++) {
        if (segment->tracks[i].kind == kind)
            return &segment->tracks[i];
    }
    return NULL;
}

static inline void counter_add(struct track_counter *counter, const struct media_sample *sample)
{
    struct track_counts *counts = &counter->counts;
    bool first = counts->samples == 0;
    if (first || sample->offset != counter->next_offset) {
        // The chunk that ends here and the one before it share an stsc entry when they are equally
        // long; the open chunk is counted when it ends.
        counts->chunks++;
        if (!first && counter->chunk_samples != counter->stsc_samples) {
            counts->stsc_entries++;
            counter->stsc_samples = counter->chunk_samples;
        }
        counter->chunk_samples = 0;
    }
    // Of the samples but the last, runs of equal durations; the last is counted at the end.
    if (!first && (counts->samples == 1 || counter->duration != counter->stts_duration)) {
        counts->stts_entries++;
        counter->stts_duration = counter->duration;
    }
    if (first || sample->composition != counter->composition)
        counts->ctts_entries++;
    counter->chunk_samples++;
    counter->duration = sample->duration;
    counter->composition = sample->composition;
    counter->next_offset = sample->offset + sample->size;
    counts->samples++;
    counts->syncs += sample->key;
    counts->bytes += sample->size;
    counts->duration += sample->duration;
}

void track_counter_add(struct track_counter *counter, const struct media_sample *sample)
{
    counter_add(counter, sample);
}

void track_counter_end(const struct track_counter *counter, struct track_counts *counts)
{
    *counts = counter->counts;
    if (counts->samples == 0)
        return;
    counts->stts_entries++;
    if (counter->chunk_samples != counter->stsc_samples)
        counts->stsc_entries++;
}

void track_summarize(const struct media_track *track, struct track_summary *summary)
{
    struct track_counter counter = {0};
    int64_t decode_time = 0;
    int64_t first_presentation = 0;
    *summary = (struct track_summary){
        .kind = track->kind,
        .sets = track->kind != MEDIA_VIDEO ? MEDIA_SETS_UNKNOWN
                : track->parameter_sets    ? MEDIA_SETS_CARRIED
                                           : MEDIA_SETS_LACKING,
        .timescale = track->timescale,
        .start = track->start,
    };
    for (size_t i = 0; i < track->sample_count; i++) {
        const struct media_sample *sample = &track->samples[i];
        int64_t presentation = decode_time + sample->composition;
        if (i == 0 || presentation < first_presentation)
            first_presentation = presentation;
        if (i == 0 || sample->composition < summary->least_composition)
            summary->least_composition = sample->composition;
        if (i == 0 || sample->composition > summary->greatest_composition)
            summary->greatest_composition = sample->composition;
        summary->last_duration = sample->duration;
        decode_time += sample->duration;
        counter_add(&counter, sample);
    }
    // Between the least and the first composition offset, so it fits.
    summary->first_presentation = (int32_t)first_presentation;
    track_counter_end(&counter, &summary->counts);
}

int64_t media_ticks_to_us(int64_t ticks, uint32_t timescale)
{
    int64_t seconds = ticks / timescale;
    int64_t rest = ticks % timescale;
    if (rest < 0) {
        seconds--;
        rest += timescale;
    }
    return seconds * 1000000 + rest * 1000000 / timescale;
}

bool media_segment_span(
    const struct media_segment *segment, int64_t *start_us, int64_t *duration_us)
{
    const struct media_track *track = media_segment_track(segment, MEDIA_VIDEO);
    if (track == NULL || track->sample_count == 0)
        track = media_segment_track(segment, MEDIA_AUDIO);
    if (track == NULL || track->sample_count == 0)
        return false;

    int64_t decode_time = track->start;
    int64_t first = INT64_MAX;
    int64_t end = INT64_MIN;
    for (size_t i = 0; i < track->sample_count; i++) {
        const struct media_sample *sample = &track->samples[i];
        int64_t presentation = decode_time + sample->composition;
        if (presentation < first)
            first = presentation;
        if (presentation + sample->duration > end)
            end = presentation + sample->duration;
        decode_time += sample->duration;
    }
    *start_us = media_ticks_to_us(first, track->timescale);
    *duration_us = media_ticks_to_us(end, track->timescale) - *start_us;
    return true;
}
