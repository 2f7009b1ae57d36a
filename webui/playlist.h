// HLS playlists as text (RFC 8216), from what is known of the footage. Pure.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/core/buf.h"

enum {
    PLAYLIST_TYPE_SIZE = 96, // fits an RFC 6381 list
};

// One stream of a camera in a master playlist.
struct playlist_variant {
    const char *uri;
    char codecs[PLAYLIST_TYPE_SIZE]; // empty: not known
    uint64_t bandwidth;              // bits a second: of the busiest segment
    uint64_t average_bandwidth;      // of all of them
    uint32_t width;                  // 0: not known
    uint32_t height;
    double frame_rate; // 0: not known
};

// #EXT-X-STREAM-INF (4.3.4.2) for each.
void playlist_put_master(struct buf *text, const struct playlist_variant *variants, size_t count);

// One media segment. Its name is made from the identity of the recorded segment and the number of
// the portion in it.
struct playlist_item {
    int64_t run;
    uint32_t number;
    uint32_t portion;
    int64_t wall_us; // UTC of its first frame; 0: follows from the one before
    int64_t duration_us;
    bool discontinuity; // its times do not go on from the one before
    struct {
        int64_t run; // the segment whose initialisation it needs; 0: that of the one before
        uint32_t number;
    } map;
};

struct playlist {
    struct playlist_item *items;
    size_t count;
    size_t capacity;
    bool ended;         // nothing will follow
    int64_t offset_us;  // where playing is to begin, from the first item's start
    const char *suffix; // of every URI: "" or a query
};

void playlist_fini(struct playlist *playlist);

// A media playlist (4.3.3): of type VOD when it has ended, else EVENT, to be loaded again.
void playlist_put_media(struct buf *text, const struct playlist *playlist);

// "RUN-NNNNNN", and "RUN-NNNNNN-PORTION". Parsing is strict: what it accepts is what is written.
enum {
    PLAYLIST_NAME_SIZE = 64,
};
void playlist_format_init(int64_t run, uint32_t number, char name[PLAYLIST_NAME_SIZE]);
void playlist_format_item(
    int64_t run, uint32_t number, uint32_t portion, char name[PLAYLIST_NAME_SIZE]);
bool playlist_parse_init(const char *name, int64_t *run, uint32_t *number);
bool playlist_parse_item(const char *name, int64_t *run, uint32_t *number, uint32_t *portion);
