// Probing children. See probe.h.
#include "supervisor/probe.h"

#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "lib/core/alloc.h"
#include "lib/core/buf.h"
#include "supervisor/child.h"
#include "supervisor/probe_child.h"
#include "supervisor/probe_report.h"

enum {
    PROBE_OOM_SCORE = 300,
};

#define PROBE_TIMEOUT_S 29.

struct probe {
    struct probes *probes; // NULL: nobody waits for it any more
    struct child *child;
    struct ev_loop *loop;
    ev_timer timer;
    struct buf answer;
    bool is_overlong;
    bool is_late;
    probe_done_fn done;
    void *arg;
};

struct probes {
    struct ev_loop *loop;
    char *const *const *environment;
    struct probe *slots[PROBE_AT_ONCE_MAX];
};

struct probes *probes_new(struct ev_loop *loop, char *const *const *environment)
{
    struct probes *probes = xcalloc(1, sizeof(*probes));
    probes->loop = loop;
    probes->environment = environment;
    return probes;
}

// Gives the answer away and leaves the slot to others.
static void probe_finish(struct probe *probe, json_t *report)
{
    struct probes *probes = probe->probes;
    for (size_t i = 0; i < PROBE_AT_ONCE_MAX; i++) {
        if (probes->slots[i] == probe)
            probes->slots[i] = NULL;
    }
    probe->probes = NULL;
    probe->done(probe->arg, report);
}

static json_t *probe_parse(struct probe *probe, int status)
{
    json_t *report = NULL;
    if (probe->is_late)
        return probe_report_failure("timeout", "the camera could not be looked at within 29 s");
    if (!probe->is_overlong && WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS)
        report = json_loadb((char *)probe->answer.data, probe->answer.size, 0, NULL);
    if (json_is_object(report))
        return report;
    json_decref(report);
    return probe_report_failure("unknown", "the program that looks at the camera has failed");
}

static void probe_line_cb(void *arg, const char *line)
{
    struct probe *probe = arg;
    size_t length = strlen(line);
    probe->is_overlong =
        probe->is_overlong || length > PROBE_CHILD_ANSWER_MAX - probe->answer.size - 1;
    if (probe->is_overlong)
        return;
    buf_put(&probe->answer, line, length);
    buf_put_u8(&probe->answer, '\n');
}

static void probe_end_cb(void *arg, int status)
{
    struct probe *probe = arg;
    ev_timer_stop(probe->loop, &probe->timer);
    if (probe->probes != NULL)
        probe_finish(probe, probe_parse(probe, status));
    buf_fini(&probe->answer);
    free(probe);
}

static void probe_timer_cb(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct probe *probe = timer->data;
    (void)loop;
    (void)events;
    probe->is_late = true;
    child_signal(probe->child, SIGKILL);
}

static struct child *probe_launch(struct probe *probe, const char *request, char **cause)
{
    // The very program that runs now, also when its file has been replaced meanwhile.
    char *const argv[] = {(char *)"/proc/self/exe", (char *)PROBE_CHILD_ARGUMENT, NULL};
    const struct child_spec spec = {
        .argv = argv,
        .environment = *probe->probes->environment,
        .death_signal = SIGKILL,
        .oom_score = PROBE_OOM_SCORE,
        .input = request,
        .progress = probe_line_cb,
        .end = probe_end_cb,
        .arg = probe,
    };
    return child_start(probe->loop, &spec, cause);
}

int probe_start(struct probes *probes, json_t *target, probe_done_fn done, void *arg,
    const char **code, char **cause)
{
    size_t slot = 0;
    while (slot < PROBE_AT_ONCE_MAX && probes->slots[slot] != NULL)
        slot++;
    if (slot == PROBE_AT_ONCE_MAX) {
        json_decref(target);
        *code = "busy";
        *cause = xasprintf("%d cameras are being looked at already; try again in half a minute",
            PROBE_AT_ONCE_MAX);
        return -1;
    }
    struct probe *probe = xcalloc(1, sizeof(*probe));
    *probe = (struct probe){.probes = probes, .loop = probes->loop, .done = done, .arg = arg};
    char *request = json_dumps(target, JSON_COMPACT);
    json_decref(target);
    bool fits = request != NULL && strlen(request) <= PROBE_CHILD_REQUEST_MAX;
    *code = "unknown";
    if (fits)
        probe->child = probe_launch(probe, request, cause);
    else
        *cause = xstrdup("the request is too long");
    free(request);
    if (probe->child == NULL) {
        free(probe);
        return -1;
    }
    probes->slots[slot] = probe;
    ev_timer_init(&probe->timer, probe_timer_cb, PROBE_TIMEOUT_S, 0.);
    probe->timer.data = probe;
    ev_timer_start(probe->loop, &probe->timer);
    return 0;
}

bool probes_are_idle(const struct probes *probes)
{
    for (size_t i = 0; i < PROBE_AT_ONCE_MAX; i++) {
        if (probes->slots[i] != NULL)
            return false;
    }
    return true;
}

void probes_end(struct probes *probes, const char *why)
{
    for (size_t i = 0; i < PROBE_AT_ONCE_MAX; i++) {
        struct probe *probe = probes->slots[i];
        if (probe == NULL)
            continue;
        child_signal(probe->child, SIGKILL);
        probe_finish(probe, probe_report_failure("stopped", why));
    }
}

void probes_free(struct probes *probes)
{
    if (probes == NULL)
        return;
    probes_end(probes, "keepframe is being stopped");
    free(probes);
}
