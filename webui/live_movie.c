// One stream as one MP4 without an end. See live_movie.h.
#include "webui/live_movie.h"

#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/timeutil.h"

void live_movie_fini(struct live_movie *movie)
{
    live_init_unref(movie->init);
    *movie = (struct live_movie){0};
}

// Whether a player that was made for the one init's tracks can take the other's.
static bool live_movie_fits(
    const struct live_movie *movie, const struct live_init *before, const struct live_init *now)
{
    const enum media_kind kinds[] = {MEDIA_VIDEO, MEDIA_AUDIO};
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
        const struct live_track *a = live_init_track(before, kinds[i]);
        const struct live_track *b = live_init_track(now, kinds[i]);
        bool is_sent =
            movie->sound || kinds[i] == MEDIA_VIDEO || live_init_track(before, MEDIA_VIDEO) == NULL;
        if (!is_sent || (a == NULL && b == NULL))
            continue;
        if (a == NULL || b == NULL || a->id != b->id ||
            strcmp(a->codec.family, b->codec.family) != 0)
            return false;
    }
    return true;
}

bool live_movie_put(
    struct live_movie *movie, const struct live_item *item, struct buf *head, char **cause)
{
    const struct live_part *part = &item->fragment->part;
    if (movie->init != NULL && !live_movie_fits(movie, movie->init, part->init)) {
        *cause = xstrdup("the camera now sends other tracks, or another codec");
        return false;
    }
    if (item->needs_init) {
        const struct buf *init = movie->sound ? &part->init->bytes : &part->init->silent;
        live_init_ref(part->init);
        live_init_unref(movie->init);
        movie->init = part->init;
        buf_put(head, init->data, init->size);
    }
    int64_t start_us = part->start_us + movie->shift_us;
    if (movie->end_us == 0)
        movie->shift_us = LIVE_MOVIE_START_US - part->start_us;
    else if (item->flags & LIVE_FLAG_DISCONTINUITY || start_us > movie->end_us + LIVE_MOVIE_GAP_US)
        movie->shift_us = movie->end_us - part->start_us;
    int64_t end_us = part->start_us + movie->shift_us + part->duration_us;
    if (end_us > movie->end_us)
        movie->end_us = end_us;
    live_fragment_put_moof(item->fragment, movie->sound, ++movie->sequence, movie->shift_us, head);
    return true;
}

void live_movie_put_nothing(struct buf *head)
{
    static const uint8_t box[] = {0, 0, 0, 8, 'f', 'r', 'e', 'e'};
    buf_put(head, box, sizeof(box));
}
