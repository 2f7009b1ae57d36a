// Runs hooks. See hooks.h.
#include "supervisor/hooks.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "lib/core/alloc.h"
#include "lib/core/log.h"
#include "lib/core/text.h"
#include "lib/core/timeutil.h"
#include "supervisor/child.h"
#include "supervisor/environment.h"
#include "supervisor/hookevent.h"
#include "supervisor/mask.h"
#include "supervisor/webhook.h"

enum {
    HOOKS_OOM_SCORE = 500,
};

#define HOOKS_WEBHOOK_SPARE_US (US_PER_SECOND / 2) // so that a late webhook can say so itself
#define HOOKS_DROPS_TOLD_US (60 * US_PER_SECOND)   // a flood is told so often

#define HOOKS_JSON (JSON_COMPACT | JSON_REAL_PRECISION(15)) // 10.2, not 10.199999999999999

// One that runs.
struct hooks_run {
    struct hooks *hooks;
    struct hook_job *job;
    struct child *child;
    ev_timer patience;
    bool is_late;    // it was killed
    char *last_line; // of its stderr
    struct hooks_run *next;
};

struct hooks_count {
    uint64_t run, failed;
    uint64_t failures; // in a row
};

struct hooks {
    struct ev_loop *loop;
    hooks_idle_fn idle;
    void *arg;
    char *const *environment;
    struct hookqueue queue;
    struct hooks_run *runs;
    bool is_stopped;
    struct hooks_count counts[HOOK_KIND_COUNT];
    int64_t drops_told_us; // monotonic
    uint64_t drops_untold;
};

static void hooks_go_on(struct hooks *hooks);

struct hooks *hooks_new(struct ev_loop *loop, hooks_idle_fn idle, void *arg)
{
    struct hooks *hooks = xcalloc(1, sizeof(*hooks));
    hooks->loop = loop;
    hooks->idle = idle;
    hooks->arg = arg;
    return hooks;
}

void hooks_free(struct hooks *hooks)
{
    if (hooks == NULL)
        return;
    hookqueue_fini(&hooks->queue);
    free(hooks);
}

void hooks_set_environment(struct hooks *hooks, char *const *environment)
{
    hooks->environment = environment;
}

// What it runs, as the log may show it; the caller owns the text.
static char *hooks_job_shown(const struct hook_job *job)
{
    return job->argv ? xstrdup(job->argv[0]) : webhook_shown(job->url);
}

// Tells a failure. Of a hook that fails for every segment, the log has it once.
static void hooks_tell_failure(struct hooks *hooks, const struct hook_job *job, const char *what)
{
    struct hooks_count *count = &hooks->counts[job->kind];
    char *shown = hooks_job_shown(job);
    bool is_news = job->kind != HOOK_SEGMENT || count->failures == 0;
    count->failed++;
    count->failures++;
    log_write(is_news ? LOG_LEVEL_WARN : LOG_LEVEL_DEBUG, "%s/%s: %s failed: %s: %s", job->camera,
        job->stream, hook_kind_key(job->kind), shown, what);
    free(shown);
}

static void hooks_tell_success(struct hooks *hooks, const struct hook_job *job)
{
    struct hooks_count *count = &hooks->counts[job->kind];
    if (count->failures > 0)
        log_info("%s/%s: %s works again, after %" PRIu64 " failure%s", job->camera, job->stream,
            hook_kind_key(job->kind), count->failures, count->failures == 1 ? "" : "s");
    count->failures = 0;
}

// What the end means; NULL for a success. The caller owns the text.
static char *hooks_failure(const struct hooks_run *run, int status)
{
    const char *words = run->last_line;
    if (run->is_late)
        return xasprintf("did not end within %" PRId64 " seconds and was killed",
            run->job->timeout_us / US_PER_SECOND);
    if (WIFSIGNALED(status))
        return xasprintf("was ended by signal %d", WTERMSIG(status));
    if (WEXITSTATUS(status) == 0)
        return NULL;
    if (run->job->argv == NULL && words != NULL)
        return xstrdup(words);
    return xasprintf(
        "ended with %d%s%s", WEXITSTATUS(status), words ? ": " : "", words ? words : "");
}

static void hooks_run_free(struct hooks_run *run)
{
    struct hooks *hooks = run->hooks;
    struct hooks_run **at = &hooks->runs;
    while (*at != run)
        at = &(*at)->next;
    *at = run->next;
    ev_timer_stop(hooks->loop, &run->patience);
    hookqueue_ended(&hooks->queue, run->job->kind);
    hook_job_free(run->job);
    free(run->last_line);
    free(run);
}

static void hooks_end_cb(void *arg, int status)
{
    struct hooks_run *run = arg;
    struct hooks *hooks = run->hooks;
    char *failure = hooks_failure(run, status);
    if (failure == NULL)
        hooks_tell_success(hooks, run->job);
    else if (!hooks->is_stopped)
        hooks_tell_failure(hooks, run->job, failure);
    free(failure);
    hooks_run_free(run);
    hooks_go_on(hooks);
    if (hooks->is_stopped && hooks_are_idle(hooks))
        hooks->idle(hooks->arg);
}

static void hooks_line_cb(void *arg, const char *line)
{
    struct hooks_run *run = arg;
    free(run->last_line);
    run->last_line = mask_text(line, NULL);
    text_make_plain(run->last_line);
    log_debug("%s/%s: %s says: %s", run->job->camera, run->job->stream,
        hook_kind_key(run->job->kind), run->last_line);
}

static void hooks_patience_cb(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct hooks_run *run = timer->data;
    (void)loop;
    (void)events;
    run->is_late = true;
    child_signal(run->child, SIGKILL);
}

// What is done with what a child says, and with its end.
static struct child_spec hooks_spec(struct hooks_run *run)
{
    return (struct child_spec){
        .death_signal = SIGTERM,
        .oom_score = HOOKS_OOM_SCORE,
        .error = hooks_line_cb,
        .end = hooks_end_cb,
        .arg = run,
    };
}

// Starts the child. Returns NULL with *cause set on failure.
static struct child *hooks_start_child(
    struct hooks *hooks, struct hooks_run *run, char **environment, char **cause)
{
    const struct hook_job *job = run->job;
    char *const webhook[] = {(char *)"/proc/self/exe", (char *)WEBHOOK_COMMAND, NULL};
    char *input =
        job->argv ? xstrdup(job->body)
                  : webhook_input(job->url, job->body, job->timeout_us - HOOKS_WEBHOOK_SPARE_US);
    struct child_spec spec = hooks_spec(run);
    spec.argv = job->argv ? job->argv : webhook;
    spec.environment = environment;
    spec.input = input;
    spec.input_is_stdin = job->argv != NULL;
    struct child *child = child_start(hooks->loop, &spec, cause);
    explicit_bzero(input, strlen(input));
    free(input);
    return child;
}

static struct hooks_run *hooks_run_new(struct hooks *hooks, struct hook_job *job)
{
    struct hooks_run *run = xcalloc(1, sizeof(*run));
    run->hooks = hooks;
    run->job = job;
    run->next = hooks->runs;
    hooks->runs = run;
    ev_timer_init(&run->patience, hooks_patience_cb, (double)job->timeout_us / US_PER_SECOND, 0.);
    run->patience.data = run;
    return run;
}

static void hooks_start(struct hooks *hooks, struct hook_job *job)
{
    struct hooks_run *run = hooks_run_new(hooks, job);
    json_t *event = json_loads(job->body, 0, NULL);
    char **environment = hookevent_environment(event, hooks->environment);
    char *cause = NULL;
    hooks->counts[job->kind].run++;
    run->child = hooks_start_child(hooks, run, environment, &cause);
    if (run->child != NULL) {
        ev_timer_start(hooks->loop, &run->patience);
    } else {
        hooks_tell_failure(hooks, job, cause);
        hooks_run_free(run);
    }
    free(cause);
    environment_free(environment);
    json_decref(event);
}

// Starts what has a place.
static void hooks_go_on(struct hooks *hooks)
{
    struct hook_job *job;
    while (!hooks->is_stopped && (job = hookqueue_take(&hooks->queue)) != NULL)
        hooks_start(hooks, job);
}

static void hooks_tell_drop(
    struct hooks *hooks, enum hook_kind kind, const char *camera, const char *stream)
{
    int64_t now_us = time_monotonic_us();
    hooks->drops_untold++;
    if (hooks->drops_told_us != 0 && now_us - hooks->drops_told_us < HOOKS_DROPS_TOLD_US)
        return;
    log_warn("%s/%s: %s is left out: too many wait already (%" PRIu64 " left out since this was "
             "last said)",
        camera, stream, hook_kind_key(kind), hooks->drops_untold);
    hooks->drops_told_us = now_us;
    hooks->drops_untold = 0;
}

static struct hook_job *hooks_job_new(enum hook_kind kind, const struct config_hook *hook,
    const char *camera, const char *stream, const char *body)
{
    struct hook_job *job = xcalloc(1, sizeof(*job));
    job->kind = kind;
    job->timeout_us = hook->timeout_us;
    job->camera = xstrdup(camera);
    job->stream = xstrdup(stream);
    job->body = xstrdup(body);
    return job;
}

static char **hooks_copy_words(const struct config_list *words)
{
    char **copy = xcalloc(words->count + 1, sizeof(*copy));
    for (size_t i = 0; i < words->count; i++)
        copy[i] = xstrdup(words->items[i]);
    return copy;
}

void hooks_post(struct hooks *hooks, enum hook_kind kind, const struct config_hook *hook,
    const char *camera, const char *stream, json_t *event)
{
    char *body = hook && !hooks->is_stopped ? json_dumps(event, HOOKS_JSON) : NULL;
    json_decref(event);
    if (body == NULL)
        return;
    bool is_taken = true;
    if (hook->command.count > 0) {
        struct hook_job *job = hooks_job_new(kind, hook, camera, stream, body);
        job->argv = hooks_copy_words(&hook->command);
        is_taken = hookqueue_put(&hooks->queue, job);
    }
    if (hook->url != NULL) {
        struct hook_job *job = hooks_job_new(kind, hook, camera, stream, body);
        job->url = xstrdup(hook->url);
        is_taken = hookqueue_put(&hooks->queue, job) && is_taken;
    }
    free(body);
    if (!is_taken)
        hooks_tell_drop(hooks, kind, camera, stream);
    hooks_go_on(hooks);
}

void hooks_stop(struct hooks *hooks)
{
    size_t waiting = hookqueue_waiting(&hooks->queue);
    hooks->is_stopped = true;
    if (waiting > 0)
        log_warn("%zu hooks that waited are not run any more", waiting);
    hookqueue_fini(&hooks->queue);
    hooks_signal(hooks, SIGTERM);
}

void hooks_signal(struct hooks *hooks, int signal_number)
{
    for (struct hooks_run *run = hooks->runs; run != NULL; run = run->next)
        child_signal(run->child, signal_number);
}

bool hooks_are_idle(const struct hooks *hooks)
{
    return hooks->runs == NULL;
}

json_t *hooks_status(const struct hooks *hooks)
{
    json_t *events = json_object();
    for (int kind = 0; kind < HOOK_KIND_COUNT; kind++) {
        const struct hooks_count *count = &hooks->counts[kind];
        json_object_set_new(events, hook_kind_name(kind),
            json_pack("{s:I, s:I, s:I}", "run", (json_int_t)count->run, "failed",
                (json_int_t)count->failed, "dropped", (json_int_t)hooks->queue.dropped[kind]));
    }
    return json_pack("{s:I, s:I, s:o}", "running", (json_int_t)hooks->queue.running, "waiting",
        (json_int_t)hookqueue_waiting(&hooks->queue), "by_event", events);
}

// --- Over an exec of ours

static const struct handover_field hooks_count_fields[] = {
    HANDOVER_VALUE(struct hooks_count, run),
    HANDOVER_VALUE(struct hooks_count, failed),
    HANDOVER_VALUE(struct hooks_count, failures),
};
static const struct handover_table hooks_count_table =
    HANDOVER_TABLE(struct hooks_count, hooks_count_fields);

static json_t *hooks_hand_over_runs(struct handover_writer *writer, const struct hooks *hooks)
{
    json_t *list = json_array();
    for (const struct hooks_run *run = hooks->runs; run != NULL; run = run->next)
        json_array_append_new(
            list, json_pack("{s:o, s:o, s:o, s:b, s:o}", "job", hook_job_hand_over(run->job),
                      "child", child_hand_over(writer, run->child), "patience",
                      handover_timer(hooks->loop, &run->patience), "is_late", run->is_late,
                      "last_line", handover_text(run->last_line)));
    return list;
}

json_t *hooks_hand_over(struct handover_writer *writer, const struct hooks *hooks)
{
    json_t *counts = json_object();
    for (int kind = 0; kind < HOOK_KIND_COUNT; kind++)
        json_object_set_new(
            counts, hook_kind_name(kind), handover_write(&hooks_count_table, &hooks->counts[kind]));
    return json_pack("{s:o, s:o, s:o, s:I, s:I}", "queue", hookqueue_hand_over(&hooks->queue),
        "runs", hooks_hand_over_runs(writer, hooks), "counts", counts, "drops_told_us",
        (json_int_t)hooks->drops_told_us, "drops_untold", (json_int_t)hooks->drops_untold);
}

static void hooks_take_over_run(struct handover_reader *reader, json_t *object, struct hooks *hooks)
{
    struct hook_job *job =
        hook_job_take_over(reader, handover_take(reader, object, "job", JSON_OBJECT));
    struct hooks_run *run = hooks_run_new(hooks, job);
    const struct child_spec spec = hooks_spec(run);
    hookqueue_began(&hooks->queue, job->kind);
    run->child = child_take_over(
        reader, handover_take(reader, object, "child", JSON_OBJECT), hooks->loop, &spec);
    handover_take_timer(reader, object, "patience", hooks->loop, &run->patience);
    run->is_late = handover_take_bool(reader, object, "is_late");
    run->last_line = handover_take_text(reader, object, "last_line");
    handover_end(reader, object);
}

void hooks_take_over(struct handover_reader *reader, json_t *object, struct hooks *hooks)
{
    json_t *counts = handover_take(reader, object, "counts", JSON_OBJECT);
    for (int kind = 0; kind < HOOK_KIND_COUNT; kind++)
        handover_read(reader, handover_take(reader, counts, hook_kind_name(kind), JSON_OBJECT),
            &hooks_count_table, &hooks->counts[kind]);
    handover_end(reader, counts);
    hookqueue_take_over(reader, handover_take(reader, object, "queue", JSON_OBJECT), &hooks->queue);
    json_t *runs = handover_take(reader, object, "runs", JSON_ARRAY);
    for (size_t i = 0; i < json_array_size(runs); i++)
        hooks_take_over_run(reader, json_array_get(runs, i), hooks);
    hooks->drops_told_us = handover_take_int(reader, object, "drops_told_us", 0, INT64_MAX);
    hooks->drops_untold = (uint64_t)handover_take_int(reader, object, "drops_untold", 0, INT64_MAX);
    handover_end(reader, object);
}
