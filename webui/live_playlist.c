// Live playlists. See live_playlist.h.
#include "webui/live_playlist.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/timeutil.h"

#define LIVE_SECONDS "%" PRId64 ".%06" PRId64
#define LIVE_SECONDS_OF(us) (us) / US_PER_SECOND, (us) % US_PER_SECOND

// --- Names ---

void live_playlist_format_segment(
    int64_t run, uint32_t number, uint32_t first, uint32_t last, char name[PLAYLIST_NAME_SIZE])
{
    snprintf(name, PLAYLIST_NAME_SIZE, "%" PRId64 "-%06" PRIu32 "-%" PRIu32 "-%" PRIu32, run,
        number, first, last);
}

bool live_playlist_parse_segment(
    const char *name, int64_t *run, uint32_t *number, uint32_t *first, uint32_t *last)
{
    char item[PLAYLIST_NAME_SIZE], again[PLAYLIST_NAME_SIZE];
    const char *dash = strrchr(name, '-');
    if (dash == NULL || (size_t)(dash - name) >= sizeof(item))
        return false;
    memcpy(item, name, (size_t)(dash - name));
    item[dash - name] = '\0';
    *last = (uint32_t)strtoul(dash + 1, NULL, 10);
    if (!playlist_parse_item(item, run, number, first))
        return false;
    live_playlist_format_segment(*run, *number, *first, *last, again);
    return strcmp(again, name) == 0;
}

// --- The list ---

static void live_playlist_put_head(
    struct buf *text, const struct live_segments *segments, bool can_block)
{
    const struct live_segment *first = &segments->items[segments->listed];
    int64_t hold_back_us = LIVE_PLAYLIST_HOLD_BACK_PARTS * segments->part_target_us;
    bool is_independent = true;
    for (size_t i = segments->listed; i < segments->count; i++)
        is_independent &= segments->items[i].is_independent;
    buf_printf(
        text, "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:%" PRId64 "\n", segments->target_s);
    buf_printf(text, "#EXT-X-SERVER-CONTROL:%sPART-HOLD-BACK=" LIVE_SECONDS "\n",
        can_block ? "CAN-BLOCK-RELOAD=YES," : "", LIVE_SECONDS_OF(hold_back_us));
    buf_printf(text, "#EXT-X-PART-INF:PART-TARGET=" LIVE_SECONDS "\n",
        LIVE_SECONDS_OF(segments->part_target_us));
    // The first one's own discontinuity is counted, as no tag tells of it any more.
    buf_printf(text,
        "#EXT-X-MEDIA-SEQUENCE:%" PRIu64 "\n#EXT-X-DISCONTINUITY-SEQUENCE:%" PRIu64 "\n",
        first->sequence, first->discontinuities);
    if (is_independent)
        buf_printf(text, "#EXT-X-INDEPENDENT-SEGMENTS\n");
}

static void live_playlist_put_map(
    struct buf *text, const struct live_segment *segment, const char *query)
{
    char name[PLAYLIST_NAME_SIZE];
    playlist_format_init(segment->map.run, segment->map.number, name);
    buf_printf(text, "#EXT-X-MAP:URI=\"live-%s.mp4%s\"\n", name, query);
}

static void live_playlist_put_parts(struct buf *text, const struct live_segments *segments,
    const struct live_segment *segment, const char *query)
{
    char name[PLAYLIST_NAME_SIZE];
    for (size_t i = 0; i < segment->count; i++) {
        const struct live_part *part = live_segments_part(segments, segment, i);
        playlist_format_item(part->file->id.run, part->file->id.number, part->index, name);
        buf_printf(text, "#EXT-X-PART:DURATION=" LIVE_SECONDS ",URI=\"part-%s.m4s%s\"%s\n",
            LIVE_SECONDS_OF(part->duration_us), name, query, part->key ? ",INDEPENDENT=YES" : "");
    }
}

static void live_playlist_put_segment(struct buf *text, const struct live_segments *segments,
    const struct live_segment *segment, const char *query)
{
    char name[PLAYLIST_NAME_SIZE];
    const struct live_part *first = live_segments_part(segments, segment, 0);
    const struct live_part *last = live_segments_part(segments, segment, segment->count - 1);
    const struct segment_id *id = &first->file->id;
    live_playlist_format_segment(id->run, id->number, first->index, last->index, name);
    buf_printf(text, "#EXTINF:" LIVE_SECONDS ",\nlive-%s.m4s%s\n",
        LIVE_SECONDS_OF(segment->duration_us), name, query);
}

// The first segment whose parts are listed: they are of use near the end only (RFC 8216bis, 6.2.2).
static size_t live_playlist_first_parts(const struct live_segments *segments)
{
    int64_t behind_us = 0;
    size_t first = segments->count - 1;
    while (first > segments->listed && behind_us < 3 * segments->target_s * US_PER_SECOND)
        behind_us += segments->items[first--].duration_us;
    return behind_us < 3 * segments->target_s * US_PER_SECOND ? first : first + 1;
}

void live_playlist_put(
    struct buf *text, const struct live_segments *segments, bool can_block, bool sound)
{
    const char *query = sound ? "?audio=1" : "";
    const size_t first_parts = live_playlist_first_parts(segments);
    live_playlist_put_head(text, segments, can_block);
    for (size_t i = segments->listed; i < segments->count; i++) {
        const struct live_segment *segment = &segments->items[i];
        const bool is_first = i == segments->listed;
        char time[TIME_TEXT_SIZE];
        if (!is_first && segment->is_discontinuity)
            buf_printf(text, "#EXT-X-DISCONTINUITY\n");
        if (is_first || segment->is_discontinuity)
            live_playlist_put_map(text, segment, query);
        time_format_utc(segment->wall_us, time);
        buf_printf(text, "#EXT-X-PROGRAM-DATE-TIME:%s\n", time);
        if (i >= first_parts)
            live_playlist_put_parts(text, segments, segment, query);
        if (segment->is_complete)
            live_playlist_put_segment(text, segments, segment, query);
    }
}
