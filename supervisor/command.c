// The commands that are not the daemon. See command.h.
#include "supervisor/command.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include <jansson.h>

#include "lib/core/alloc.h"
#include "lib/core/buf.h"
#include "lib/core/config_table.h"
#include "lib/core/ctl.h"
#include "lib/core/log.h"
#include "supervisor/adapt.h"
#include "supervisor/ffmpeg.h"
#include "supervisor/hints.h"
#include "supervisor/mask.h"

enum {
    COMMAND_TIMEOUT_MS = CTL_COMMAND_TIMEOUT_MS + 2000, // the daemon gives up first, and says so
};

// Prints an argument so that a shell would read it as one word.
static void command_print_word(const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "-_./:+,=%@";
    if (*word != '\0' && word[strspn(word, plain)] == '\0') {
        fputs(word, stdout);
        return;
    }
    putchar('\'');
    for (; *word != '\0'; word++)
        fputs(*word == '\'' ? "'\\''" : (char[]){*word, '\0'}, stdout);
    putchar('\'');
}

static void command_print_stream(const struct config *config, const struct config_stream *stream)
{
    char *directory = xasprintf("%s/%s/%s", config->storage.cache, stream->camera, stream->name);
    struct adapt adapt;
    adapt_reset(&adapt, &stream->recording);
    char **args = ffmpeg_args(config, stream, &adapt.way, directory, 0);
    char *script = ffmpeg_script(config, stream, &adapt.way);
    struct mask *mask = mask_new(stream->url, stream->password);
    char *masked = mask_text(script, mask);
    printf("\n# %s/%s%s\n", stream->camera, stream->name,
        stream->recording.enabled ? "" : " (not enabled)");
    for (char **arg = args; *arg != NULL; arg++) {
        if (arg != args)
            putchar(' ');
        command_print_word(*arg);
    }
    printf(" %d<<'END'\n%sEND\n", FFMPEG_SCRIPT_FD, masked);
    free(masked);
    mask_free(mask);
    free(script);
    ffmpeg_args_free(args);
    free(directory);
}

static int command_print_keys(void)
{
    struct buf keys = BUF_INIT;
    config_table_print(&keys);
    fputs(buf_string(&keys), stdout);
    buf_fini(&keys);
    return EXIT_SUCCESS;
}

static void command_print_hints(const struct config *config)
{
    struct hints_facts facts;
    struct buf lines = BUF_INIT;
    hints_read(config, &facts);
    hints_judge(&facts, &lines);
    for (const char *line = buf_string(&lines); *line != '\0'; line = strchr(line, '\n') + 1)
        printf("hint: %.*s\n", (int)strcspn(line, "\n"), line);
    buf_fini(&lines);
}

int command_check_config(const struct command_options *options)
{
    struct config_source source = options->source;
    char *cause = NULL;
    if (options->print_keys)
        return command_print_keys();
    source.flags = CONFIG_SECRETS;
    struct config *config = config_load(&source, &cause);
    if (config == NULL) {
        log_err("%s", cause);
        free(cause);
        return EX_CONFIG;
    }
    for (size_t i = 0; i < config->warnings.count; i++)
        log_warn("%s", config->warnings.items[i]);
    printf("%s: valid, %zu stream%s\n", config->file, config->stream_count,
        config->stream_count == 1 ? "" : "s");
    command_print_hints(config);
    for (size_t i = 0; options->print_commands && i < config->stream_count; i++)
        command_print_stream(config, &config->streams[i]);
    config_free(config);
    return EXIT_SUCCESS;
}

// The defaults say where the socket is, and who asks needs no configuration.
char *command_socket(const struct command_options *options, char **cause)
{
    const struct config_source *source = &options->source;
    if (options->file == NULL && source->runtime != NULL)
        return xasprintf("%s/control.sock", source->runtime);
    if (options->file == NULL && access(source->file, R_OK) < 0)
        return source->data ? xasprintf("%s/run/control.sock", source->data)
                            : xasprintf("%s/control.sock",
                                  config_table_find("runtime", CONFIG_SCOPE_ROOT)->fallback);
    struct config *config = config_load(&options->source, cause);
    char *path = config ? xasprintf("%s/control.sock", config->runtime) : NULL;
    config_free(config);
    return path;
}

// Asks the daemon. Takes the request. Returns the result, or NULL with *code set and all said.
static json_t *command_call(const struct command_options *options, json_t *request, int *code)
{
    char *cause = NULL;
    char *path = command_socket(options, &cause);
    json_t *result = path ? ctl_call(path, request, COMMAND_TIMEOUT_MS, &cause) : NULL;
    *code = result ? EXIT_SUCCESS : path ? EXIT_FAILURE : EX_CONFIG;
    if (result == NULL)
        log_err("%s", cause);
    free(cause);
    free(path);
    json_decref(request);
    return result;
}

static const char *command_string(const json_t *object, const char *key)
{
    const char *string = json_string_value(json_object_get(object, key));
    return string ? string : "-";
}

static int64_t command_integer(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

// The process of a stream or a program; "-" while there is none.
static char *command_pid(const json_t *object)
{
    int64_t pid = command_integer(object, "pid");
    return pid > 0 ? xasprintf("%" PRId64, pid) : xstrdup("-");
}

static void command_print_row(const json_t *stream)
{
    bool is_disabled = json_is_true(json_object_get(stream, "disabled_by_command"));
    char *name =
        xasprintf("%s/%s", command_string(stream, "camera"), command_string(stream, "stream"));
    char *pid = command_pid(stream);
    printf("%-32s %-11s %8s %10" PRId64 " %6.1f %8" PRId64 " %s\n", name,
        command_string(stream, "state"), pid, command_integer(stream, "frames"),
        json_real_value(json_object_get(stream, "fps")), command_integer(stream, "restarts"),
        is_disabled ? "disabled by a command" : command_string(stream, "last_reason"));
    free(pid);
    free(name);
}

static void command_print_service(const json_t *result, const char *name)
{
    const json_t *service = json_object_get(result, name);
    const char *state = command_string(service, "state");
    if (strcmp(state, "off") == 0) {
        printf("%-8s not started by this program\n", name);
        return;
    }
    char *pid = command_pid(service);
    int64_t restarts = command_integer(service, "restarts");
    printf("%-8s %s, pid %s, %" PRId64 " restart%s\n", name, state, pid, restarts,
        restarts == 1 ? "" : "s");
    free(pid);
}

// What has gone wrong with the last reload, the last upgrade and with hooks; nothing when nothing
// has.
static void command_print_troubles(const json_t *result)
{
    const json_t *config = json_object_get(result, "config");
    if (json_is_false(json_object_get(config, "successful")))
        printf("config   the reload at %s changed nothing: %s\n", command_string(config, "time"),
            command_string(config, "error"));
    const json_t *upgrade = json_object_get(result, "upgrade");
    if (json_is_string(json_object_get(upgrade, "error")))
        printf("upgrade  the one at %s changed nothing: %s\n", command_string(upgrade, "time"),
            command_string(upgrade, "error"));
    const char *event;
    json_t *counts;
    json_object_foreach(
        json_object_get(json_object_get(result, "hooks"), "by_event"), event, counts)
    {
        int64_t failed = command_integer(counts, "failed");
        int64_t dropped = command_integer(counts, "dropped");
        if (failed > 0 || dropped > 0)
            printf("hooks    on_%s: %" PRId64 " run, %" PRId64 " failed, %" PRId64 " left out\n",
                event, command_integer(counts, "run"), failed, dropped);
    }
}

static void command_print_header(void)
{
    printf("%-32s %-11s %8s %10s %6s %8s %s\n", "STREAM", "STATE", "PID", "FRAMES", "FPS",
        "RESTARTS", "LAST REASON");
}

static void command_print_all(const json_t *result)
{
    size_t index;
    json_t *stream;
    printf("node %s, pid %" PRId64 ", since %s\n", command_string(result, "node"),
        command_integer(result, "pid"), command_string(result, "start"));
    command_print_service(result, "indexer");
    command_print_service(result, "webui");
    command_print_troubles(result);
    command_print_header();
    json_array_foreach(json_object_get(result, "streams"), index, stream) command_print_row(stream);
}

// How a stream that fails goes on, and who knows more about it.
static void command_print_failures(const json_t *stream)
{
    int64_t failures = command_integer(stream, "failures");
    const json_t *next_start = json_object_get(stream, "next_start_ms");
    if (failures == 0)
        return;
    printf("%" PRId64 " failure%s in a row", failures, failures == 1 ? "" : "s");
    if (json_is_integer(next_start))
        printf(", next start in %.1f s", (double)json_integer_value(next_start) / 1000);
    printf("; `keepframe probe %s/%s` says what may help\n", command_string(stream, "camera"),
        command_string(stream, "stream"));
}

static void command_print_one(const json_t *result)
{
    size_t index;
    json_t *line;
    command_print_header();
    command_print_row(result);
    if (json_is_string(json_object_get(result, "file")))
        printf("file %s, %" PRId64 " bytes\n", command_string(result, "file"),
            command_integer(result, "file_bytes"));
    command_print_failures(result);
    json_array_foreach(json_object_get(result, "log"), index, line)
    {
        int64_t repeats = command_integer(line, "repeats");
        printf("  %s", command_string(line, "text"));
        if (repeats > 1)
            printf(" (%" PRId64 " times)", repeats);
        putchar('\n');
    }
}

int command_status(const struct command_options *options)
{
    int code;
    const char *target = options->arguments[0];
    json_t *request = json_pack("{s:s}", "command", "status");
    if (target != NULL) {
        const char *slash = strchr(target, '/');
        const char *name = slash ? slash + 1 : "main";
        size_t length = slash ? (size_t)(slash - target) : strlen(target);
        json_object_set_new(request, "camera", json_stringn(target, length));
        json_object_set_new(request, "stream", json_string(name));
    }
    json_t *result = command_call(options, request, &code);
    if (result == NULL)
        return code;
    if (options->as_json) {
        json_dumpf(result, stdout, JSON_INDENT(2));
        putchar('\n');
    } else if (target != NULL) {
        command_print_one(result);
    } else {
        command_print_all(result);
    }
    json_decref(result);
    return code;
}

// "CAMERA" or "CAMERA/STREAM" as the arguments of a request. Returns false after the error.
static bool command_set_streams(json_t *request, const char *argument)
{
    const char *slash = strchr(argument, '/');
    size_t length = slash ? (size_t)(slash - argument) : strlen(argument);
    if (length == 0 || (slash != NULL && slash[1] == '\0')) {
        log_err("%s: CAMERA or CAMERA/STREAM is expected", argument);
        return false;
    }
    json_object_set_new(request, "camera", json_stringn(argument, length));
    if (slash != NULL)
        json_object_set_new(request, "stream", json_string(slash + 1));
    return true;
}

// Tells the daemon something about the streams that the argument names. Returns the result, or NULL
// with *code set and all said.
static json_t *command_tell(const struct command_options *options, const char *command, int *code)
{
    json_t *request = json_pack("{s:s}", "command", command);
    if (command_set_streams(request, options->arguments[0]))
        return command_call(options, request, code);
    json_decref(request);
    *code = EX_USAGE;
    return NULL;
}

// "1 stream", "2 streams", "no stream".
static char *command_count(int64_t count)
{
    if (count == 0)
        return xstrdup("no stream");
    return xasprintf("%" PRId64 " stream%s", count, count == 1 ? "" : "s");
}

// Prints how many streams a command has touched, and why not all of them. Takes the result.
static void command_print_touched(
    json_t *result, const char *key, const char *after, const char *others)
{
    int64_t touched = command_integer(result, key);
    int64_t left = command_integer(result, "streams") - touched;
    int64_t off = command_integer(result, "off_by_configuration");
    char *text = command_count(touched);
    printf("%s %s%s", text, key, touched > 0 ? after : "");
    free(text);
    text = command_count(left);
    if (left > 0)
        printf("; %s %s", text, others);
    free(text);
    text = command_count(off);
    if (off > 0)
        printf("; %s stay%s off: the configuration says enabled: false", text, off == 1 ? "s" : "");
    free(text);
    putchar('\n');
    json_decref(result);
}

int command_restart(const struct command_options *options)
{
    int code;
    json_t *result = command_tell(options, "restart", &code);
    if (result != NULL)
        command_print_touched(result, "restarted", "", "not enabled");
    return code;
}

int command_enable(const struct command_options *options)
{
    int code;
    json_t *result = command_tell(options, "enable", &code);
    if (result != NULL)
        command_print_touched(result, "enabled", "", "not disabled by a command");
    return code;
}

int command_disable(const struct command_options *options)
{
    int code;
    json_t *result = command_tell(options, "disable", &code);
    if (result != NULL)
        command_print_touched(result, "disabled",
            ", until `keepframe enable` or a restart of keepframe", "disabled already");
    return code;
}

int command_reload(const struct command_options *options)
{
    int code;
    json_t *result = command_call(options, json_pack("{s:s}", "command", "reload"), &code);
    if (result == NULL)
        return code;
    printf("applied: streams: %" PRId64 " started, %" PRId64 " stopped, %" PRId64
           " restarted, %" PRId64 " kept\n",
        command_integer(result, "started"), command_integer(result, "stopped"),
        command_integer(result, "restarted"), command_integer(result, "kept"));
    json_decref(result);
    return code;
}
