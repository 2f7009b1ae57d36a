// A supervised program of ours. See service.h.
#include "supervisor/service.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "lib/core/alloc.h"
#include "lib/core/log.h"
#include "lib/core/timeutil.h"
#include "supervisor/backoff.h"
#include "supervisor/child.h"

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
    int64_t start_us; // monotonic
    unsigned failures;
    uint64_t restarts;
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
    uint32_t random = 0;
    ssize_t ignored = getrandom(&random, sizeof(random), GRND_NONBLOCK);
    (void)ignored;
    service->failures++;
    service->restarts++;
    int64_t delay_ms = backoff_delay_ms(service->failures, random);
    log_err("%s; next start in %.1f s", what, (double)delay_ms / 1000);
    ev_timer_set(&service->timer, (double)delay_ms / 1000, 0.);
    ev_timer_start(service->loop, &service->timer);
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
    char *what;
    if (WIFSIGNALED(status))
        what = xasprintf("%s was ended by signal %d", service_name(service), WTERMSIG(status));
    else
        what = xasprintf("%s ended with %d%s", service_name(service), WEXITSTATUS(status),
            WEXITSTATUS(status) == EX_CONFIG ? " (what it lacks is said above)" : "");
    service_pause(service, what);
    free(what);
}

static void service_launch(struct service *service)
{
    char *cause = NULL;
    char *program = service_program(service->argv[0]);
    char *name = service->argv[0];
    service->argv[0] = program;
    const struct child_spec spec = {
        .argv = service->argv,
        .environment = service->environment,
        .death_signal = SIGTERM,
        .oom_score = service->oom_score,
        .end = service_end_cb,
        .arg = service,
    };
    service->start_us = time_monotonic_us();
    service->child = child_start(service->loop, &spec, &cause);
    service->argv[0] = name;
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
    free(service);
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

void service_stop(struct service *service)
{
    service->is_wanted = false;
    ev_timer_stop(service->loop, &service->timer);
    if (service->child != NULL)
        child_signal(service->child, SIGTERM);
    else
        service->idle(service->arg);
}

void service_restart(struct service *service)
{
    if (!service->is_wanted || service->child == NULL)
        return;
    service->is_restarting = true;
    child_signal(service->child, SIGTERM);
}

void service_signal(struct service *service, int signal_number)
{
    if (service->child != NULL)
        child_signal(service->child, signal_number);
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
