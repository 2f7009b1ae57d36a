// DESCRIBE and SETUP by libcurl: whether the camera lets us in, what it announces, and which
// transport it takes. Blocks; only the probing child calls it. libcurl speaks rtsp:// only.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "supervisor/probe_fault.h"
#include "supervisor/probe_sdp.h"
#include "supervisor/probe_target.h"

enum probe_transport {
    PROBE_TRANSPORT_TCP,
    PROBE_TRANSPORT_UDP,
};

struct probe_rtsp {
    char *server;                   // what it calls itself, or NULL
    char *schemes;                  // of the login, as "Digest, Basic"; NULL: none was asked for
    struct probe_sdp sdp;           // what it announces
    bool is_refused[2];             // by transport: SETUP said no
    enum probe_transport transport; // that the camera took
};

// `wanted` is tried first, then the other one. Ends before `deadline_us` (monotonic). Returns 0, or
// -1 with *fault set. Release with probe_rtsp_fini() in any case.
int probe_rtsp_ask(const struct probe_target *target, enum probe_transport wanted,
    int64_t deadline_us, struct probe_rtsp *rtsp, struct probe_fault *fault);
void probe_rtsp_fini(struct probe_rtsp *rtsp);
