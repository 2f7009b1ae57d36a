// A supervised program of ours. See service.h.
#include "supervisor/service.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "lib/core/alloc.h"
#include "lib/core/heartbeat.h"
#include "lib/core/log.h"
#include "lib/core/timeutil.h"
#include "supervisor/backoff.h"
#include "supervisor/child.h"
#include "supervisor/spawn.h"

static const struct service_patience service_default_patience = {
    .start_us = 600 * US_PER_SECOND,
    .silence_us = 60 * US_PER_SECOND,
    .end_us = 10 * US_PER_SECOND,
};

struct service {
    struct ev_loop *loop;
    char **argv;
    char *const *environment;
    int oom_score;
    service_idle_fn idle;
    void *arg;
    bool is_wanted;
    bool is_restarting; // its end is no failure
    ev_timer timer;     // the next start
    struct child *child;
    struct service_patience patience;
    int64_t start_us;   // monotonic, as all below
    int64_t sign_us;    // last heartbeat; the start before the first
    int64_t end_us;     // when it was told to end; 0: it was not
    bool has_beaten;    // since this start
    bool is_hangup_due; // a SIGHUP waits for the first heartbeat
    bool is_killed;     // for not ending
    bool is_hung;       // the reason why it was told to end
    unsigned failures;
    uint64_t restarts;
    uint64_t hangs;
    char *last_failure;
};

// The program beside our own, if it is there, else the bare name, for PATH.
static char *service_program(const char *name)
{
    char self[4096];
    ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (length > 0) {
        self[length] = '\0';
        char *slash = strrchr(self, '/');
        slash[1] = '\0';
        char *path = xasprintf("%s%s", self, name);
        if (access(path, X_OK) == 0)
            return path;
        free(path);
    }
    return xstrdup(name);
}

static void service_pause(struct service *service, const char *what)
{
    service->failures++;
    service->restarts++;
    int64_t delay_ms = backoff_pause_ms(service->failures);
    log_err("%s; next start in %.1f s", what, (double)delay_ms / 1000);
    free(service->last_failure);
    service->last_failure = xstrdup(what);
    ev_timer_set(&service->timer, (double)delay_ms / 1000, 0.);
    ev_timer_start(service->loop, &service->timer);
}

// Says how it ended, in a sentence.
static char *service_obituary(const struct service *service, int status)
{
    const char *name = service_name(service);
    if (service->is_hung)
        return xasprintf("%s gave no sign of life for %.0f s and was %s", name,
            (double)(service->end_us - service->sign_us) / US_PER_SECOND,
            service->is_killed ? "killed" : "ended");
    if (WIFSIGNALED(status))
        return xasprintf("%s was ended by signal %d", name, WTERMSIG(status));
    return xasprintf("%s ended with %d%s", name, WEXITSTATUS(status),
        WEXITSTATUS(status) == EX_CONFIG ? " (what it lacks is said above)" : "");
}

static void service_end_cb(void *arg, int status)
{
    struct service *service = arg;
    bool was_stable = time_monotonic_us() - service->start_us >= BACKOFF_STABLE_US;
    service->child = NULL;
    if (was_stable || service->is_restarting)
        service->failures = 0;
    if (!service->is_wanted) {
        log_info("%s has ended", service_name(service));
        service->idle(service->arg);
        return;
    }
    if (service->is_restarting) {
        service->is_restarting = false;
        service_start(service);
        return;
    }
    char *what = service_obituary(service, status);
    service_pause(service, what);
    free(what);
}

static void service_beat_cb(void *arg, const char *line)
{
    struct service *service = arg;
    (void)line;
    service->sign_us = time_monotonic_us();
    service->has_beaten = true;
    if (service->is_hangup_due)
        child_signal(service->child, SIGHUP);
    service->is_hangup_due = false;
}

// The environment with the heartbeat's descriptor in it. The strings are the original's.
static char **service_environment(const struct service *service)
{
    static char variable[32];
    char *const *original = service->environment ? service->environment : environ;
    size_t count = 0;
    while (original[count] != NULL)
        count++;
    char **copy = xcalloc(count + 2, sizeof(char *));
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (strncmp(original[i], HEARTBEAT_VARIABLE "=", sizeof(HEARTBEAT_VARIABLE)) != 0)
            copy[kept++] = original[i];
    }
    snprintf(variable, sizeof(variable), HEARTBEAT_VARIABLE "=%d", SPAWN_PROGRESS_FD);
    copy[kept] = variable;
    return copy;
}

static void service_begin(struct service *service)
{
    service->start_us = service->sign_us = time_monotonic_us();
    service->end_us = 0;
    service->has_beaten = service->is_hangup_due = false;
    service->is_hung = service->is_killed = false;
}

// What is done with its signs of life, and with its end.
static struct child_spec service_spec(struct service *service)
{
    return (struct child_spec){
        .argv = service->argv,
        .death_signal = SIGTERM,
        .oom_score = service->oom_score,
        .ignores_hangup = true,
        .progress = service_beat_cb,
        .end = service_end_cb,
        .arg = service,
    };
}

static void service_launch(struct service *service)
{
    char *cause = NULL;
    char *program = service_program(service->argv[0]);
    char *name = service->argv[0];
    char **environment = service_environment(service);
    service->argv[0] = program;
    struct child_spec spec = service_spec(service);
    spec.environment = environment;
    service_begin(service);
    service->child = child_start(service->loop, &spec, &cause);
    service->argv[0] = name;
    free(environment);
    free(program);
    if (service->child == NULL) {
        service_pause(service, cause);
        free(cause);
        return;
    }
    log_debug("%s started as %d", name, (int)child_pid(service->child));
}

static void service_timer_cb(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    service_launch(timer->data);
}

struct service *service_new(
    struct ev_loop *loop, const char *const *argv, int oom_score, service_idle_fn idle, void *arg)
{
    struct service *service = xcalloc(1, sizeof(*service));
    size_t count = 0;
    while (argv[count] != NULL)
        count++;
    service->argv = xcalloc(count + 1, sizeof(char *));
    for (size_t i = 0; i < count; i++)
        service->argv[i] = xstrdup(argv[i]);
    service->loop = loop;
    service->oom_score = oom_score;
    service->patience = service_default_patience;
    service->idle = idle;
    service->arg = arg;
    ev_timer_init(&service->timer, service_timer_cb, 0., 0.);
    service->timer.data = service;
    return service;
}

void service_free(struct service *service)
{
    if (service == NULL)
        return;
    ev_timer_stop(service->loop, &service->timer);
    for (char **arg = service->argv; *arg != NULL; arg++)
        free(*arg);
    free(service->argv);
    free(service->last_failure);
    free(service);
}

void service_set_patience(struct service *service, const struct service_patience *patience)
{
    service->patience = *patience;
}

void service_set_environment(struct service *service, char *const *environment)
{
    service->environment = environment;
}

void service_start(struct service *service)
{
    service->is_wanted = true;
    if (service->child == NULL && !ev_is_active(&service->timer))
        service_launch(service);
}

// Tells it to end; service_tick() sees to it that it does.
static void service_terminate(struct service *service)
{
    if (service->end_us == 0)
        service->end_us = time_monotonic_us();
    child_signal(service->child, SIGTERM);
}

void service_stop(struct service *service)
{
    service->is_wanted = false;
    ev_timer_stop(service->loop, &service->timer);
    if (service->child != NULL)
        service_terminate(service);
    else
        service->idle(service->arg);
}

void service_restart(struct service *service)
{
    if (!service->is_wanted || service->child == NULL)
        return;
    service->is_restarting = true;
    service_terminate(service);
}

void service_signal(struct service *service, int signal_number)
{
    if (service->child == NULL)
        return;
    if (signal_number == SIGHUP && !service->has_beaten)
        service->is_hangup_due = true;
    else
        child_signal(service->child, signal_number);
}

void service_tick(struct service *service, int64_t now_us)
{
    if (service->child == NULL)
        return;
    const struct service_patience *patience = &service->patience;
    int64_t silence_us = service->has_beaten ? patience->silence_us : patience->start_us;
    if (service->end_us == 0 && now_us - service->sign_us > silence_us) {
        log_err("%s (pid %d) gives no sign of life, it is ended", service_name(service),
            (int)child_pid(service->child));
        service->is_hung = true;
        service->hangs++;
        service_terminate(service);
    } else if (service->end_us != 0 && !service->is_killed &&
               now_us - service->end_us > patience->end_us) {
        log_warn("%s does not end, it is killed", service_name(service));
        service->is_killed = true;
        child_signal(service->child, SIGKILL);
    }
}

void service_forgive(struct service *service, int64_t now_us)
{
    service->sign_us = now_us;
}

const char *service_name(const struct service *service)
{
    return service->argv[0];
}

bool service_is_wanted(const struct service *service)
{
    return service->is_wanted;
}

pid_t service_pid(const struct service *service)
{
    return service->child ? child_pid(service->child) : 0;
}

uint64_t service_restarts(const struct service *service)
{
    return service->restarts;
}

uint64_t service_hangs(const struct service *service)
{
    return service->hangs;
}

int64_t service_heartbeat_us(const struct service *service)
{
    return service->child && service->has_beaten ? service->sign_us : 0;
}

const char *service_last_failure(const struct service *service)
{
    return service->last_failure;
}

// --- Over an exec of ours

static const struct handover_field service_fields[] = {
    HANDOVER_SKIP(struct service, loop),
    HANDOVER_SKIP(struct service, argv),
    HANDOVER_SKIP(struct service, environment),
    HANDOVER_SKIP(struct service, oom_score),
    HANDOVER_SKIP(struct service, idle),
    HANDOVER_SKIP(struct service, arg),
    HANDOVER_VALUE(struct service, is_wanted),
    HANDOVER_VALUE(struct service, is_restarting),
    HANDOVER_SKIP(struct service, timer), // see below
    HANDOVER_SKIP(struct service, child),
    HANDOVER_SKIP(struct service, patience),
    HANDOVER_VALUE(struct service, start_us),
    HANDOVER_VALUE(struct service, sign_us),
    HANDOVER_VALUE(struct service, end_us),
    HANDOVER_VALUE(struct service, has_beaten),
    HANDOVER_VALUE(struct service, is_hangup_due),
    HANDOVER_VALUE(struct service, is_killed),
    HANDOVER_VALUE(struct service, is_hung),
    HANDOVER_VALUE(struct service, failures),
    HANDOVER_VALUE(struct service, restarts),
    HANDOVER_VALUE(struct service, hangs),
    HANDOVER_VALUE(struct service, last_failure),
};
static const struct handover_table service_table = HANDOVER_TABLE(struct service, service_fields);

json_t *service_hand_over(struct handover_writer *writer, const struct service *service)
{
    return json_pack("{s:o, s:o, s:o}", "fields", handover_write(&service_table, service), "timer",
        handover_timer(service->loop, &service->timer), "child",
        service->child ? child_hand_over(writer, service->child) : json_null());
}

void service_take_over(struct handover_reader *reader, json_t *object, struct service *service)
{
    handover_read(
        reader, handover_take(reader, object, "fields", JSON_OBJECT), &service_table, service);
    handover_take_timer(reader, object, "timer", service->loop, &service->timer);
    json_t *child = handover_take_or_null(reader, object, "child", JSON_OBJECT);
    const struct child_spec spec = service_spec(service);
    if (child != NULL)
        service->child = child_take_over(reader, child, service->loop, &spec);
    handover_end(reader, object);
    if (service->is_wanted && child == NULL && !ev_is_active(&service->timer))
        handover_fail(reader, "the state of %s contradicts itself", service_name(service));
}
