// Where the bytes of a planned virtual file stand, and how many table entries and bytes there are:
// from the segments' rows alone wherever a segment is taken whole. See vfile_planner.h.
#include "lib/media/vfile_planner.h"

#include <stdlib.h>

#include "lib/core/alloc.h"

static bool plan_whole(uint32_t first, uint32_t count, const struct track_summary *summary)
{
    return first == 0 && count == summary->counts.samples;
}

static int planner_count_span(
    struct planner *planner, const struct vfile_span *span, int kind, struct track_counts *counts)
{
    const struct vfile_piece *piece = &planner->plan->pieces[span->piece];
    const struct track_summary *summary = &planner->request->segments[piece->segment].tracks[kind];
    if (piece->kind == PIECE_SILENCE) {
        const struct vfile_made *made = vfile_piece_made(planner->plan, piece);
        *counts = (struct track_counts){.samples = span->count,
            .syncs = span->count,
            .chunks = 1,
            .stts_entries = span->count > 1 ? 2 : 1,
            .ctts_entries = 1,
            .stsc_entries = 1,
            .bytes = (uint64_t)span->count * made->size,
            .duration = (uint64_t)(span->count - 1) * made->duration + span->last_duration};
        return 0;
    }
    if (plan_whole(span->first, span->count, summary)) {
        *counts = summary->counts;
        counts->duration += (uint64_t)span->last_duration - summary->last_duration;
        return 0;
    }
    const struct sample_table_track *track = planner_table(planner, piece->segment, kind);
    if (track == NULL)
        return -1;
    mp4_span_counts(&(struct mp4_span){.samples = track,
                        .first = span->first,
                        .count = span->count,
                        .last_duration = span->last_duration,
                        .entry = span->entry},
        counts);
    return 0;
}

static bool plan_counts_add(struct track_counts *sum, const struct track_counts *counts)
{
    return !__builtin_add_overflow(sum->samples, counts->samples, &sum->samples) &&
           !__builtin_add_overflow(sum->syncs, counts->syncs, &sum->syncs) &&
           !__builtin_add_overflow(sum->chunks, counts->chunks, &sum->chunks) &&
           !__builtin_add_overflow(sum->stts_entries, counts->stts_entries, &sum->stts_entries) &&
           !__builtin_add_overflow(sum->ctts_entries, counts->ctts_entries, &sum->ctts_entries) &&
           !__builtin_add_overflow(sum->stsc_entries, counts->stsc_entries, &sum->stsc_entries) &&
           !__builtin_add_overflow(sum->bytes, counts->bytes, &sum->bytes) &&
           !__builtin_add_overflow(sum->duration, counts->duration, &sum->duration);
}

// What a span puts into its piece beyond a plain segment's bytes.
static void plan_size_piece(
    const struct vfile_plan *plan, struct vfile_piece *piece, const struct track_counts *counts)
{
    if (piece->kind == PIECE_SILENCE || piece->sparse)
        piece->size += counts->bytes;
    if (piece->prefixed)
        piece->size += (uint64_t)counts->syncs * vfile_piece_made(plan, piece)->size;
}

static int planner_count(struct planner *planner)
{
    struct vfile_plan *plan = planner->plan;
    for (int kind = 0; kind < MEDIA_TRACKS_MAX; kind++) {
        struct vfile_track_plan *track = &plan->tracks[kind];
        for (size_t i = 0; i < track->span_count; i++) {
            struct vfile_span *span = &track->spans[i];
            struct vfile_piece *piece = &plan->pieces[span->piece];
            struct track_counts counts;
            span->base = track->counts;
            if (planner_count_span(planner, span, kind, &counts) < 0)
                return -1;
            if (!plan_counts_add(&track->counts, &counts))
                return planner_refuse(planner, piece->segment, "the file would be too long");
            if (kind == VFILE_VIDEO || piece->kind == PIECE_SILENCE)
                plan_size_piece(plan, piece, &counts);
        }
    }
    return 0;
}

// Narrows a trimmed piece to the bytes from its first to its last needed sample.
static int planner_narrow(struct planner *planner, struct vfile_piece *piece)
{
    uint64_t from = UINT64_MAX, to = 0;
    for (int kind = 0; kind < MEDIA_TRACKS_MAX; kind++) {
        if (piece->kept[kind].count == 0)
            continue;
        const struct sample_table_track *track = planner_table(planner, piece->segment, kind);
        if (track == NULL)
            return -1;
        struct sample_iter iter;
        sample_iter_init(&iter, track);
        for (const struct sample *sample; (sample = sample_iter_next(&iter)) != NULL;) {
            if (sample->index < piece->kept[kind].first)
                continue;
            if (sample->index - piece->kept[kind].first >= piece->kept[kind].count)
                break;
            from = sample->offset < from ? sample->offset : from;
            to = sample->offset + sample->size > to ? sample->offset + sample->size : to;
        }
    }
    if (from < piece->file_offset || to > piece->file_end || from > to)
        return planner_refuse(planner, piece->segment, "its samples lie outside its media");
    piece->file_offset = from;
    piece->file_end = to;
    return 0;
}

static int planner_place_piece(struct planner *planner, struct vfile_piece *piece)
{
    const struct vfile_segment *segment = &planner->request->segments[piece->segment];
    if (piece->kind == PIECE_SILENCE)
        return 0;
    piece->sparse = !planner->request->audio && segment->tracks[VFILE_AUDIO].counts.samples > 0;
    bool whole = plan_whole(
        piece->kept[VFILE_VIDEO].first, piece->kept[VFILE_VIDEO].count, plan_video(segment));
    if (!whole && !piece->sparse && planner_narrow(planner, piece) < 0)
        return -1;
    if (piece->file_end < piece->file_offset)
        return planner_refuse(planner, piece->segment, "its media has no extent");
    piece->size = piece->sparse ? 0 : piece->file_end - piece->file_offset;
    return 0;
}

int planner_place_bytes(struct planner *planner)
{
    struct vfile_plan *plan = planner->plan;
    for (size_t i = 0; i < plan->piece_count; i++)
        if (planner_place_piece(planner, &plan->pieces[i]) < 0)
            return -1;
    if (planner_count(planner) < 0)
        return -1;
    uint64_t base = 0;
    for (size_t i = 0; i < plan->piece_count; i++) {
        plan->pieces[i].base = base;
        if (__builtin_add_overflow(base, plan->pieces[i].size, &base) || base > INT64_MAX)
            return planner_refuse(planner, plan->pieces[i].segment, "the file would be too long");
    }
    return 0;
}
