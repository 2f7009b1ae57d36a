// The life of one stream: an ffmpeg is started, watched, ended, and started again, for ever. What
// happens on which event in which state stands in one table in stream.c.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <ev.h>

#include "lib/core/config.h"
#include "supervisor/adapt.h"
#include "supervisor/child.h"
#include "supervisor/clue.h"
#include "supervisor/figures.h"
#include "supervisor/growth.h"
#include "supervisor/logcap.h"
#include "supervisor/outage.h"
#include "supervisor/progress.h"
#include "supervisor/reason.h"
#include "supervisor/stream_run.h"
#include "supervisor/usage.h"
#include "supervisor/vitality.h"

// X(constant, name in answers)
#define STREAM_STATE_MAP(X)                                                                        \
    X(STREAM_OFF, "off")               /* not wanted */                                            \
    X(STREAM_WAITING, "waiting")       /* for the next start */                                    \
    X(STREAM_CONNECTING, "connecting") /* ffmpeg runs, no frame yet */                             \
    X(STREAM_RECORDING, "recording")                                                               \
    X(STREAM_ENDING, "ending") /* ffmpeg was told to end */

enum stream_state {
#define X(constant, name) constant,
    STREAM_STATE_MAP(X)
#undef X
    STREAM_STATE_COUNT,
};

struct stream;

// What all streams share. It must outlive them.
struct stream_host {
    struct ev_loop *loop;
    const struct config *config;
    char **environment;    // of the ffmpegs
    int64_t next_start_us; // monotonic: starts keep a distance from each other
    void (*idle)(struct stream *stream, void *arg); // a stream that is not wanted has become off
    void *arg;
};

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
    bool has_start_slot; // its turn is reserved, the timer waits for it
    ev_timer timer;      // next start, or the end of patience with ffmpeg

    struct child *child;
    struct mask *mask; // of what the child was given
    struct stream_run run;
    int64_t launch_us;      // monotonic, as all below
    int64_t first_frame_us; // of this run; 0: it had none
    struct progress progress;
    struct growth growth;
    struct vitality vitality;
    enum reason end_reason; // why we ended it; REASON_NONE when it was not us
    struct clue clue;
    struct adapt adapt;

    struct logcap *log;
    bool has_spoken;         // this run has, so the log's last line is its own
    unsigned failures;       // in a row
    enum reason last_reason; // of the last run's end, or of the last failed start
    char *last_words;        // what explained it; NULL when nothing did
    struct figures figures;
    struct usage usage;
    struct outage outage; // its hooks' business, see alarm.h
};

const char *stream_state_name(enum stream_state state);

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
