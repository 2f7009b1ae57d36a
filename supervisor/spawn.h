// The one place that forks and execs: descriptors, signals, limits, and how a child is told that we
// have died. It knows no loop; what comes after the exec is child.h's.
//
// To be called from the main thread only: the kernel sends the death signal when the thread that
// forked has ended.
#pragma once

#include <stdbool.h>
#include <sys/types.h>

enum {
    SPAWN_INPUT_FD = 3,
    SPAWN_PROGRESS_FD = 4,
};

struct spawn_spec {
    char *const *argv;        // argv[0] is looked up in PATH unless it has a slash
    char *const *environment; // NULL: ours
    int death_signal;         // what it gets when we die
    int oom_score;            // added to ours
    bool ignores_hangup;      // until it has a handler of its own; all else is as after a login
    const char *input;        // what it can read from SPAWN_INPUT_FD, or NULL
    bool input_is_stdin;      // it reads that from its standard input instead
    int input_fd;             // what it gets as SPAWN_INPUT_FD in place of an input; 0: nothing
    bool has_progress;        // a pipe from its SPAWN_PROGRESS_FD to us
    bool has_error;           // a pipe from its stdout and stderr; else they are our stderr
};

// Our ends of its pipes, -1 where there is none.
struct spawn_pipes {
    int progress;
    int error;
};

// Starts a program and waits until it is executed. Returns its pid, which is its process group and
// session too, with close-on-exec descriptors in `pipes` that are the caller's; or -1 with *cause
// set.
pid_t spawn(const struct spawn_spec *spec, struct spawn_pipes *pipes, char **cause);
