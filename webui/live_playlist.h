// The live playlist of a stream as text (RFC 8216bis: HLS with low latency), and the names in it.
// Pure.
#pragma once

#include "lib/core/buf.h"
#include "webui/live_segments.h"
#include "webui/playlist.h"

// That the reader is to stay behind the newest part, in parts' durations; behind the newest
// segment it stays three target durations, which is what HLS does unless told otherwise.
enum {
    LIVE_PLAYLIST_HOLD_BACK_PARTS = 3,
};

// A media playlist. There must be a segment. `can_block` offers that a reader waits for what comes
// next; `sound` says what the URIs ask for.
void live_playlist_put(
    struct buf *text, const struct live_segments *segments, bool can_block, bool sound);

// "RUN-NNNNNN-FIRST-LAST", the fragments of a segment; a part is named as a playlist's item, the
// fragment in place of the portion. Parsing is strict: what it accepts is what is written.
void live_playlist_format_segment(
    int64_t run, uint32_t number, uint32_t first, uint32_t last, char name[PLAYLIST_NAME_SIZE]);
bool live_playlist_parse_segment(
    const char *name, int64_t *run, uint32_t *number, uint32_t *first, uint32_t *last);
