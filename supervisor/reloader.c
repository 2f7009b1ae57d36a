// A reload, from the request to what it has done. See reloader.h.
#include "supervisor/reloader.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "lib/core/alloc.h"
#include "lib/core/buf.h"
#include "lib/core/log.h"
#include "lib/core/notify.h"
#include "lib/core/text.h"
#include "lib/core/timeutil.h"
#include "supervisor/daemon.h"
#include "supervisor/ffmpeg.h"
#include "supervisor/reload.h"
#include "supervisor/webuiconf.h"

enum {
    RELOADER_VERSION_MAX = 65536,
};

#define RELOADER_PATIENCE_S 20. // with an ffmpeg that shall say its version

// An ffmpeg that is asked for its version.
struct reloader_check {
    struct reloader *reloader; // NULL when nobody waits for it any more
    struct ev_loop *loop;
    struct child *child;
    struct buf output;
    ev_timer patience;
    bool is_late;
};

struct reloader {
    struct daemon *daemon;
    bool is_stopped;
    struct config *config; // while its ffmpeg is checked
    struct reloader_check *check;
    struct ctl_request **requests; // those that wait
    size_t request_count, request_capacity;

    // Of the last one that came to an end.
    char *error; // NULL: it was applied
    int64_t time_us;
};

struct reloader *reloader_new(struct daemon *daemon)
{
    struct reloader *reloader = xcalloc(1, sizeof(*reloader));
    reloader->daemon = daemon;
    reloader->time_us = time_now_us();
    return reloader;
}

void reloader_free(struct reloader *reloader)
{
    if (reloader == NULL)
        return;
    config_free(reloader->config);
    free(reloader->requests);
    free(reloader->error);
    free(reloader);
}

json_t *reloader_status(const struct reloader *reloader)
{
    char time[TIME_TEXT_SIZE];
    time_format_utc(reloader->time_us, time);
    return json_pack("{s:b, s:s, s:s?}", "successful", reloader->error == NULL, "time", time,
        "error", reloader->error);
}

// --- The end of a reload

static void reloader_answer(struct reloader *reloader, const struct reload_plan *done)
{
    for (size_t i = 0; i < reloader->request_count; i++) {
        struct ctl_request *request = reloader->requests[i];
        if (done == NULL)
            ctl_fail(request, "configuration", NULL, "%s", reloader->error);
        else
            ctl_reply(
                request, json_pack("{s:I, s:I, s:I, s:I}", "started", (json_int_t)done->started,
                             "stopped", (json_int_t)done->stopped, "restarted",
                             (json_int_t)done->restarted, "kept", (json_int_t)done->kept));
    }
    reloader->request_count = 0;
}

static void reloader_end(struct reloader *reloader, const struct reload_plan *done, char *error)
{
    if (error != NULL)
        text_make_plain(error); // a file's name in it may be anything
    free(reloader->error);
    reloader->error = error;
    reloader->time_us = time_now_us();
    if (done == NULL)
        log_err("reload: the configuration stays as it was: %s", error);
    else
        log_info("reload: streams: %zu started, %zu stopped, %zu restarted, %zu kept",
            done->started, done->stopped, done->restarted, done->kept);
    reloader_answer(reloader, done);
    notify_send("READY=1");
}

// Takes the cause.
static void reloader_fail(struct reloader *reloader, char *cause)
{
    config_free(reloader->config);
    reloader->config = NULL;
    reloader_end(reloader, NULL, cause);
}

// The configuration is good: applies it.
static void reloader_apply(struct reloader *reloader)
{
    struct daemon *daemon = reloader->daemon;
    struct config *config = reloader->config;
    struct reload_plan plan;
    char *cause = NULL;
    if (webuiconf_write(config, &cause) < 0) {
        reloader_fail(reloader, cause);
        return;
    }
    for (size_t i = 0; i < config->warnings.count; i++)
        log_warn("%s", config->warnings.items[i]);
    reload_plan_init(&plan, daemon->config, config, &daemon->disabled);
    reloader->config = NULL; // the daemon's
    daemon_apply(daemon, config, &plan);
    reloader_end(reloader, &plan, NULL);
    reload_plan_fini(&plan);
}

// --- The version of a changed ffmpeg

static void reloader_check_line_cb(void *arg, const char *line)
{
    struct reloader_check *check = arg;
    if (check->output.size < RELOADER_VERSION_MAX)
        buf_printf(&check->output, "%s\n", line);
}

// Returns NULL, or why it can not be used; the caller owns the text.
static char *reloader_check_judge(struct reloader_check *check)
{
    char *reason = NULL;
    if (check->is_late)
        return xasprintf("does not end within %d seconds", (int)RELOADER_PATIENCE_S);
    return ffmpeg_version_check(buf_string(&check->output), &reason) < 0 ? reason : NULL;
}

static void reloader_check_end_cb(void *arg, int status)
{
    struct reloader_check *check = arg;
    struct reloader *reloader = check->reloader;
    (void)status; // what it says decides
    char *reason = reloader_check_judge(check);
    ev_timer_stop(check->loop, &check->patience);
    buf_fini(&check->output);
    free(check);
    if (reloader != NULL) {
        reloader->check = NULL;
        if (reason == NULL)
            reloader_apply(reloader);
        else
            reloader_fail(reloader, xasprintf("%s: ffmpeg.path: %s: %s", reloader->config->file,
                                        reloader->config->ffmpeg.path, reason));
    }
    free(reason);
}

static void reloader_check_patience_cb(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct reloader_check *check = timer->data;
    (void)loop;
    (void)events;
    check->is_late = true;
    child_signal(check->child, SIGKILL);
}

static void reloader_check_start(struct reloader *reloader)
{
    struct config *config = reloader->config;
    struct ev_loop *loop = reloader->daemon->loop;
    struct reloader_check *check = xcalloc(1, sizeof(*check));
    char *const argv[] = {config->ffmpeg.path, (char *)"-version", NULL};
    const struct child_spec spec = {
        .argv = argv,
        .environment = reloader->daemon->clean_environment,
        .death_signal = SIGKILL,
        .error = reloader_check_line_cb, // its stdout goes the same way
        .end = reloader_check_end_cb,
        .arg = check,
    };
    char *cause = NULL;
    check->child = child_start(loop, &spec, &cause);
    if (check->child == NULL) {
        free(check);
        reloader_fail(reloader, xasprintf("%s: ffmpeg.path: %s", config->file, cause));
        free(cause);
        return;
    }
    check->reloader = reloader;
    check->loop = loop;
    reloader->check = check;
    ev_timer_init(&check->patience, reloader_check_patience_cb, RELOADER_PATIENCE_S, 0.);
    check->patience.data = check;
    ev_timer_start(loop, &check->patience);
}

// What is under way ends without a result.
static void reloader_check_forget(struct reloader *reloader)
{
    struct reloader_check *check = reloader->check;
    if (check == NULL)
        return;
    check->reloader = NULL;
    reloader->check = NULL;
    child_signal(check->child, SIGKILL);
    config_free(reloader->config);
    reloader->config = NULL;
}

// --- The beginning

// Reads the configuration. Returns NULL with *cause set when it can not be applied.
static struct config *reloader_load(struct reloader *reloader, char **cause)
{
    const struct daemon *daemon = reloader->daemon;
    if (reloader->is_stopped) {
        *cause = xstrdup("keepframe is stopping");
        return NULL;
    }
    struct config *config = config_load(&daemon->source, cause);
    const char *key = config ? reload_needs_restart(daemon->config, config) : NULL;
    if (key == NULL)
        return config;
    *cause = xasprintf(
        "%s: %s: can not be changed by a reload; restart keepframe", daemon->source.file, key);
    config_free(config);
    return NULL;
}

void reloader_begin(struct reloader *reloader, struct ctl_request *request)
{
    char *cause = NULL;
    notify_send("RELOADING=1");
    if (request != NULL) {
        ARRAY_RESERVE(reloader->requests, reloader->request_count, reloader->request_capacity);
        reloader->requests[reloader->request_count++] = request;
    }
    reloader_check_forget(reloader);
    reloader->config = reloader_load(reloader, &cause);
    if (reloader->config == NULL)
        reloader_fail(reloader, cause);
    else if (strcmp(reloader->config->ffmpeg.path, reloader->daemon->config->ffmpeg.path) != 0)
        reloader_check_start(reloader);
    else
        reloader_apply(reloader);
}

void reloader_stop(struct reloader *reloader)
{
    reloader->is_stopped = true;
    if (reloader->check == NULL)
        return;
    reloader_check_forget(reloader);
    reloader_fail(reloader, xstrdup("keepframe is stopping"));
}

bool reloader_is_idle(const struct reloader *reloader)
{
    return reloader->check == NULL;
}
