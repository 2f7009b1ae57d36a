// `keepframe run`: the whole supervisor, from its checks at the start to its clean stop.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ev.h>

#include "lib/core/config.h"
#include "lib/core/ctl.h"
#include "supervisor/disabled.h"
#include "supervisor/hooks.h"
#include "supervisor/loopmeter.h"
#include "supervisor/probe.h"
#include "supervisor/reload.h"
#include "supervisor/reloader.h"
#include "supervisor/service.h"
#include "supervisor/stream.h"
#include "supervisor/upgrade.h"

struct daemon {
    struct ev_loop *loop;
    struct config_source source;
    char **argv;
    struct config *config;
    int lock_fds[2]; // held for life: the runtime directory's and the cache's
    struct stream_host host;
    struct stream **streams; // ascending by camera, then by name
    size_t stream_count, stream_capacity;
    struct disabled disabled; // by a command
    struct reloader *reloader;
    struct hooks *hooks;
    struct service *indexer;
    struct service *webui;
    char **full_environment;  // of the indexer
    char **clean_environment; // of the others, without secrets
    struct ctl_server *control;
    int control_fd; // its listening socket, while a supervisor before us has left it; else -1
    struct probes *probes;
    struct upgrade *upgrade;
    char *predecessor; // the version that was here before an upgrade, or NULL
    bool is_stopping;
    bool is_stopping_services;
    bool has_stopped;
    int64_t start_us; // UTC
    int64_t tick_us;  // monotonic, the last one
    uint64_t ticks;
    int64_t stop_us; // monotonic, when it was told to stop

    struct loopmeter meter;
    ev_io control_watcher;
    ev_timer tick;
    ev_timer patience; // while stopping
    ev_signal terminate, interrupt, hangup, state_to_log, replace;
};

// Runs until it is told to stop. Returns the exit code. `argv` is the process's own.
int daemon_run(const struct config_source *source, char **argv);

// Takes the configuration over and does what the plan says, which was made of it and of the one
// before.
void daemon_apply(struct daemon *daemon, struct config *config, const struct reload_plan *plan);

// Begins a clean stop; the second call is in a hurry.
void daemon_stop(struct daemon *daemon);

struct stream *daemon_find_stream(
    const struct daemon *daemon, const char *camera, const char *stream);

// For the daemon's own files. The first makes all parts but the streams and the control server, the
// second watches what there is, the third puts in a stream of that name, which must be new.
void daemon_make_parts(struct daemon *daemon);
void daemon_watch(struct daemon *daemon);
void daemon_put_stream(struct daemon *daemon, struct stream *stream);
void daemon_apply_plan(struct daemon *daemon, const struct reload_plan *plan);

// Listens on the socket that a supervisor before us has left. Returns NULL with *cause set.
struct ctl_server *daemon_adopt_control(struct daemon *daemon, const char *path, char **cause);
