// The framing of several live streams in one response: what docs/api.md calls the live mux. Each
// piece follows a header of LIVE_MUX_HEADER_SIZE bytes, little-endian:
//
//     u8 kind, u8 tile, u16 flags, u32 bytes that follow,
//     f64 presentation start, f64 duration, f64 age, all in seconds
//
// Pure.
#pragma once

#include "webui/live_queue.h"

enum {
    LIVE_MUX_HEADER_SIZE = 32,
    LIVE_MUX_TILES_MAX = 64,
};

enum live_mux_kind {
    LIVE_MUX_DESCRIPTION, // JSON: what the next init is
    LIVE_MUX_INIT,
    LIVE_MUX_MEDIA,
    LIVE_MUX_STATE, // JSON: how the stream is doing
};

// How a stream is doing, as those who watch are told.
enum live_state {
    LIVE_STATE_UNKNOWN, // its files have not been looked at yet; nobody is told
    LIVE_STATE_STALLED, // it should be recorded, and nothing comes
    LIVE_STATE_RECORDING,
    LIVE_STATE_OFF, // it is not to be recorded
};

const char *live_state_name(enum live_state state);

// What a tile shows.
struct live_mux_tile {
    char camera[SEGMENT_NAME_MAX];
    char stream[SEGMENT_NAME_MAX];
    bool sound;
};

// Append a whole piece.
void live_mux_put_init(
    struct buf *head, size_t index, const struct live_mux_tile *tile, const struct live_init *init);
void live_mux_put_state(struct buf *head, size_t index, enum live_state state, int64_t since_us);

// Appends what goes before a fragment's media data.
void live_mux_put_media(struct buf *head, const struct live_mux_tile *tile,
    const struct live_item *item, int64_t now_us);
