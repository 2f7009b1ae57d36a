// Child processes, from their start (spawn.h) over what they say (childpipe.h) to their end. A
// child is over only after it has exited and all its pipes have ended; pipes that something else
// has inherited are given up after a grace, and what is left in the child's process group ends
// then. One that closes its pipes and lives on is not over.
//
// Every child begins with no inherited descriptor but its own, an empty signal mask, default
// handlers and a session of its own (a Ctrl-C in the terminal reaches us alone), and gets a signal
// when we die, whatever kills us.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <ev.h>
#include <jansson.h>

#include "supervisor/handover.h"

struct child;

// A line without its end; control characters stand in it as they came.
typedef void (*child_line_fn)(void *arg, const char *line);

// `status` is as waitpid(2) gives it. The child is freed when the function returns.
typedef void (*child_end_fn)(void *arg, int status);

struct child_spec {
    char *const *argv;        // argv[0] is looked up in PATH unless it has a slash
    char *const *environment; // NULL: ours
    int death_signal;         // what it gets when we die
    int oom_score;            // added to ours, so that the right one dies when memory is short
    bool ignores_hangup;      // SIGHUP does nothing to it until it has a handler of its own
    const char *input;        // what it can read from descriptor 3, or NULL
    bool input_is_stdin;      // it reads that from its standard input instead
    int input_fd;             // what it has as descriptor 3 in place of an input; 0: nothing
    child_line_fn progress;   // gets the lines that it writes to descriptor 4, or NULL
    child_line_fn error;      // gets the lines of its stderr; NULL: it shares ours
    child_end_fn end;
    void *arg;
};

// Starts a child; `loop` must be libev's default loop. Returns NULL with *cause set when it can not
// be executed; no function is called then.
struct child *child_start(struct ev_loop *loop, const struct child_spec *spec, char **cause);

pid_t child_pid(const struct child *child);

// The processor time that it has used, and what it has waited for, once it has exited; 0 before.
int64_t child_cpu_us(const struct child *child);

// Sends a signal to its process group (a wrapper script's ffmpeg is in it too), unless the child
// has exited already.
void child_signal(const struct child *child, int signal_number);

// A child that lives on over an exec of ours: with what its pipes hold, half a line included, and
// the exit that nobody has been told of yet. The spec says what is done with what it says and with
// its end, as for child_start(); what it was started with does not matter any more. Never NULL.
json_t *child_hand_over(struct handover_writer *writer, const struct child *child);
struct child *child_take_over(struct handover_reader *reader, json_t *object, struct ev_loop *loop,
    const struct child_spec *spec);

// Runs a program to its end and returns what it wrote to stdout and stderr, at most 64 KiB of it.
// Blocks for `timeout_ms` at most, so it is for the start only. Returns NULL with *cause set on
// failure.
char *child_capture(char *const *argv, int timeout_ms, char **cause);
