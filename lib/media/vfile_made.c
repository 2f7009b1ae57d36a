// Bytes of a virtual file that stand in no segment: parameter sets before the key samples of
// another configuration, and silence. See vfile_planner.h.
#include "lib/media/vfile_planner.h"

#include <string.h>

#include "lib/core/alloc.h"
#include "lib/media/parameter_sets.h"
#include "lib/media/silence.h"

const struct vfile_made *vfile_piece_made(
    const struct vfile_plan *plan, const struct vfile_piece *piece)
{
    int kind = piece->kind == PIECE_SILENCE ? VFILE_AUDIO : VFILE_VIDEO;
    return &plan->tracks[kind].made[piece->entry - 1];
}

static void plan_made_alloc(struct vfile_track_plan *track, const struct vfile_entries *entries)
{
    track->made = xcalloc(entries->count + 1, sizeof(track->made[0]));
    track->made_count = entries->count;
}

static void plan_made_set(struct vfile_made *made, const void *data, size_t size)
{
    made->data = xmalloc(size + 1);
    memcpy(made->data, data, size);
    made->size = (uint32_t)size;
}

static const struct vfile_made *planner_entry_sets(struct planner *planner, uint32_t entry)
{
    struct vfile_made *made = &planner->plan->tracks[VFILE_VIDEO].made[entry - 1];
    if (made->data == NULL) {
        struct buf sets = BUF_INIT;
        const struct mp4_entry *item = &planner->request->entries[VFILE_VIDEO].items[entry - 1];
        parameter_sets_make(item->data, item->size, &sets);
        plan_made_set(made, sets.size > 0 ? sets.data : (const void *)"", sets.size);
        buf_fini(&sets);
    }
    return made;
}

// Whether a decoder needs other sets anywhere than at the file's beginning.
static bool planner_sets_change(struct planner *planner)
{
    const struct vfile_track_plan *track = &planner->plan->tracks[VFILE_VIDEO];
    const struct vfile_made *first = planner_entry_sets(planner, track->spans[0].entry);
    for (size_t i = 1; i < track->span_count; i++) {
        const struct vfile_made *sets = planner_entry_sets(planner, track->spans[i].entry);
        if (sets->size != first->size || memcmp(sets->data, first->data, sets->size) != 0)
            return true;
    }
    return false;
}

// Returns 1 when the segment's key samples carry their sets, 0 when not, -1 with the cause set.
static int planner_carries_sets(struct planner *planner, size_t segment)
{
    enum media_sets sets = plan_video(&planner->request->segments[segment])->sets;
    if (sets != MEDIA_SETS_UNKNOWN)
        return sets == MEDIA_SETS_CARRIED;
    const struct sample_table_track *track = planner_table(planner, segment, VFILE_VIDEO);
    return track == NULL ? -1 : track->parameter_sets;
}

int planner_make_sets(struct planner *planner)
{
    struct vfile_plan *plan = planner->plan;
    const struct vfile_entries *entries = &planner->request->entries[VFILE_VIDEO];
    struct vfile_track_plan *track = &plan->tracks[VFILE_VIDEO];
    if (entries->count < 2)
        return 0;
    plan_made_alloc(track, entries);
    if (!planner_sets_change(planner))
        return 0;
    for (size_t i = 0; i < track->span_count; i++) {
        struct vfile_piece *piece = &plan->pieces[track->spans[i].piece];
        piece->entry = track->spans[i].entry;
        if (piece->prefixed || planner_entry_sets(planner, piece->entry)->size == 0)
            continue;
        int carries = planner_carries_sets(planner, piece->segment);
        if (carries < 0)
            return -1;
        piece->prefixed = carries == 0;
    }
    return 0;
}

void planner_make_silence(struct planner *planner, uint32_t timescale)
{
    const struct vfile_entries *entries = &planner->request->entries[VFILE_AUDIO];
    struct vfile_track_plan *track = &planner->plan->tracks[VFILE_AUDIO];
    plan_made_alloc(track, entries);
    for (size_t i = 0; i < entries->count; i++) {
        struct silence silence;
        if (!silence_make(entries->items[i].data, entries->items[i].size, timescale, &silence))
            continue;
        plan_made_set(&track->made[i], silence.data, silence.size);
        track->made[i].duration = silence.duration;
    }
}
