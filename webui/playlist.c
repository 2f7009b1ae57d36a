// HLS playlists. See playlist.h.
#include "webui/playlist.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/timeutil.h"
#include "lib/media/segment_id.h"

// --- Names ---

void playlist_format_init(int64_t run, uint32_t number, char name[PLAYLIST_NAME_SIZE])
{
    snprintf(name, PLAYLIST_NAME_SIZE, "%" PRId64 "-%06" PRIu32, run, number);
}

void playlist_format_item(
    int64_t run, uint32_t number, uint32_t portion, char name[PLAYLIST_NAME_SIZE])
{
    snprintf(name, PLAYLIST_NAME_SIZE, "%" PRId64 "-%06" PRIu32 "-%" PRIu32, run, number, portion);
}

// Reads it as the name of a file of the cache, whose rules are the same.
bool playlist_parse_init(const char *name, int64_t *run, uint32_t *number)
{
    char file[PLAYLIST_NAME_SIZE + sizeof(".mp4")];
    snprintf(file, sizeof(file), "%.*s.mp4", PLAYLIST_NAME_SIZE - 1, name);
    return segment_file_parse(file, run, number);
}

bool playlist_parse_item(const char *name, int64_t *run, uint32_t *number, uint32_t *portion)
{
    char segment[PLAYLIST_NAME_SIZE], again[PLAYLIST_NAME_SIZE];
    const char *dash = strrchr(name, '-');
    if (dash == NULL || (size_t)(dash - name) >= sizeof(segment))
        return false;
    memcpy(segment, name, (size_t)(dash - name));
    segment[dash - name] = '\0';
    *portion = (uint32_t)strtoul(dash + 1, NULL, 10);
    if (!playlist_parse_init(segment, run, number))
        return false;
    playlist_format_item(*run, *number, *portion, again);
    return strcmp(again, name) == 0;
}

// --- Playlists ---

void playlist_put_master(struct buf *text, const struct playlist_variant *variants, size_t count)
{
    buf_printf(text, "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n");
    for (size_t i = 0; i < count; i++) {
        const struct playlist_variant *variant = &variants[i];
        buf_printf(text, "#EXT-X-STREAM-INF:BANDWIDTH=%" PRIu64 ",AVERAGE-BANDWIDTH=%" PRIu64,
            variant->bandwidth, variant->average_bandwidth);
        if (variant->codecs[0] != '\0')
            buf_printf(text, ",CODECS=\"%s\"", variant->codecs);
        if (variant->width > 0)
            buf_printf(text, ",RESOLUTION=%" PRIu32 "x%" PRIu32, variant->width, variant->height);
        if (variant->frame_rate > 0)
            buf_printf(text, ",FRAME-RATE=%.3f", variant->frame_rate);
        buf_printf(text, "\n%s\n", variant->uri);
    }
}

// No EXTINF, rounded to whole seconds, may be greater (4.3.3.1).
static int64_t playlist_target_s(const struct playlist *playlist)
{
    int64_t target = 1;
    for (size_t i = 0; i < playlist->count; i++) {
        int64_t seconds = (playlist->items[i].duration_us + US_PER_SECOND - 1) / US_PER_SECOND;
        target = seconds > target ? seconds : target;
    }
    return target;
}

static void playlist_put_item(
    struct buf *text, const struct playlist *playlist, const struct playlist_item *item)
{
    char name[PLAYLIST_NAME_SIZE];
    if (item->discontinuity)
        buf_printf(text, "#EXT-X-DISCONTINUITY\n");
    if (item->map.run != 0) {
        playlist_format_init(item->map.run, item->map.number, name);
        buf_printf(text, "#EXT-X-MAP:URI=\"init-%s.mp4%s\"\n", name, playlist->suffix);
    }
    if (item->wall_us != 0) {
        char time[TIME_TEXT_SIZE];
        time_format_utc(item->wall_us, time);
        buf_printf(text, "#EXT-X-PROGRAM-DATE-TIME:%s\n", time);
    }
    playlist_format_item(item->run, item->number, item->portion, name);
    buf_printf(text, "#EXTINF:%" PRId64 ".%06" PRId64 ",\nseg-%s.m4s%s\n",
        item->duration_us / US_PER_SECOND, item->duration_us % US_PER_SECOND, name,
        playlist->suffix);
}

void playlist_put_media(struct buf *text, const struct playlist *playlist)
{
    buf_reserve(text, 256 + playlist->count * 80);
    buf_printf(text,
        "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:%" PRId64
        "\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:%s\n#EXT-X-INDEPENDENT-SEGMENTS\n",
        playlist_target_s(playlist), playlist->ended ? "VOD" : "EVENT");
    if (playlist->offset_us > 0)
        buf_printf(text, "#EXT-X-START:TIME-OFFSET=%" PRId64 ".%06" PRId64 ",PRECISE=YES\n",
            playlist->offset_us / US_PER_SECOND, playlist->offset_us % US_PER_SECOND);
    for (size_t i = 0; i < playlist->count; i++)
        playlist_put_item(text, playlist, &playlist->items[i]);
    if (playlist->ended)
        buf_printf(text, "#EXT-X-ENDLIST\n");
}

void playlist_fini(struct playlist *playlist)
{
    free(playlist->items);
    playlist->items = NULL;
    playlist->count = playlist->capacity = 0;
}
