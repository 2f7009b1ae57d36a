// Another of our programs (indexer, webui) as a supervised child: started, started again when it
// ends, stopped. It shares our stderr.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <ev.h>

struct service;

// Called when a service that is not wanted has ended.
typedef void (*service_idle_fn)(void *arg);

// A service that is not started. `argv` (argv[0] a name, looked for beside our own program, then in
// PATH) is copied; `oom_score` is as in child.h.
struct service *service_new(
    struct ev_loop *loop, const char *const *argv, int oom_score, service_idle_fn idle, void *arg);

// Must have ended.
void service_free(struct service *service);

// Takes a new environment for the next start; it must live until it is replaced. NULL: ours.
void service_set_environment(struct service *service, char *const *environment);

void service_start(struct service *service);

// No longer wants it: sends SIGTERM. The idle function is called when it has ended, at once if it
// does not run.
void service_stop(struct service *service);

// Ends it and starts it anew, if it is wanted.
void service_restart(struct service *service);

void service_signal(struct service *service, int signal_number);

const char *service_name(const struct service *service);
bool service_is_wanted(const struct service *service);
pid_t service_pid(const struct service *service); // 0 while it does not run
uint64_t service_restarts(const struct service *service);
