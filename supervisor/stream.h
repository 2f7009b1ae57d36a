// The life of one stream: an ffmpeg is started, watched, ended, and started again, for ever. What
// happens on which event in which state stands in one table in stream.c.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ev.h>

#include "lib/core/config.h"
#include "supervisor/adapt.h"
#include "supervisor/child.h"
#include "supervisor/clue.h"
#include "supervisor/complaint.h"
#include "supervisor/figures.h"
#include "supervisor/growth.h"
#include "supervisor/logcap.h"
#include "supervisor/mediaclock.h"
#include "supervisor/outage.h"
#include "supervisor/progress.h"
#include "supervisor/reason.h"
#include "supervisor/start_queue.h"
#include "supervisor/stream_host.h"
#include "supervisor/stream_run.h"
#include "supervisor/usage.h"
#include "supervisor/vitality.h"

// X(constant, name in answers)
#define STREAM_STATE_MAP(X)                                                                        \
    X(STREAM_OFF, "off")               /* not wanted */                                            \
    X(STREAM_WAITING, "waiting")       /* for the end of a pause, then for its turn to start */    \
    X(STREAM_CONNECTING, "connecting") /* ffmpeg runs, no frame yet */                             \
    X(STREAM_RECORDING, "recording")                                                               \
    X(STREAM_ENDING, "ending") /* ffmpeg was told to end */

enum stream_state {
#define X(constant, name) constant,
    STREAM_STATE_MAP(X)
#undef X
    STREAM_STATE_COUNT,
};

// X(constant, name in the log). Progress and growth are no events: they feed the vitality, whose
// judgement is. Nor is the exit alone: a child is over when its pipes have ended, too.
#define STREAM_EVENT_MAP(X)                                                                        \
    X(STREAM_EVENT_START, "start")       /* it is wanted */                                        \
    X(STREAM_EVENT_STOP, "stop")         /* it is not wanted any more */                           \
    X(STREAM_EVENT_RESTART, "restart")   /* it shall end and begin anew */                         \
    X(STREAM_EVENT_DUE, "due")           /* its pause is over */                                   \
    X(STREAM_EVENT_TURN, "turn")         /* its turn to start has come */                          \
    X(STREAM_EVENT_FRAME, "frame")       /* the first frame of the run */                          \
    X(STREAM_EVENT_FAILING, "failing")   /* its ffmpeg is judged to be of no use any more */       \
    X(STREAM_EVENT_PATIENCE, "patience") /* the time that it had to end is over */                 \
    X(STREAM_EVENT_OVER, "over")         /* the child is over */

enum stream_event {
#define X(constant, name) constant,
    STREAM_EVENT_MAP(X)
#undef X
    STREAM_EVENT_COUNT,
};

struct obituary;

// Others only read the fields.
struct stream {
    struct stream_host *host;
    char *camera;
    char *name;
    char *directory;                    // CACHE/CAMERA/STREAM
    const struct config_stream *config; // in host->config; NULL when it is no longer there
    enum stream_state state;
    int64_t state_since_us; // UTC
    bool is_wanted;
    bool is_hurried;        // a clean stop has no time for a long timeout
    ev_timer timer;         // the end of a pause, or of patience with ffmpeg
    struct start_turn turn; // its place in the queue for starts

    // The ffmpeg that runs.
    struct child *child;
    struct mask *mask; // of what the child was given
    struct stream_run run;
    int64_t launch_us;      // monotonic, as all below
    int64_t first_frame_us; // of this run; 0: it had none
    struct progress progress;
    struct growth growth;
    struct vitality vitality;
    struct mediaclock clock;
    bool has_spoken; // this run has, so the log's last line is its own
    struct clue clue;
    enum reason end_reason;          // why we ended it; REASON_NONE when it was not us
    char *end_words;                 // what explains that; may be NULL
    const struct obituary *obituary; // while STREAM_EVENT_OVER is told

    // What stays over its runs.
    struct logcap *log;
    unsigned failures;       // in a row
    enum reason last_reason; // of the last run's end, or of the last failed start
    char *last_words;        // what explained it; NULL when nothing did
    struct complaint complaint;
    struct figures figures;
    struct usage usage;
    struct outage outage; // its hooks' business, see alarm.h
    struct adapt adapt;
};

const char *stream_state_name(enum stream_state state);
const char *stream_event_name(enum stream_event event);

// A stream that is off. `config` is in host->config.
struct stream *stream_new(struct stream_host *host, const struct config_stream *config);

// Must be off.
void stream_free(struct stream *stream);

// Wants the stream: starts it, when its turn comes.
void stream_start(struct stream *stream);

// No longer wants it. host->idle is called when it is off, at once if it is already.
void stream_stop(struct stream *stream, enum reason reason);

// Ends what runs and starts anew at once, also out of a pause. Does nothing to one that is off.
void stream_restart(struct stream *stream, enum reason reason);

// Once a second: looks at the files, ends what shows no life.
void stream_tick(struct stream *stream, int64_t now_us);

// Forgets the silence so far: the loop itself was held up and could not listen.
void stream_forgive(struct stream *stream, int64_t now_us);

// For the stream's own files: something has happened. The stream may be gone after a stop and after
// the end of its child.
void stream_event(struct stream *stream, enum stream_event event);

// For the stream's own files: what is wrong with it now.
void stream_set_reason(struct stream *stream, enum reason reason, const char *words);
