// The supervisor as a whole. See daemon.h.
#include "supervisor/daemon.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "lib/core/alloc.h"
#include "lib/core/log.h"
#include "lib/core/notify.h"
#include "lib/core/timeutil.h"
#include "supervisor/alarm.h"
#include "supervisor/control.h"
#include "supervisor/daemon_handover.h"
#include "supervisor/environment.h"
#include "supervisor/hints.h"
#include "supervisor/limits.h"
#include "supervisor/reload.h"
#include "supervisor/run.h"
#include "supervisor/startup.h"
#include "supervisor/status.h"
#include "supervisor/webuiconf.h"

enum {
    DAEMON_WEBUI_OOM_SCORE = 800,
};

// A clean stop: first the recorders (which are killed after 8 s at most), then the services.
#define DAEMON_RECORDERS_PATIENCE_S 9.5
#define DAEMON_SERVICES_PATIENCE_S 4.

// Whoever stops us by our process group, and by our pid too, is not in a hurry.
#define DAEMON_HURRY_US (US_PER_SECOND / 2)

// A tick that is late by so much says that we could not listen to the recorders.
#define DAEMON_TICK_LATE_US (2 * US_PER_SECOND)

static int daemon_stream_compare(const struct stream *stream, const char *camera, const char *name)
{
    int order = strcmp(stream->camera, camera);
    return order ? order : strcmp(stream->name, name);
}

// The place of the first stream that does not stand before that name.
static size_t daemon_stream_place(const struct daemon *daemon, const char *camera, const char *name)
{
    size_t low = 0, high = daemon->stream_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (daemon_stream_compare(daemon->streams[middle], camera, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct stream *daemon_find_stream(
    const struct daemon *daemon, const char *camera, const char *stream)
{
    size_t place = daemon_stream_place(daemon, camera, stream);
    if (place < daemon->stream_count &&
        daemon_stream_compare(daemon->streams[place], camera, stream) == 0)
        return daemon->streams[place];
    return NULL;
}

void daemon_put_stream(struct daemon *daemon, struct stream *stream)
{
    size_t place = daemon_stream_place(daemon, stream->camera, stream->name);
    ARRAY_RESERVE(daemon->streams, daemon->stream_count, daemon->stream_capacity);
    memmove(&daemon->streams[place + 1], &daemon->streams[place],
        (daemon->stream_count - place) * sizeof(struct stream *));
    daemon->stream_count++;
    daemon->streams[place] = stream;
}

static struct stream *daemon_add_stream(struct daemon *daemon, const struct config_stream *config)
{
    struct stream *stream = stream_new(&daemon->host, config);
    daemon_put_stream(daemon, stream);
    return stream;
}

static void daemon_remove_stream(struct daemon *daemon, struct stream *stream)
{
    size_t place = daemon_stream_place(daemon, stream->camera, stream->name);
    daemon->stream_count--;
    memmove(&daemon->streams[place], &daemon->streams[place + 1],
        (daemon->stream_count - place) * sizeof(struct stream *));
    stream_free(stream);
}

static void daemon_set_patience(struct daemon *daemon, double seconds)
{
    ev_timer_stop(daemon->loop, &daemon->patience);
    ev_timer_set(&daemon->patience, seconds, 0.);
    ev_timer_start(daemon->loop, &daemon->patience);
}

// Goes on with a clean stop as far as what has ended allows.
static void daemon_continue_stop(struct daemon *daemon)
{
    for (size_t i = 0; i < daemon->stream_count; i++) {
        if (daemon->streams[i]->state != STREAM_OFF)
            return;
    }
    if (!daemon->is_stopping_services) {
        daemon->is_stopping_services = true;
        daemon_set_patience(daemon, DAEMON_SERVICES_PATIENCE_S);
        service_stop(daemon->indexer);
        service_stop(daemon->webui);
        hooks_stop(daemon->hooks);
    }
    if (service_pid(daemon->indexer) == 0 && service_pid(daemon->webui) == 0 &&
        hooks_are_idle(daemon->hooks)) {
        daemon->has_stopped = true;
        ev_break(daemon->loop, EVBREAK_ALL);
    }
}

static void daemon_stream_idle(struct stream *stream, void *arg)
{
    struct daemon *daemon = arg;
    if (stream->config == NULL)
        daemon_remove_stream(daemon, stream);
    if (daemon->is_stopping)
        daemon_continue_stop(daemon);
}

static void daemon_part_idle(void *arg)
{
    struct daemon *daemon = arg;
    if (daemon->is_stopping)
        daemon_continue_stop(daemon);
}

static void daemon_kill_all(struct daemon *daemon)
{
    for (size_t i = 0; i < daemon->stream_count; i++) {
        if (daemon->streams[i]->child != NULL)
            child_signal(daemon->streams[i]->child, SIGKILL);
    }
    if (!daemon->is_stopping_services)
        return;
    service_signal(daemon->indexer, SIGKILL);
    service_signal(daemon->webui, SIGKILL);
    hooks_signal(daemon->hooks, SIGKILL);
}

static void daemon_patience_cb(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    log_warn("something does not end, it is killed");
    daemon_kill_all(timer->data);
}

void daemon_stop(struct daemon *daemon)
{
    int64_t now_us = time_monotonic_us();
    if (daemon->is_stopping) {
        if (now_us - daemon->stop_us >= DAEMON_HURRY_US)
            daemon_kill_all(daemon);
        return;
    }
    log_info("stopping");
    daemon->stop_us = now_us;
    notify_send("STOPPING=1");
    daemon->is_stopping = true;
    reloader_stop(daemon->reloader);
    daemon_set_patience(daemon, DAEMON_RECORDERS_PATIENCE_S);
    for (size_t i = daemon->stream_count; i-- > 0;)
        stream_stop(daemon->streams[i], REASON_STOPPED);
    daemon_continue_stop(daemon);
}

static void daemon_stop_cb(struct ev_loop *loop, ev_signal *watcher, int events)
{
    (void)loop;
    (void)events;
    daemon_stop(watcher->data);
}

static void daemon_apply_item(struct daemon *daemon, const struct reload_item *item)
{
    const struct config_stream *any = item->after ? item->after : item->before;
    struct stream *stream = daemon_find_stream(daemon, any->camera, any->name);
    if (stream == NULL && item->after != NULL)
        stream = daemon_add_stream(daemon, item->after);
    if (stream == NULL)
        return;
    stream->config = item->after;
    if (item->action == RELOAD_START)
        stream_start(stream);
    else if (item->action == RELOAD_STOP)
        stream_stop(stream, item->after ? REASON_DISABLED : REASON_REMOVED);
    else if (item->action == RELOAD_RESTART)
        stream_restart(stream, REASON_RELOAD);
}

static void daemon_set_environments(struct daemon *daemon)
{
    char **full = daemon->full_environment, **clean = daemon->clean_environment;
    daemon->full_environment = environment_new(daemon->config, false);
    daemon->clean_environment = environment_new(daemon->config, true);
    daemon->host.environment = daemon->clean_environment;
    service_set_environment(daemon->indexer, daemon->full_environment);
    service_set_environment(daemon->webui, daemon->clean_environment);
    hooks_set_environment(daemon->hooks, daemon->clean_environment);
    environment_free(full);
    environment_free(clean);
}

static void daemon_apply_services(struct daemon *daemon, const struct config *before)
{
    const struct config *config = daemon->config;
    service_signal(daemon->indexer, SIGHUP);
    if (config->webui == CONFIG_WEBUI_EXTERNAL)
        service_stop(daemon->webui);
    else if (before->webui == CONFIG_WEBUI_EXTERNAL)
        service_start(daemon->webui);
    else if (strcmp(before->http.listen, config->http.listen) != 0)
        service_restart(daemon->webui);
    else
        service_signal(daemon->webui, SIGHUP);
}

void daemon_apply_plan(struct daemon *daemon, const struct reload_plan *plan)
{
    for (size_t i = 0; i < plan->count; i++)
        daemon_apply_item(daemon, &plan->items[i]);
}

void daemon_apply(struct daemon *daemon, struct config *config, const struct reload_plan *plan)
{
    struct config *before = daemon->config;
    daemon->config = config;
    daemon->host.config = config;
    daemon_set_environments(daemon);
    daemon_apply_plan(daemon, plan);
    daemon_apply_services(daemon, before);
    config_free(before);
}

static void daemon_log_warnings(const struct config *config)
{
    for (size_t i = 0; i < config->warnings.count; i++)
        log_warn("%s", config->warnings.items[i]);
}

static void daemon_reload_cb(struct ev_loop *loop, ev_signal *watcher, int events)
{
    struct daemon *daemon = watcher->data;
    (void)loop;
    (void)events;
    reloader_begin(daemon->reloader, NULL);
}

static void daemon_state_cb(struct ev_loop *loop, ev_signal *watcher, int events)
{
    (void)loop;
    (void)events;
    status_log(watcher->data);
}

static void daemon_upgrade_cb(struct ev_loop *loop, ev_signal *watcher, int events)
{
    struct daemon *daemon = watcher->data;
    (void)loop;
    (void)events;
    upgrade_begin(daemon->upgrade);
}

static void daemon_control_cb(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct daemon *daemon = watcher->data;
    (void)loop;
    (void)events;
    ctl_server_dispatch(daemon->control);
}

static void daemon_look_at_usage(struct stream *stream, uint64_t turn)
{
    if (stream->child != NULL)
        usage_tick(&stream->usage, child_pid(stream->child), turn);
}

static void daemon_tick_cb(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct daemon *daemon = timer->data;
    int64_t now_us = time_monotonic_us();
    bool is_late = now_us - daemon->tick_us > DAEMON_TICK_LATE_US;
    (void)loop;
    (void)events;
    daemon->tick_us = now_us;
    daemon->ticks++;
    for (size_t i = 0; i < daemon->stream_count; i++) {
        if (is_late)
            stream_forgive(daemon->streams[i], now_us);
        stream_tick(daemon->streams[i], now_us);
        alarm_look(daemon->hooks, daemon->streams[i], now_us);
        daemon_look_at_usage(daemon->streams[i], daemon->ticks + i);
    }
    struct service *const services[] = {daemon->indexer, daemon->webui};
    for (size_t i = 0; i < ARRAY_LENGTH(services); i++) {
        if (is_late)
            service_forgive(services[i], now_us);
        service_tick(services[i], now_us);
    }
    notify_alive();
}

static void daemon_watch_signal(struct daemon *daemon, ev_signal *watcher, int number,
    void (*callback)(struct ev_loop *, ev_signal *, int))
{
    ev_signal_init(watcher, callback, number);
    watcher->data = daemon;
    ev_signal_start(daemon->loop, watcher);
}

void daemon_watch(struct daemon *daemon)
{
    daemon_watch_signal(daemon, &daemon->terminate, SIGTERM, daemon_stop_cb);
    daemon_watch_signal(daemon, &daemon->interrupt, SIGINT, daemon_stop_cb);
    daemon_watch_signal(daemon, &daemon->hangup, SIGHUP, daemon_reload_cb);
    daemon_watch_signal(daemon, &daemon->state_to_log, SIGUSR1, daemon_state_cb);
    daemon_watch_signal(daemon, &daemon->replace, SIGUSR2, daemon_upgrade_cb);
    signal(SIGPIPE, SIG_IGN);

    ev_io_init(
        &daemon->control_watcher, daemon_control_cb, ctl_server_fd(daemon->control), EV_READ);
    daemon->control_watcher.data = daemon;
    ev_io_start(daemon->loop, &daemon->control_watcher);

    // A late tick is not made up for: each counts from the one before.
    ev_timer_init(&daemon->tick, daemon_tick_cb, 1., 1.);
    daemon->tick.data = daemon;
    if (daemon->tick_us == 0)
        daemon->tick_us = time_monotonic_us();
    ev_timer_start(daemon->loop, &daemon->tick);
    ev_timer_init(&daemon->patience, daemon_patience_cb, 0., 0.);
    daemon->patience.data = daemon;
}

// The tests can not wait a minute for a frozen program to be noticed.
static void daemon_set_patiences(struct daemon *daemon)
{
    const char *text = getenv("KEEPFRAME_TEST_SILENCE_MS");
    int64_t silence_us = text ? strtoll(text, NULL, 10) * 1000 : 0;
    if (silence_us <= 0)
        return;
    const struct service_patience patience = {
        .start_us = 10 * silence_us, .silence_us = silence_us, .end_us = silence_us};
    log_warn("KEEPFRAME_TEST_SILENCE_MS is set: a program that gives no sign of life for %s ms is "
             "ended",
        text);
    service_set_patience(daemon->indexer, &patience);
    service_set_patience(daemon->webui, &patience);
    upgrade_set_patience(daemon->upgrade, silence_us);
}

static void daemon_make_services(struct daemon *daemon)
{
    const struct config_source *source = &daemon->source;
    const char *indexer[12] = {"keepframe-indexer", "run", "-c", source->file};
    size_t count = 4;
    if (source->data != NULL) {
        indexer[count++] = "--data";
        indexer[count++] = source->data;
    }
    if (source->runtime != NULL) {
        indexer[count++] = "--runtime";
        indexer[count++] = source->runtime;
    }
    const char *webui[] = {"keepframe-webui", "run", "--runtime", daemon->config->runtime, NULL};
    daemon->indexer = service_new(daemon->loop, indexer, 0, daemon_part_idle, daemon);
    daemon->webui =
        service_new(daemon->loop, webui, DAEMON_WEBUI_OOM_SCORE, daemon_part_idle, daemon);
}

static void daemon_start_all(struct daemon *daemon)
{
    const struct config *config = daemon->config;
    service_start(daemon->indexer);
    if (config->webui == CONFIG_WEBUI_SUPERVISED)
        service_start(daemon->webui);
    size_t enabled = 0;
    for (size_t i = 0; i < config->stream_count; i++) {
        struct stream *stream = daemon_add_stream(daemon, &config->streams[i]);
        if (!config->streams[i].recording.enabled)
            continue;
        stream_start(stream);
        enabled++;
    }
    log_info("%zu streams, %zu of them enabled, go into %s", config->stream_count, enabled,
        config->storage.cache);
}

// Opens what the daemon needs. Returns an exit code; 0 to go on.
static int daemon_prepare(struct daemon *daemon, char **cause)
{
    const struct config *config = daemon->config;
    if (startup_check_directories(config, cause) < 0)
        return EX_CONFIG;
    if (startup_lock(config, daemon->lock_fds, cause) < 0)
        return EXIT_FAILURE;
    if (startup_check_ffmpeg(config, cause) < 0)
        return EX_CONFIG;
    int stale = run_end_stale(config->storage.cache, config->node);
    if (stale > 0)
        log_info("%d runs of an earlier supervisor had no end", stale);
    if (webuiconf_write(config, cause) < 0)
        return EXIT_FAILURE;
    char *path = xasprintf("%s/control.sock", config->runtime);
    daemon->control = ctl_server_open(path, control_request, daemon, cause);
    free(path);
    return daemon->control ? 0 : EXIT_FAILURE;
}

static void daemon_fini(struct daemon *daemon)
{
    upgrade_free(daemon->upgrade);
    free(daemon->predecessor);
    probes_free(daemon->probes);
    if (daemon->control != NULL)
        ctl_server_dispatch(daemon->control); // the answer to "stop", say
    ctl_server_close(daemon->control);
    loopmeter_stop(&daemon->meter);
    for (size_t i = 0; i < daemon->stream_count; i++)
        stream_free(daemon->streams[i]);
    free(daemon->streams);
    stream_host_fini(&daemon->host);
    reloader_free(daemon->reloader);
    hooks_free(daemon->hooks);
    disabled_fini(&daemon->disabled);
    service_free(daemon->indexer);
    service_free(daemon->webui);
    environment_free(daemon->full_environment);
    environment_free(daemon->clean_environment);
    config_free(daemon->config);
    for (int i = 0; i < 2; i++) {
        if (daemon->lock_fds[i] >= 0)
            close(daemon->lock_fds[i]);
    }
}

void daemon_make_parts(struct daemon *daemon)
{
    daemon->loop = ev_default_loop(EVFLAG_AUTO);
    stream_host_init(&daemon->host, daemon->loop, daemon->config, daemon_stream_idle, daemon);
    daemon->reloader = reloader_new(daemon);
    daemon->hooks = hooks_new(daemon->loop, daemon_part_idle, daemon);
    daemon_make_services(daemon);
    daemon_set_environments(daemon);
    daemon->probes = probes_new(daemon->loop, (char *const *const *)&daemon->clean_environment);
    daemon->upgrade = upgrade_new(daemon, daemon->argv);
    daemon_set_patiences(daemon);
    loopmeter_start(&daemon->meter, daemon->loop);
}

struct ctl_server *daemon_adopt_control(struct daemon *daemon, const char *path, char **cause)
{
    return ctl_server_adopt(daemon->control_fd, path, control_request, daemon, cause);
}

// Returns an exit code; 0 to go on.
static int daemon_begin(struct daemon *daemon, char **cause)
{
    daemon->start_us = time_now_us();
    daemon->config = config_load(&daemon->source, cause);
    if (daemon->config == NULL)
        return EX_CONFIG;
    daemon_log_warnings(daemon->config);
    limits_raise();
    hints_log(daemon->config);
    int code = daemon_prepare(daemon, cause);
    if (code != 0)
        return code;
    daemon_make_parts(daemon);
    daemon_watch(daemon);
    daemon_start_all(daemon);
    return 0;
}

// An upgrade that can not be made comes back here.
static void daemon_go(struct daemon *daemon)
{
    notify_send("READY=1");
    while (!daemon->has_stopped) {
        ev_run(daemon->loop, 0);
        if (upgrade_is_due(daemon->upgrade))
            upgrade_execute(daemon->upgrade);
    }
    log_info("stopped");
}

int daemon_run(const struct config_source *source, char **argv)
{
    struct daemon daemon = {
        .source = *source, .argv = argv, .lock_fds = {-1, -1}, .control_fd = -1};
    char *cause = NULL;
    int handover = upgrade_inherited();
    umask(027);
    int code =
        handover < 0 ? daemon_begin(&daemon, &cause) : daemon_resume(&daemon, handover, &cause);
    if (code == 0) {
        daemon_go(&daemon);
    } else {
        log_err("%s", cause);
        free(cause);
    }
    daemon_fini(&daemon);
    return code;
}
