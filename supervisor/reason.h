// Why a run of a stream ended, or could not begin. The names are the same in run files, status,
// metrics and log. Pure.
#pragma once

#include <stdbool.h>

// X(constant, name, what it is)
#define REASON_MAP(X)                                                                              \
    /* What the camera or the network did. */                                                      \
    X(REASON_UNAUTHORIZED, "unauthorized", REASON_FAILURE)                                         \
    X(REASON_NOT_FOUND, "not_found", REASON_FAILURE)                                               \
    X(REASON_REFUSED, "refused", REASON_FAILURE)                                                   \
    X(REASON_UNREACHABLE, "unreachable", REASON_FAILURE)                                           \
    X(REASON_UNRESOLVED, "unresolved", REASON_FAILURE)                                             \
    X(REASON_CLOSED, "closed", REASON_FAILURE)                                                     \
    X(REASON_TIMEOUT, "timeout", REASON_FAILURE)                                                   \
    /* We ended it: neither progress nor growth, no video, no key frame, a clock that jumped. */   \
    X(REASON_STALLED, "stalled", REASON_FAILURE)                                                   \
    X(REASON_NO_FRAMES, "no_frames", REASON_FAILURE)                                               \
    X(REASON_NO_KEYFRAME, "no_keyframe", REASON_FAILURE)                                           \
    X(REASON_CLOCK_JUMP, "clock_jump", REASON_FAILURE)                                             \
    /* What can not be recorded so. */                                                             \
    X(REASON_CODEC, "codec", REASON_FAILURE)                                                       \
    X(REASON_NO_VIDEO, "no_video", REASON_FAILURE)                                                 \
    X(REASON_CONFIGURATION, "configuration", REASON_FAILURE)                                       \
    /* This machine. */                                                                            \
    X(REASON_NO_SPACE, "no_space", REASON_FAILURE)                                                 \
    X(REASON_KILLED, "killed", REASON_FAILURE)                                                     \
    X(REASON_START_FAILED, "start_failed", REASON_FAILURE)                                         \
    X(REASON_SUPERVISOR_DIED, "supervisor_died", REASON_FAILURE)                                   \
    X(REASON_UNKNOWN, "unknown", REASON_FAILURE)                                                   \
    /* Somebody wanted it so. */                                                                   \
    X(REASON_STOPPED, "stopped", REASON_PLANNED)                                                   \
    X(REASON_RELOAD, "reload", REASON_PLANNED)                                                     \
    X(REASON_RESTART, "restart", REASON_PLANNED)                                                   \
    X(REASON_DISABLED, "disabled", REASON_PLANNED)                                                 \
    X(REASON_REMOVED, "removed", REASON_PLANNED)

enum reason_kind {
    REASON_FAILURE,
    REASON_PLANNED,
};

enum reason {
    REASON_NONE, // there is none: nothing has ended
#define X(constant, name, kind) constant,
    REASON_MAP(X)
#undef X
    REASON_COUNT,
};

// NULL for REASON_NONE.
const char *reason_name(enum reason reason);

// False for REASON_NONE, too.
bool reason_is_planned(enum reason reason);
