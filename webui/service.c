// The running web interface. See service.h.
#include "webui/service.h"

#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <ev.h>

#include "lib/core/alloc.h"
#include "lib/core/fsutil.h"
#include "lib/core/log.h"
#include "lib/core/notify.h"
#include "lib/core/timeutil.h"
#include "webui/asker.h"
#include "webui/holds.h"
#include "webui/http.h"
#include "webui/io.h"
#include "webui/live_client.h"
#include "webui/live_reload.h"
#include "webui/live_silence.h"
#include "webui/pulse.h"
#include "webui/traffic.h"
#include "webui/worker.h"

enum {
    SERVICE_OK = 0,
    SERVICE_FAILURE = 1,
    SERVICE_CONFIGURATION = 78, // EX_CONFIG of sysexits.h
};

struct service {
    const char *runtime;
    char *conf_path;
    char *address_path;
    char *listen; // as configured; NULL while the configuration is waited for
    int code;     // for the end
    struct traffic *traffic;
    struct holds *holds;
    struct live *live;
    struct live_clients *clients; // of live
    struct live_reloads *reloads; // of live
    struct live_silence *silence;
    struct shared *shared;
    void *workers[IO_THREADS];
    struct io *io;
    struct asker *asker;
    struct http *http;
    struct pulse *pulse;
    struct ev_loop *loop;
    ev_signal stop_signals[2];
    ev_signal reload_signal;
    ev_signal state_signal;
    ev_stat conf_watch; // a supervisor of another user can send no signal
    ev_timer tick;
};

// Tells everybody where we listen: the port may have been the kernel's choice.
static int service_write_address(const struct service *service, char **cause)
{
    char *text = xasprintf("%s\n", http_address(service->http));
    int result = fs_write_file(service->address_path, text, strlen(text), 0644, cause);
    free(text);
    return result;
}

// --- Reload ---

static struct http *service_listen(const struct service *service, const char *listen, char **cause)
{
    const struct http_helpers helpers = {service->io, service->asker, service->traffic};
    return http_open(listen, &helpers, cause);
}

// Listens on the new address; the old one is given up once that works.
static void service_move(struct service *service, const char *listen)
{
    char *cause = NULL;
    struct http *http = service_listen(service, listen, &cause);
    if (http == NULL) {
        log_err("%s; staying on %s", cause, http_address(service->http));
        free(cause);
        return;
    }
    // The server can not be closed while somebody waits for the supervisor.
    asker_cancel(service->asker);
    http_close(service->http);
    service->http = http;
    free(service->listen);
    service->listen = xstrdup(listen);
    log_info("the page is at http://%s/", http_address(http));
    if (service_write_address(service, &cause) < 0) {
        log_err("%s", cause);
        free(cause);
    }
}

static void service_reload(struct service *service)
{
    char *cause = NULL;
    struct conf *conf = conf_load(service->runtime, &cause);
    if (conf == NULL) {
        log_err("reload: %s; nothing has changed", cause);
        free(cause);
        return;
    }
    log_info("reload: %zu streams", conf->stream_count);
    if (strcmp(conf->listen, service->listen) != 0)
        service_move(service, conf->listen);
    http_set_origins(service->http, conf->cors, conf->cors_count);
    shared_set_conf(service->shared, conf);
}

// --- Start ---

static void service_begin_job(void *context)
{
    worker_begin(context);
}

// Takes the configuration into service. Returns 0, or an exit code with *cause set.
static int service_open(struct service *service, struct conf *conf, char **cause)
{
    service->listen = xstrdup(conf->listen);
    service->traffic = traffic_new();
    service->holds = holds_new(service->runtime, cause);
    service->live = service->holds ? live_new(cause) : NULL;
    service->clients = live_clients_new(service->live);
    service->shared = shared_new(conf, service->traffic, service->holds);
    service->reloads = live_reloads_new(service->live);
    service->shared->live = service->clients;
    service->shared->reloads = service->reloads;
    for (size_t i = 0; i < IO_THREADS; i++)
        service->workers[i] = worker_new(service->shared);
    const struct io_crew crew = {service->workers, IO_THREADS, service_begin_job};
    service->io = service->live ? io_start(&crew, cause) : NULL;
    service->asker = service->io ? asker_new(service->runtime, cause) : NULL;
    if (service->asker == NULL)
        return SERVICE_FAILURE;
    service->http = service_listen(service, service->listen, cause);
    if (service->http == NULL)
        return SERVICE_CONFIGURATION;
    http_set_origins(service->http, conf->cors, conf->cors_count);
    if (service_write_address(service, cause) < 0)
        return SERVICE_FAILURE;
    service->pulse = pulse_new(service->io);
    service->silence = live_silence_new(service->live, service->io);
    return SERVICE_OK;
}

// Starts to serve, where the configuration is there. Returns 0, or the exit code.
static int service_start(struct service *service)
{
    char *cause = NULL;
    if (access(service->conf_path, F_OK) < 0) {
        log_info("waiting for %s, which keepframe writes", service->conf_path);
        notify_send("STATUS=waiting for keepframe");
        return SERVICE_OK;
    }
    struct conf *conf = conf_load(service->runtime, &cause);
    int code = conf ? service_open(service, conf, &cause) : SERVICE_CONFIGURATION;
    if (code != SERVICE_OK) {
        log_err("%s", cause);
        free(cause);
        return code;
    }
    log_info("the page is at http://%s/", http_address(service->http));
    notify_send("STATUS=serving");
    return SERVICE_OK;
}

// The configuration may have changed, or has come.
static void service_renew(struct service *service)
{
    if (service->listen != NULL) {
        service_reload(service);
        return;
    }
    service->code = service_start(service);
    if (service->code != SERVICE_OK)
        ev_break(service->loop, EVBREAK_ALL);
}

static void service_reload_cb(struct ev_loop *loop, ev_signal *signal, int events)
{
    (void)loop;
    (void)events;
    notify_send("RELOADING=1");
    service_renew(signal->data);
    notify_send("READY=1");
}

static void service_conf_cb(struct ev_loop *loop, ev_stat *watcher, int events)
{
    (void)loop;
    (void)events;
    if (watcher->attr.st_nlink > 0) // not while the supervisor's folder is away
        service_renew(watcher->data);
}

// --- Signals and time ---

static void service_stop_cb(struct ev_loop *loop, ev_signal *signal, int events)
{
    (void)events;
    log_info("stopping: %s", strsignal(signal->signum));
    ev_break(loop, EVBREAK_ALL);
}

static void service_state_cb(struct ev_loop *loop, ev_signal *signal, int events)
{
    (void)loop;
    (void)events;
    const struct service *service = signal->data;
    struct http_stats stats;
    if (service->http == NULL) {
        log_info("state: waiting for %s", service->conf_path);
        return;
    }
    http_get_stats(service->http, &stats);
    log_info("state: %" PRIu64 " connections, %" PRIu64 " requests, %" PRIu64
             " answers that ended early",
        stats.connections, stats.requests, traffic_failures(service->traffic));
}

static void service_tick_cb(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    struct service *service = timer->data;
    if (service->pulse == NULL) { // nothing is served yet
        notify_alive();
        return;
    }
    io_expire(service->io);
    http_tick(service->http);
    live_silence_tick(service->silence);
    pulse_tick(service->pulse, service->http, time_monotonic_us());
}

static void service_watch(struct service *service)
{
    static const int stop[] = {SIGTERM, SIGINT};
    for (size_t i = 0; i < ARRAY_LENGTH(stop); i++) {
        ev_signal_init(&service->stop_signals[i], service_stop_cb, stop[i]);
        ev_signal_start(service->loop, &service->stop_signals[i]);
    }
    ev_signal_init(&service->reload_signal, service_reload_cb, SIGHUP);
    service->reload_signal.data = service;
    ev_signal_start(service->loop, &service->reload_signal);
    ev_signal_init(&service->state_signal, service_state_cb, SIGUSR1);
    service->state_signal.data = service;
    ev_signal_start(service->loop, &service->state_signal);
    ev_stat_init(&service->conf_watch, service_conf_cb, service->conf_path, 0.);
    service->conf_watch.data = service;
    ev_stat_start(service->loop, &service->conf_watch);
    ev_timer_init(&service->tick, service_tick_cb, 1, 1);
    service->tick.data = service;
    ev_timer_start(service->loop, &service->tick);
}

// --- Life ---

// Every answer holds segment files open.
static void service_raise_limits(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void service_fini(struct service *service)
{
    // Waiting requests end first: the HTTP server can not stop while one waits.
    if (service->io != NULL)
        io_stop(service->io);
    if (service->asker != NULL)
        asker_stop(service->asker);
    http_close(service->http);
    asker_free(service->asker);
    pulse_free(service->pulse);
    live_silence_free(service->silence);
    io_free(service->io);
    for (size_t i = 0; i < IO_THREADS; i++)
        worker_free(service->workers[i]);
    shared_free(service->shared);
    live_clients_free(service->clients);
    live_reloads_free(service->reloads);
    live_free(service->live);
    holds_free(service->holds);
    traffic_free(service->traffic);
    free(service->listen);
    free(service->conf_path);
    free(service->address_path);
    ev_loop_destroy(service->loop);
}

int service_run(const char *runtime, const char *address_file)
{
    struct service service = {.runtime = runtime, .loop = ev_default_loop(EVFLAG_AUTO)};
    if (service.loop == NULL) {
        log_err("the event loop can not be started");
        return SERVICE_FAILURE;
    }
    service.conf_path = xasprintf("%s/webui.json", runtime);
    service.address_path =
        address_file ? xstrdup(address_file) : xasprintf("%s/webui.address", runtime);
    signal(SIGPIPE, SIG_IGN);
    service_raise_limits();
    // Before the threads, so that no signal is delivered to them unwatched.
    service_watch(&service);
    service.code = service_start(&service);
    if (service.code == SERVICE_OK) {
        notify_send("READY=1");
        ev_run(service.loop, 0);
    }
    if (service.code == SERVICE_OK)
        log_info("stopped");
    notify_send("STOPPING=1");
    service_fini(&service);
    return service.code;
}
