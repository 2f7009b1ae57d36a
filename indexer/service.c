// The indexer as a running program. See service.h.
#include "indexer/service.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ev.h>

#include "indexer/announce.h"
#include "indexer/cacheroom.h"
#include "indexer/cachesync.h"
#include "indexer/committer.h"
#include "indexer/enrol.h"
#include "indexer/exchange.h"
#include "indexer/expiry.h"
#include "indexer/indexer.h"
#include "indexer/ingest.h"
#include "indexer/ledger.h"
#include "indexer/lockfile.h"
#include "indexer/marks.h"
#include "indexer/outlook.h"
#include "indexer/purge.h"
#include "indexer/reconcile.h"
#include "indexer/roster.h"
#include "indexer/status.h"
#include "indexer/storage.h"
#include "indexer/watch.h"
#include "indexer/worker.h"
#include "lib/core/alloc.h"
#include "lib/core/ctl.h"
#include "lib/core/fsutil.h"
#include "lib/core/heartbeat.h"
#include "lib/core/log.h"
#include "lib/core/timeutil.h"
#include "lib/media/catalog.h"

enum {
    SERVICE_DIR_MODE = 0750,
};

#define SERVICE_TICK_S 0.25
#define SERVICE_COMMIT_S 1.0
#define SERVICE_DRAIN_S 0.02                     // between two looks whether all is done
#define SERVICE_DRAIN_US_MAX (3 * US_PER_SECOND) // then the rest is left to the next start

struct service {
    struct indexer indexer;
    const struct config_source *source;
    struct config *config;
    int lock;
    struct watch *watch;
    struct enrol *enrol;
    struct ctl_server *server;
    struct heartbeat heartbeat;
    ev_io watch_event;
    ev_io server_event;
    ev_timer tick_event;
    ev_timer commit_event;
    ev_prepare prepare_event;
    ev_check check_event;
    ev_signal signal_events[5];
    ev_timer drain_event;
    int64_t awake_us;       // when the loop's current turn began
    int64_t drain_until_us; // monotonic, once it stops
    bool ran;
};

// --- Events ---

static void service_watch_cb(struct ev_loop *loop, ev_io *event, int revents)
{
    (void)loop, (void)revents;
    struct service *service = event->data;
    watch_dispatch(service->watch);
}

static void service_server_cb(struct ev_loop *loop, ev_io *event, int revents)
{
    (void)loop, (void)revents;
    struct service *service = event->data;
    ctl_server_dispatch(service->server);
}

static void service_tick_cb(struct ev_loop *loop, ev_timer *event, int revents)
{
    (void)loop, (void)revents;
    struct service *service = event->data;
    int64_t now_us = time_monotonic_us();
    storage_tick(service->indexer.storage, now_us);
    expiry_tick(service->indexer.expiry, now_us);
    outlook_tick(service->indexer.outlook, now_us);
    roster_tick(service->indexer.roster, now_us);
    ingest_tick(service->indexer.ingest, now_us);
    cachesync_tick(service->indexer.cachesync, now_us);
    cacheroom_tick(service->indexer.cacheroom, now_us);
    reconcile_tick(service->indexer.reconcile, now_us);
    ledger_tick(service->indexer.ledger, now_us);
    marks_tick(service->indexer.marks, now_us);
    heartbeat_beat(&service->heartbeat, now_us);
}

static void service_commit_cb(struct ev_loop *loop, ev_timer *event, int revents)
{
    (void)loop, (void)revents;
    struct service *service = event->data;
    committer_tick(service->indexer.committer);
}

static void service_check_cb(struct ev_loop *loop, ev_check *event, int revents)
{
    (void)loop, (void)revents;
    struct service *service = event->data;
    service->awake_us = time_monotonic_us();
}

static void service_prepare_cb(struct ev_loop *loop, ev_prepare *event, int revents)
{
    (void)loop, (void)revents;
    struct service *service = event->data;
    if (service->awake_us == 0)
        return;
    int64_t turn_us = time_monotonic_us() - service->awake_us;
    if (turn_us > service->indexer.figures.loop_delay_us_max)
        service->indexer.figures.loop_delay_us_max = turn_us;
}

static void service_request(struct ctl_request *request, void *arg)
{
    struct service *service = arg;
    const char *command = ctl_request_command(request);
    if (strcmp(command, "status") == 0)
        ctl_reply(request, status_json(&service->indexer));
    else if (!marks_request(service->indexer.marks, request) &&
             !enrol_request(service->enrol, request) &&
             !reconcile_request(service->indexer.reconcile, request))
        ctl_fail(request, "unknown_command", "command", "there is no command \"%s\"", command);
}

// --- Signals ---

// The list of volumes stays, with the limits that the new one has for them.
static void service_keep_volumes(struct config *fresh, struct config *old)
{
    bool same = fresh->storage.volume_count == old->storage.volume_count;
    for (size_t i = 0; i < old->storage.volume_count; i++) {
        struct config_volume *volume = &old->storage.volumes[i];
        same = same && strcmp(fresh->storage.volumes[i].path, volume->path) == 0;
        for (size_t j = 0; j < fresh->storage.volume_count; j++) {
            if (strcmp(fresh->storage.volumes[j].path, volume->path) == 0)
                volume->min_free = fresh->storage.volumes[j].min_free;
        }
    }
    if (!same)
        log_warn("another list of storage.volumes is used only after a restart of keepframe; a new "
                 "volume needs `keepframe-indexer volume add` too");
    struct config_volume *volumes = fresh->storage.volumes;
    size_t count = fresh->storage.volume_count;
    fresh->storage.volumes = old->storage.volumes;
    fresh->storage.volume_count = old->storage.volume_count;
    old->storage.volumes = volumes;
    old->storage.volume_count = count;
}

// Where things lie can not change while the program runs: the old places stay.
static void service_keep_places(struct config *fresh, struct config *old)
{
    char **const places[][2] = {
        {&fresh->storage.cache, &old->storage.cache},
        {&fresh->storage.database, &old->storage.database},
        {&fresh->runtime, &old->runtime},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(places); i++) {
        char *place = *places[i][0];
        if (strcmp(place, *places[i][1]) != 0)
            log_warn("%s is used only after a restart, until then %s stays in use", place,
                *places[i][1]);
        *places[i][0] = *places[i][1];
        *places[i][1] = place;
    }
    service_keep_volumes(fresh, old);
}

static void service_reload(struct service *service)
{
    char *cause = NULL;
    struct config *config = config_load(service->source, &cause);
    if (config == NULL) {
        log_err("the configuration was not reloaded: %s", cause);
        free(cause);
        return;
    }
    service_keep_places(config, service->config);
    config_free(service->config);
    service->config = config;
    service->indexer.config = config;
    expiry_restart(service->indexer.expiry);
    roster_restart(service->indexer.roster);
    log_info("the configuration was reloaded");
}

static void service_log_state(struct service *service)
{
    json_t *status = status_json(&service->indexer);
    char *text = json_dumps(status, JSON_COMPACT);
    log_info("state: %s", text ? text : "?");
    free(text);
    json_decref(status);
}

// Lets what is in hand come to its end, the commit and the names that go with it too.
static void service_drain_cb(struct ev_loop *loop, ev_timer *event, int revents)
{
    (void)revents;
    struct service *service = event->data;
    struct indexer *indexer = &service->indexer;
    committer_tick(indexer->committer);
    bool done = storage_pending(indexer->storage) == 0 &&
                worker_pending(indexer->cache_worker) == 0 &&
                committer_pending(indexer->committer) == 0;
    if (done || time_monotonic_us() >= service->drain_until_us)
        ev_break(loop, EVBREAK_ALL);
}

static void service_stop(struct service *service, int signal_number)
{
    struct ev_loop *loop = service->indexer.loop;
    if (service->indexer.stopping) {
        ev_break(loop, EVBREAK_ALL);
        return;
    }
    log_info("stopping (%s)", strsignal(signal_number));
    service->indexer.stopping = true;
    reconcile_stop(service->indexer.reconcile);
    service->drain_until_us = time_monotonic_us() + SERVICE_DRAIN_US_MAX;
    ev_timer_stop(loop, &service->tick_event);
    ev_timer_init(&service->drain_event, service_drain_cb, 0, SERVICE_DRAIN_S);
    service->drain_event.data = service;
    ev_timer_start(loop, &service->drain_event);
}

static void service_signal_cb(struct ev_loop *loop, ev_signal *event, int revents)
{
    (void)loop, (void)revents;
    struct service *service = event->data;
    switch (event->signum) {
    case SIGHUP:
        service_reload(service);
        break;
    case SIGUSR1:
        service_log_state(service);
        break;
    default:
        service_stop(service, event->signum);
        break;
    }
}

// --- Start ---

// A catalog that is new has what the volumes' ledgers know.
static int service_take_ledgers(struct catalog *writer, const struct config *config, char **cause)
{
    if (catalog_begin(writer, cause) == CATALOG_OK && ledger_restore(writer, config, cause) == 0 &&
        catalog_commit(writer, cause) == CATALOG_OK)
        return 0;
    catalog_rollback(writer);
    return -1;
}

// Opens the catalog twice: the writing handle goes to its thread, the loop reads with its own.
static int service_open_catalog(struct service *service, char **cause)
{
    struct indexer *indexer = &service->indexer;
    const struct config *config = service->config;
    struct catalog *writer = catalog_open_writer(config->storage.database, cause);
    if (writer == NULL)
        return -1;
    enum catalog_status status = CATALOG_ERROR;
    if (storage_mark(writer, config, cause) == 0 &&
        service_take_ledgers(writer, config, cause) == 0)
        status = catalog_open_reader(config->storage.database, &indexer->catalog, cause);
    if (status != CATALOG_OK) {
        if (status == CATALOG_BUSY)
            *cause = xasprintf("%s: the catalog is locked", config->storage.database);
        catalog_close(writer);
        return -1;
    }
    indexer->committer = committer_new(indexer->loop, writer);
    return 0;
}

static int service_open(struct service *service, char **cause)
{
    struct indexer *indexer = &service->indexer;
    const struct config *config = service->config;
    if (fs_make_dirs(config->storage.database, SERVICE_DIR_MODE, cause) < 0 ||
        fs_make_dirs(config->storage.cache, SERVICE_DIR_MODE, cause) < 0 ||
        fs_make_dirs(config->runtime, SERVICE_DIR_MODE, cause) < 0 ||
        fs_check_local_dir(config->storage.database, "storage.database", false, cause) < 0 ||
        fs_check_local_dir(config->storage.cache, "storage.cache", true, cause) < 0 ||
        (service->lock = lockfile_take(config->storage.database, cause)) < 0 ||
        exchange_resume(config->storage.database, cause) < 0 ||
        service_open_catalog(service, cause) < 0)
        return -1;
    indexer->cache_worker = worker_new(indexer->loop, "cache");
    indexer->storage = storage_new(indexer);
    indexer->outlook = outlook_new(indexer);
    indexer->roster = roster_new(indexer);
    indexer->ledger = ledger_new(indexer);
    committer_watch(indexer->committer, ledger_append, indexer->ledger);
    indexer->ingest = ingest_new(indexer);
    indexer->expiry = expiry_new(indexer);
    indexer->marks = marks_new(indexer);
    indexer->reconcile = reconcile_new(indexer);
    indexer->cachesync = cachesync_new(indexer);
    indexer->cacheroom = cacheroom_new(indexer);
    service->enrol = enrol_new(indexer);
    service->watch = watch_new(config->storage.cache, ingest_changed, indexer->ingest, cause);
    if (service->watch == NULL)
        return -1;
    char *path = xasprintf("%s/control.sock", config->runtime);
    indexer->announce = announce_new(indexer->loop, path);
    free(path);
    path = xasprintf("%s/indexer.sock", config->runtime);
    service->server = ctl_server_open(path, service_request, service, cause);
    free(path);
    return service->server ? 0 : -1;
}

static void service_start_signals(struct service *service)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};
    for (size_t i = 0; i < ARRAY_LENGTH(signals); i++) {
        ev_signal *event = &service->signal_events[i];
        ev_signal_init(event, service_signal_cb, signals[i]);
        event->data = service;
        ev_signal_start(service->indexer.loop, event);
    }
    signal(SIGPIPE, SIG_IGN);
    // The kernel tells the holder of a lease so when a writer comes. We hold none for long.
    signal(SIGIO, SIG_IGN);
}

static void service_start_events(struct service *service)
{
    struct ev_loop *loop = service->indexer.loop;
    ev_io_init(&service->watch_event, service_watch_cb, watch_fd(service->watch), EV_READ);
    ev_io_init(&service->server_event, service_server_cb, ctl_server_fd(service->server), EV_READ);
    ev_timer_init(&service->tick_event, service_tick_cb, 0, SERVICE_TICK_S);
    ev_timer_init(&service->commit_event, service_commit_cb, SERVICE_COMMIT_S, SERVICE_COMMIT_S);
    ev_prepare_init(&service->prepare_event, service_prepare_cb);
    ev_check_init(&service->check_event, service_check_cb);
    service->watch_event.data = service->server_event.data = service;
    service->tick_event.data = service->commit_event.data = service;
    service->prepare_event.data = service->check_event.data = service;
    ev_io_start(loop, &service->watch_event);
    ev_io_start(loop, &service->server_event);
    ev_timer_start(loop, &service->tick_event);
    ev_timer_start(loop, &service->commit_event);
    ev_prepare_start(loop, &service->prepare_event);
    ev_check_start(loop, &service->check_event);
}

// Counts of zero for the reasons that there may be, so that the first one is seen as an increase.
static void service_init_figures(struct figures *figures)
{
    static const char *const quarantined[] = {"unreadable", "foreign", "codec", "implausible"};
    for (size_t i = 0; i < ARRAY_LENGTH(quarantined); i++)
        tally_add(&figures->quarantined, quarantined[i], 0);
    for (int reason = RETENTION_KEEP + 1; reason < RETENTION_REASON_COUNT; reason++)
        tally_add(&figures->deleted, retention_reason_name(reason), 0);
    tally_add(&figures->deleted, "empty", 0);
    tally_add(&figures->deleted, "cache_full", 0);
}

struct service *service_new(const struct config_source *source, struct config *config, char **cause)
{
    struct service *service = xcalloc(1, sizeof(*service));
    service->source = source;
    service->config = config;
    service->lock = -1;
    heartbeat_open(&service->heartbeat);
    service->indexer.config = config;
    service->indexer.loop = ev_default_loop(EVFLAG_AUTO);
    service_init_figures(&service->indexer.figures);
    service_start_signals(service);
    if (service_open(service, cause) < 0) {
        service_free(service);
        return NULL;
    }
    service_start_events(service);
    return service;
}

void service_run(struct service *service)
{
    log_info("indexing %s", service->config->storage.cache);
    watch_scan(service->watch);
    reconcile_start(service->indexer.reconcile);
    service->ran = true;
    ev_run(service->indexer.loop, 0);
}

// --- End ---

static void service_drop(struct commit *commit)
{
    switch (commit->kind) {
    case COMMIT_SEGMENT:
    case COMMIT_RUN:
        ingest_drop(commit);
        break;
    case COMMIT_CALL:
        commit->drop(commit);
        break;
    case COMMIT_GARBAGE_DONE:
        purge_drop(commit);
        break;
    default:
        expiry_drop(commit);
        break;
    }
}

void service_free(struct service *service)
{
    struct indexer *indexer = &service->indexer;
    indexer->stopping = true;
    // The workers first: what they have finished is to be committed. Then the committer, whose last
    // round says which cache names can go.
    storage_end(indexer->storage);
    enrol_end(service->enrol);
    struct worker *worker = indexer->cache_worker;
    indexer->cache_worker = NULL;
    worker_free(worker);
    reconcile_end(indexer->reconcile);
    // The writing handle is to be the last to close: then SQLite empties its log.
    catalog_close(indexer->catalog);
    if (service->ran)
        reconcile_note_stop(indexer->reconcile);
    committer_free(indexer->committer, service_drop);
    if (service->server != NULL)
        ctl_server_dispatch(service->server); // what the last round has answered
    ctl_server_close(service->server);
    marks_free(indexer->marks);
    watch_free(service->watch);
    cachesync_free(service->indexer.cachesync);
    cacheroom_free(indexer->cacheroom);
    enrol_free(service->enrol);
    storage_free(indexer->storage);
    outlook_free(indexer->outlook);
    roster_free(indexer->roster);
    ledger_free(indexer->ledger);
    expiry_free(indexer->expiry);
    ingest_free(indexer->ingest);
    announce_free(indexer->announce);
    reconcile_free(indexer->reconcile);
    if (service->lock >= 0)
        close(service->lock);
    heartbeat_close(&service->heartbeat);
    ev_loop_destroy(indexer->loop);
    config_free(service->config);
    free(service);
}
