// The framing of several live streams in one response. See live_mux.h.
#include "webui/live_mux.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "lib/core/timeutil.h"

const char *live_state_name(enum live_state state)
{
    static const char *const names[] = {
        [LIVE_STATE_UNKNOWN] = "unknown",
        [LIVE_STATE_STALLED] = "stalled",
        [LIVE_STATE_RECORDING] = "recording",
        [LIVE_STATE_OFF] = "off",
    };
    return names[state];
}

struct live_mux_header {
    enum live_mux_kind kind;
    size_t tile;
    unsigned flags;
    size_t size;
    int64_t start_us, duration_us, age_us;
};

static void live_mux_put_little(struct buf *head, uint64_t value, size_t size)
{
    uint8_t *at = buf_extend(head, size);
    for (size_t i = 0; i < size; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

static void live_mux_put_seconds(struct buf *head, int64_t us)
{
    const double seconds = (double)us / US_PER_SECOND;
    uint64_t bits;
    memcpy(&bits, &seconds, sizeof(bits)); // IEEE 754 binary64, as everywhere that Linux runs
    live_mux_put_little(head, bits, sizeof(bits));
}

static void live_mux_put_header(struct buf *head, const struct live_mux_header *header)
{
    live_mux_put_little(head, header->kind, 1);
    live_mux_put_little(head, header->tile, 1);
    live_mux_put_little(head, header->flags, 2);
    live_mux_put_little(head, header->size, 4);
    live_mux_put_seconds(head, header->start_us);
    live_mux_put_seconds(head, header->duration_us);
    live_mux_put_seconds(head, header->age_us);
}

// Appends a piece of JSON; takes the reference.
static void live_mux_put_json(struct buf *head, enum live_mux_kind kind, size_t index, json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT);
    const struct live_mux_header header = {.kind = kind, .tile = index, .size = strlen(text)};
    json_decref(json);
    live_mux_put_header(head, &header);
    buf_put(head, text, header.size);
    free(text);
}

void live_mux_put_init(
    struct buf *head, size_t index, const struct live_mux_tile *tile, const struct live_init *init)
{
    const struct live_track *video = live_init_track(init, MEDIA_VIDEO);
    const struct buf *bytes = tile->sound ? &init->bytes : &init->silent;
    const struct live_mux_header header = {
        .kind = LIVE_MUX_INIT, .tile = index, .size = bytes->size};
    char codecs[LIVE_CODECS_SIZE];
    live_init_codecs(init, tile->sound, codecs);
    live_mux_put_json(head, LIVE_MUX_DESCRIPTION, index,
        json_pack("{s:s, s:s, s:s, s:i, s:i, s:b}", "camera", tile->camera, "stream", tile->stream,
            "codecs", codecs, "width", video ? (int)video->codec.width : 0, "height",
            video ? (int)video->codec.height : 0, "audio",
            tile->sound && live_init_track(init, MEDIA_AUDIO) != NULL));
    live_mux_put_header(head, &header);
    buf_put(head, bytes->data, bytes->size);
}

void live_mux_put_state(struct buf *head, size_t index, enum live_state state, int64_t since_us)
{
    char since[TIME_TEXT_SIZE];
    time_format_utc(since_us, since);
    live_mux_put_json(head, LIVE_MUX_STATE, index,
        json_pack("{s:s, s:s}", "state", live_state_name(state), "since", since));
}

void live_mux_put_media(struct buf *head, const struct live_mux_tile *tile,
    const struct live_item *item, int64_t now_us)
{
    const struct live_fragment *fragment = item->fragment;
    const struct live_part *part = &fragment->part;
    const struct live_mux_header header = {
        .kind = LIVE_MUX_MEDIA,
        .tile = item->tile,
        .flags = item->flags,
        .size = part->size,
        .start_us = part->start_us,
        .duration_us = part->duration_us,
        .age_us = now_us - part->appeared_us,
    };
    live_mux_put_header(head, &header);
    buf_put(head, tile->sound ? fragment->bytes.data : fragment->silent_moof.data, part->moof_size);
}
