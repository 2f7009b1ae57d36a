// What the files of the crowd camera share. It is a program of the tests; of the product it uses
// only memory, buffers and clocks of lib/core.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/core/buf.h"

enum {
    CROWDCAM_RTP_CHANNEL = 0, // of the interleaved connection
    CROWDCAM_RTCP_CHANNEL = 1,
    CROWDCAM_CLOCK = 90000, // ticks of an RTP timestamp in a second
};

// One picture as it goes over the connection: RTP packets, each behind its interleaved header
// ("$", channel, 16-bit length). Sequence number, timestamp and SSRC are zero.
struct clip_unit {
    struct buf packets;
    bool is_key;
};

// A clip, packed once for all clients.
struct clip {
    struct clip_unit *units;
    size_t count, capacity;
    char *format; // parameters of the SDP's fmtp line
};

// Reads an H.264 elementary stream in which every picture begins with an access unit delimiter,
// and the first one is a key frame. NULL with *cause, which the caller frees.
struct clip *clip_read(const char *path, char **cause);
void clip_free(struct clip *clip);

// Who a packet is from and where it stands.
struct rtp_place {
    uint32_t ssrc;
    uint32_t timestamp;
    uint16_t sequence;
};

// Appends the unit's packets to `out` with place->ssrc and ->timestamp, numbered from
// place->sequence on, which is moved on. Returns how many they are; adds their payload to *octets.
unsigned clip_put_unit(
    const struct clip_unit *unit, struct rtp_place *place, struct buf *out, uint32_t *octets);
