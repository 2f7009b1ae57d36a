// Runs hooks: commands and webhooks as children, a bounded number at once, each for a bounded time.
// Nothing here waits for one. What fails is logged and counted.
#pragma once

#include <stdbool.h>

#include <ev.h>
#include <jansson.h>

#include "lib/core/config.h"
#include "supervisor/handover.h"
#include "supervisor/hookqueue.h"

struct hooks;

// Called when hooks_stop() was called and the last hook has ended.
typedef void (*hooks_idle_fn)(void *arg);

struct hooks *hooks_new(struct ev_loop *loop, hooks_idle_fn idle, void *arg);

// None may run any more.
void hooks_free(struct hooks *hooks);

// What the commands get beside the event; it must live until it is replaced.
void hooks_set_environment(struct hooks *hooks, char *const *environment);

// Runs what the hook says, now or as soon as there is a place. `hook` may be NULL: then nothing is
// to be done. Takes the event (hookevent_new()).
void hooks_post(struct hooks *hooks, enum hook_kind kind, const struct config_hook *hook,
    const char *camera, const char *stream, json_t *event);

// Forgets what waits, takes nothing more, and ends what runs. hooks_signal() is for the impatient.
void hooks_stop(struct hooks *hooks);
void hooks_signal(struct hooks *hooks, int signal_number);
bool hooks_are_idle(const struct hooks *hooks);

// {"running", "waiting", "by_event": {"stream_down": {"run", "failed", "dropped"}, …}}
json_t *hooks_status(const struct hooks *hooks);

// Goes on after an exec of ours, with what waits and with what runs. It must be new.
json_t *hooks_hand_over(struct handover_writer *writer, const struct hooks *hooks);
void hooks_take_over(struct handover_reader *reader, json_t *object, struct hooks *hooks);
