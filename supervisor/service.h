// Another of our programs (indexer, webui) as a supervised child: started, started again when it
// ends, stopped. It shares our stderr. One that lives but does not answer is noticed too: its main
// loop gives a heartbeat (lib/core/heartbeat.h), and when that stays away it is ended (SIGTERM,
// patience, SIGKILL) and started again.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <ev.h>
#include <jansson.h>

#include "supervisor/handover.h"

struct service;

struct service_patience {
    int64_t start_us;   // from the start to the first heartbeat: a catalog may have to be converted
    int64_t silence_us; // from one heartbeat to the next
    int64_t end_us;     // from SIGTERM to SIGKILL
};

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

// Replaces the default patience: 10 min, 60 s, 10 s.
void service_set_patience(struct service *service, const struct service_patience *patience);

void service_start(struct service *service);

// No longer wants it: sends SIGTERM. The idle function is called when it has ended, at once if it
// does not run.
void service_stop(struct service *service);

// Ends it and starts it anew, if it is wanted.
void service_restart(struct service *service);

// Sends a signal, if it runs. A SIGHUP to one that is still starting is sent once it has started:
// it may have read its configuration already, and have no handler yet.
void service_signal(struct service *service, int signal_number);

// Once a second: ends what gives no heartbeat, kills what does not end. Monotonic time.
void service_tick(struct service *service, int64_t now_us);

// Forgets the silence so far: the loop itself was held up and could not listen.
void service_forgive(struct service *service, int64_t now_us);

const char *service_name(const struct service *service);
bool service_is_wanted(const struct service *service);
pid_t service_pid(const struct service *service); // 0 while it does not run
uint64_t service_restarts(const struct service *service);
uint64_t service_hangs(const struct service *service); // how often it was ended for its silence

// When it gave its last heartbeat (monotonic); 0 before the first since its start.
int64_t service_heartbeat_us(const struct service *service);

// Why it last ended without being told to, as a sentence; NULL when it never did.
const char *service_last_failure(const struct service *service);

// Goes on after an exec of ours. The service must be new, with its patience and environment set.
json_t *service_hand_over(struct handover_writer *writer, const struct service *service);
void service_take_over(struct handover_reader *reader, json_t *object, struct service *service);
