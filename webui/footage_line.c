// The order of playing. See footage_line.h.
#include "webui/footage_line.h"

#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"

struct footage_place {
    int64_t stretch_us; // where its stretch begins
    const struct footage_segment *segment;
};

static int footage_compare_identity(const struct footage_place *a, const struct footage_place *b)
{
    if (a->segment->run != b->segment->run)
        return a->segment->run < b->segment->run ? -1 : 1;
    return a->segment->number < b->segment->number ? -1 : a->segment->number > b->segment->number;
}

static int footage_by_identity(const void *left, const void *right)
{
    return footage_compare_identity(left, right);
}

static int footage_by_stretch(const void *left, const void *right)
{
    const struct footage_place *a = left, *b = right;
    if (a->stretch_us != b->stretch_us)
        return a->stretch_us < b->stretch_us ? -1 : 1;
    return footage_compare_identity(a, b);
}

// Whether each segment ends before the next one begins: then nothing has to move.
static bool footage_is_plain(const struct footage *footage)
{
    for (size_t i = 1; i < footage->count; i++) {
        if (footage->segments[i].start_us < footage->segments[i - 1].end_us)
            return false;
    }
    return true;
}

static int64_t footage_later(int64_t a_us, int64_t b_us)
{
    return a_us > b_us ? a_us : b_us;
}

const struct footage_segment *footage_line_first(const struct footage *footage, int64_t start_us)
{
    struct footage_place first = {INT64_MAX, NULL};
    for (size_t i = 0; i < footage->count; i++) {
        const struct footage_segment *segment = &footage->segments[i];
        struct footage_place place = {footage_later(segment->start_us, start_us), segment};
        if (first.segment == NULL || footage_by_stretch(&place, &first) < 0)
            first = place;
    }
    return first.segment;
}

void footage_line_up(struct footage *footage, int64_t start_us)
{
    if (footage_is_plain(footage))
        return;
    struct footage_place *places = xcalloc(footage->count, sizeof(*places));
    struct footage_segment *ordered = xcalloc(footage->count, sizeof(*ordered));
    for (size_t i = 0; i < footage->count; i++)
        places[i].segment = &footage->segments[i];
    qsort(places, footage->count, sizeof(*places), footage_by_identity);
    for (size_t i = 0; i < footage->count; i++) {
        const struct footage_segment *segment = places[i].segment;
        const struct footage_segment *before = i > 0 ? places[i - 1].segment : NULL;
        bool follows = before != NULL && before->run == segment->run &&
                       before->number + 1 == segment->number &&
                       before->start_us < segment->start_us;
        places[i].stretch_us =
            follows ? places[i - 1].stretch_us : footage_later(segment->start_us, start_us);
    }
    qsort(places, footage->count, sizeof(*places), footage_by_stretch);
    for (size_t i = 0; i < footage->count; i++)
        ordered[i] = *places[i].segment;
    memcpy(footage->segments, ordered, footage->count * sizeof(*ordered));
    free(ordered);
    free(places);
}
