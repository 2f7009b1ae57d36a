// The supervisor as a whole, handed over. See daemon_handover.h.
#include "supervisor/daemon_handover.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "lib/core/alloc.h"
#include "lib/core/log.h"
#include "lib/core/notify.h"
#include "lib/core/timeutil.h"
#include "supervisor/limits.h"
#include "supervisor/reload_handover.h"
#include "supervisor/spawn.h"
#include "supervisor/startup.h"
#include "supervisor/stream_handover.h"
#include "supervisor/webuiconf.h"

enum {
    // For a configuration that was good a moment ago: somebody is writing it anew.
    DAEMON_LOAD_ATTEMPTS = 50,
    DAEMON_LOAD_PAUSE_MS = 100,
};

static const char *const daemon_class_names[START_CLASS_COUNT] = {
    [START_FRESH] = "fresh",
    [START_RETRY] = "retry",
};
static const struct handover_names daemon_classes = {daemon_class_names, START_CLASS_COUNT};

static const struct handover_field daemon_queue_fields[] = {
    HANDOVER_SKIP(struct start_queue, lists), // by name, see below
    HANDOVER_NAMED(struct start_queue, last_class, &daemon_classes),
    HANDOVER_VALUE(struct start_queue, next_us),
};
static const struct handover_table daemon_queue_table =
    HANDOVER_TABLE(struct start_queue, daemon_queue_fields);

static const struct handover_field daemon_fields[] = {
    HANDOVER_VALUE(struct daemon, start_us),
    HANDOVER_VALUE(struct daemon, tick_us),
    HANDOVER_VALUE(struct daemon, ticks),
};
static const struct handover_table daemon_table = HANDOVER_TABLE(struct daemon, daemon_fields);

// --- Handing over

static json_t *daemon_queue_hand_over(const struct start_queue *queue)
{
    json_t *lists = json_object();
    for (int class = 0; class < START_CLASS_COUNT; class ++) {
        json_t *list = json_array();
        const struct start_turn *turn = queue->lists[class].first;
        for (; turn != NULL; turn = turn->next) {
            const struct stream *stream = turn->owner;
            json_array_append_new(
                list, json_pack("{s:s, s:s}", "camera", stream->camera, "stream", stream->name));
        }
        json_object_set_new(lists, daemon_class_names[class], list);
    }
    return json_pack(
        "{s:o, s:o}", "fields", handover_write(&daemon_queue_table, queue), "lists", lists);
}

static json_t *daemon_streams_hand_over(const struct daemon *daemon, struct handover_writer *writer)
{
    json_t *list = json_array();
    for (size_t i = 0; i < daemon->stream_count; i++) {
        const struct stream *stream = daemon->streams[i];
        json_array_append_new(list, json_pack("{s:s, s:s, s:o}", "camera", stream->camera, "stream",
                                        stream->name, "state", stream_hand_over(writer, stream)));
    }
    return list;
}

int daemon_hand_over(const struct daemon *daemon, struct handover_writer *writer, char **cause)
{
    json_t *root = json_pack("{s:i, s:s, s:i, s:o, s:I, s:o, s:o, s:o}", "version",
        HANDOVER_VERSION, "program", KEEPFRAME_VERSION, "pid", (int)getpid(), "daemon",
        handover_write(&daemon_table, daemon), "open_files_before", (json_int_t)limits_before(),
        "pid_file", handover_fd(writer, daemon->lock_fds[0]), "cache",
        handover_fd(writer, daemon->lock_fds[1]), "control",
        handover_fd(writer, ctl_server_listener(daemon->control)));
    json_t *more = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "configuration",
        reload_hand_over(daemon->config), "disabled", disabled_hand_over(&daemon->disabled),
        "loop_delay", loopmeter_hand_over(&daemon->meter), "upgrade",
        upgrade_hand_over(daemon->upgrade), "hooks", hooks_hand_over(writer, daemon->hooks),
        "indexer", service_hand_over(writer, daemon->indexer), "webui",
        service_hand_over(writer, daemon->webui), "starts",
        daemon_queue_hand_over(&daemon->host.starts), "streams",
        daemon_streams_hand_over(daemon, writer));
    json_object_update(root, more);
    json_decref(more);
    return handover_store(root, cause);
}

// --- Taking over

static void daemon_queue_take_over(
    struct handover_reader *reader, json_t *object, struct daemon *daemon)
{
    struct start_queue *queue = &daemon->host.starts;
    handover_read(
        reader, handover_take(reader, object, "fields", JSON_OBJECT), &daemon_queue_table, queue);
    json_t *lists = handover_take(reader, object, "lists", JSON_OBJECT);
    for (int class = 0; class < START_CLASS_COUNT; class ++) {
        json_t *list = handover_take(reader, lists, daemon_class_names[class], JSON_ARRAY);
        for (size_t i = 0; i < json_array_size(list); i++) {
            json_t *item = json_array_get(list, i);
            char *camera = handover_take_name(reader, item, "camera");
            char *name = handover_take_name(reader, item, "stream");
            struct stream *stream = daemon_find_stream(daemon, camera, name);
            if (stream != NULL && stream->state == STREAM_WAITING)
                stream_host_queue_as(&daemon->host, stream, (enum start_class) class);
            else
                handover_fail(
                    reader, "the state has a turn of %s/%s, which does not wait", camera, name);
            handover_end(reader, item);
            free(camera);
            free(name);
        }
    }
    handover_end(reader, lists);
    handover_end(reader, object);
}

static void daemon_streams_take_over(
    struct handover_reader *reader, json_t *list, struct daemon *daemon)
{
    for (size_t i = 0; i < json_array_size(list) && reader->cause == NULL; i++) {
        json_t *item = json_array_get(list, i);
        char *camera = handover_take_name(reader, item, "camera");
        char *name = handover_take_name(reader, item, "stream");
        json_t *state = handover_take(reader, item, "state", JSON_OBJECT);
        if (daemon_find_stream(daemon, camera, name) != NULL)
            handover_fail(reader, "the state has %s/%s twice", camera, name);
        else
            daemon_put_stream(daemon, stream_take_over(reader, state, &daemon->host, camera, name));
        handover_end(reader, item);
        free(camera);
        free(name);
    }
}

// Nobody may wait for what never comes, and nobody may be forgotten.
static void daemon_check_streams(
    struct handover_reader *reader, const struct daemon *daemon, const struct config *before)
{
    for (size_t i = 0; i < daemon->stream_count; i++) {
        const struct stream *stream = daemon->streams[i];
        if (stream->state == STREAM_WAITING && !stream->turn.is_queued &&
            !ev_is_active(&stream->timer))
            handover_fail(
                reader, "%s/%s waits for nothing in the state", stream->camera, stream->name);
    }
    for (size_t i = 0; i < before->stream_count; i++) {
        const struct config_stream *stream = &before->streams[i];
        if (daemon_find_stream(daemon, stream->camera, stream->name) == NULL)
            handover_fail(reader, "the state knows nothing of %s/%s", stream->camera, stream->name);
    }
}

// Whether the state is of this very process, or of the one that has it checked.
static void daemon_check_owner(struct handover_reader *reader, json_t *root)
{
    pid_t owner = reader->is_trial ? getppid() : getpid();
    if (handover_take_int(reader, root, "pid", 1, INT32_MAX) != owner)
        handover_fail(reader, "the state is that of another process");
}

// Takes over all parts, which must be new. Returns the configuration that was in force before.
static struct config *daemon_take_over(
    struct handover_reader *reader, json_t *root, struct daemon *daemon)
{
    handover_take_int(reader, root, "version", HANDOVER_VERSION, HANDOVER_VERSION);
    daemon->predecessor = handover_take_name(reader, root, "program");
    daemon_check_owner(reader, root);
    handover_read(
        reader, handover_take(reader, root, "daemon", JSON_OBJECT), &daemon_table, daemon);
    int64_t open_files = handover_take_int(reader, root, "open_files_before", 0, INT64_MAX);
    limits_set_before((uint64_t)open_files);
    daemon->lock_fds[0] = handover_take_fd(reader, root, "pid_file", S_IFREG);
    daemon->lock_fds[1] = handover_take_fd(reader, root, "cache", S_IFDIR);
    daemon->control_fd = handover_take_fd(reader, root, "control", S_IFSOCK);
    struct config *before =
        reload_take_over(reader, handover_take(reader, root, "configuration", JSON_OBJECT));
    disabled_take_over(
        reader, handover_take(reader, root, "disabled", JSON_ARRAY), &daemon->disabled);
    loopmeter_take_over(
        reader, handover_take(reader, root, "loop_delay", JSON_OBJECT), &daemon->meter);
    upgrade_take_over(reader, handover_take(reader, root, "upgrade", JSON_OBJECT), daemon->upgrade);
    hooks_take_over(reader, handover_take(reader, root, "hooks", JSON_OBJECT), daemon->hooks);
    service_take_over(reader, handover_take(reader, root, "indexer", JSON_OBJECT), daemon->indexer);
    service_take_over(reader, handover_take(reader, root, "webui", JSON_OBJECT), daemon->webui);
    daemon_streams_take_over(reader, handover_take(reader, root, "streams", JSON_ARRAY), daemon);
    daemon_queue_take_over(reader, handover_take(reader, root, "starts", JSON_OBJECT), daemon);
    handover_end(reader, root);
    daemon_check_streams(reader, daemon, before);
    return before;
}

// Makes all parts and fills them. Returns the configuration of before, or NULL with *cause set.
static struct config *daemon_rebuild(
    struct daemon *daemon, json_t *root, bool is_trial, char **cause)
{
    struct handover_reader reader;
    handover_reader_init(&reader, is_trial);
    daemon_make_parts(daemon);
    struct config *before = daemon_take_over(&reader, root, daemon);
    const char *key = reload_needs_restart(before, daemon->config);
    if (key != NULL)
        handover_fail(&reader, "%s: %s: can not be changed by an upgrade; restart keepframe",
            daemon->source.file, key);
    if (reader.cause != NULL) {
        *cause = xstrdup(reader.cause);
        config_free(before);
        before = NULL;
    }
    handover_reader_fini(&reader);
    return before;
}

static void daemon_resume_services(struct daemon *daemon)
{
    service_restart(daemon->indexer);
    if (daemon->config->webui == CONFIG_WEBUI_EXTERNAL)
        service_stop(daemon->webui);
    else if (!service_is_wanted(daemon->webui))
        service_start(daemon->webui);
    else
        service_restart(daemon->webui);
}

// Puts to work what was taken over.
static void daemon_go_on(struct daemon *daemon, const struct config *before)
{
    char *cause = NULL;
    struct reload_plan plan;
    if (webuiconf_write(daemon->config, &cause) < 0) {
        log_err("%s", cause);
        free(cause);
    }
    reload_plan_init(&plan, before, daemon->config, &daemon->disabled);
    daemon_apply_plan(daemon, &plan);
    log_info("upgrade: keepframe %s has taken over from %s: %zu streams go on, %zu started, %zu "
             "stopped, %zu restarted",
        KEEPFRAME_VERSION, daemon->predecessor, plan.kept, plan.started, plan.stopped,
        plan.restarted);
    reload_plan_fini(&plan);
    daemon_resume_services(daemon);
}

// What has come while nobody listened: signals wait, and of exits there may have been no word.
static void daemon_listen_again(void)
{
    sigset_t none;
    sigemptyset(&none);
    raise(SIGCHLD);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static struct config *daemon_load_patiently(const struct config_source *source, char **cause)
{
    const struct timespec pause = {.tv_nsec = DAEMON_LOAD_PAUSE_MS * 1000000L};
    for (int attempt = 1;; attempt++) {
        struct config *config = config_load(source, cause);
        if (config != NULL || attempt == DAEMON_LOAD_ATTEMPTS)
            return config;
        log_warn("upgrade: %s", *cause);
        free(*cause);
        *cause = NULL;
        nanosleep(&pause, NULL);
    }
}

int daemon_resume(struct daemon *daemon, int fd, char **cause)
{
    json_t *root = handover_load(fd, cause);
    close(fd);
    daemon->config = root ? daemon_load_patiently(&daemon->source, cause) : NULL;
    struct config *before = daemon->config ? daemon_rebuild(daemon, root, false, cause) : NULL;
    json_decref(root);
    if (before == NULL)
        return EXIT_FAILURE;
    char *path = xasprintf("%s/control.sock", daemon->config->runtime);
    daemon->control = daemon_adopt_control(daemon, path, cause);
    free(path);
    if (daemon->control != NULL) {
        daemon_watch(daemon);
        daemon_go_on(daemon, before);
        daemon_listen_again();
    }
    config_free(before);
    return daemon->control ? 0 : EXIT_FAILURE;
}

// Returns the cause why this program can not take over; NULL: it can.
static char *daemon_try_handover(struct daemon *daemon)
{
    char *cause = NULL;
    json_t *root = handover_load(SPAWN_INPUT_FD, &cause);
    daemon->config = root ? config_load(&daemon->source, &cause) : NULL;
    struct config *before = daemon->config ? daemon_rebuild(daemon, root, true, &cause) : NULL;
    if (before != NULL && strcmp(before->ffmpeg.path, daemon->config->ffmpeg.path) != 0)
        startup_check_ffmpeg(daemon->config, &cause);
    return cause;
}

int daemon_check_handover(const struct config_source *source)
{
    struct daemon daemon = {.source = *source, .lock_fds = {-1, -1}, .control_fd = -1};
    char *cause = daemon_try_handover(&daemon);
    dprintf(SPAWN_PROGRESS_FD, "%s %s\n", cause ? "no" : "yes", cause ? cause : KEEPFRAME_VERSION);
    // What was built here has descriptors and children of another process: nothing may end it.
    _exit(cause ? EXIT_FAILURE : EXIT_SUCCESS);
}
