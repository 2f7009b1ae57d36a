// What a camera announces in its answer to DESCRIBE: an SDP text (RFC 8866) as RTSP uses it
// (RFC 2326, C.1). Pure; any bytes are taken, what makes no sense is passed over.
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum {
    PROBE_SDP_SIZE_MAX = 65536, // what lies behind is not looked at
    PROBE_SDP_NAME_SIZE = 32,
    PROBE_SDP_CONTROL_SIZE = 1024,
};

struct probe_sdp_media {
    bool is_there;
    bool is_named;                        // the encoding was told
    int payload;                          // the first payload type; -1 when there is none
    char encoding[PROBE_SDP_NAME_SIZE];   // as "H264"; empty when not told
    int clock_rate;                       // Hz; 0 when not told
    double framerate;                     // frames a second; 0 when not told
    char control[PROBE_SDP_CONTROL_SIZE]; // empty when not told
};

struct probe_sdp {
    char control[PROBE_SDP_CONTROL_SIZE]; // of the whole session
    struct probe_sdp_media video, audio;  // the first of each kind
};

// Returns whether the text is an SDP description at all (has its version line).
bool probe_sdp_parse(const char *text, size_t size, struct probe_sdp *sdp);

// The address for SETUP: `control` against the base of the session. The caller owns it.
char *probe_sdp_address(const char *base, const char *control);
