// `keepframe probe`: asks the daemon that runs, or looks itself. See command.h.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include <ev.h>
#include <jansson.h>

#include "lib/core/alloc.h"
#include "lib/core/config_value.h"
#include "lib/core/ctl.h"
#include "lib/core/fsutil.h"
#include "lib/core/log.h"
#include "supervisor/command.h"
#include "supervisor/environment.h"
#include "supervisor/probe.h"
#include "supervisor/probe_report.h"
#include "supervisor/probe_target.h"

enum {
    PROBE_COMMAND_TIMEOUT_MS = 35000,
    PROBE_COMMAND_URL_MAX = 4096,
    PROBE_COMMAND_PASSWORD_MAX = 4096,
};

// What one `keepframe probe` works with.
struct probe_command {
    const struct command_options *options;
    struct config *config; // NULL: there is none, or it is not needed
    json_t *target;
    json_t *report;
    struct ev_loop *loop;
};

// Reads the configuration unless nobody named one and none is there. Returns false with all said
// when it is needed, or was named, and can not be read.
static bool probe_command_load(struct probe_command *probe, unsigned flags, bool is_needed)
{
    char *cause = NULL;
    struct config_source source = probe->options->source;
    source.flags = flags;
    if (!is_needed && probe->options->file == NULL && access(source.file, R_OK) < 0)
        return true;
    probe->config = config_load(&source, &cause);
    if (probe->config == NULL && (is_needed || probe->options->file != NULL))
        log_err("%s", cause);
    bool is_good = probe->config != NULL || (!is_needed && probe->options->file == NULL);
    free(cause);
    return is_good;
}

static void probe_command_done(void *arg, json_t *report)
{
    struct probe_command *probe = arg;
    probe->report = report;
    ev_break(probe->loop, EVBREAK_ALL);
}

// Looks at probe->target. Returns an exit code; 0 with the report set.
static int probe_command_look(struct probe_command *probe)
{
    const char *code;
    char *cause = NULL;
    char **environment = probe->config ? environment_new(probe->config, true) : NULL;
    probe->loop = ev_default_loop(EVFLAG_AUTO);
    struct probes *probes = probes_new(probe->loop, (char *const *const *)&environment);
    int result =
        probe_start(probes, json_incref(probe->target), probe_command_done, probe, &code, &cause);
    if (result == 0)
        ev_run(probe->loop, 0);
    else
        log_err("%s", cause);
    free(cause);
    probes_free(probes);
    environment_free(environment);
    return result == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

// --- An address ---

// The caller owns it; NULL with all said.
static char *probe_command_password(const char *path)
{
    char *cause = NULL;
    size_t size = 0;
    char *password = fs_read_file(path, PROBE_COMMAND_PASSWORD_MAX, &size, &cause);
    if (password == NULL)
        log_err("%s", cause);
    else if (size > 0 && password[size - 1] == '\n')
        password[size - 1] = '\0';
    free(cause);
    return password;
}

// The first line of stdin. The caller owns it; NULL with all said.
static char *probe_command_read(void)
{
    char line[PROBE_COMMAND_URL_MAX];
    if (fgets(line, sizeof(line), stdin) == NULL || strchr(line, '\n') == NULL) {
        if (!feof(stdin) || ferror(stdin) || strlen(line) == 0) {
            log_err("one line with the URL is expected on stdin, of at most %d bytes",
                PROBE_COMMAND_URL_MAX - 2);
            return NULL;
        }
    }
    line[strcspn(line, "\r\n")] = '\0';
    return xstrdup(line);
}

static bool probe_command_has_user(const char *url)
{
    struct config_url parsed;
    const char *reason;
    if (config_url_parse(url, &parsed, &reason) < 0) {
        const char *host = strstr(url, "://") + 3;
        return memchr(host, '@', strcspn(host, "/?#")) != NULL;
    }
    bool has_user = parsed.username != NULL;
    config_url_fini(&parsed);
    return has_user;
}

static int probe_command_url(struct probe_command *probe, const char *url)
{
    const struct command_options *options = probe->options;
    const char *field;
    char *cause = NULL;
    char *password = NULL;
    char *file = NULL;
    if (!probe_command_load(probe, 0, false))
        return EX_CONFIG;
    if (options->password_file != NULL) {
        password = probe_command_password(options->password_file);
        if (password == NULL)
            return EXIT_FAILURE;
        file = realpath(options->password_file, NULL);
    }
    probe->target =
        probe_target_url(probe->config, url, options->username, password, file, &field, &cause);
    int code = EX_USAGE;
    if (probe->target != NULL)
        code = probe_command_look(probe);
    else
        log_err("%s", cause);
    free(cause);
    free(password);
    free(file);
    return code;
}

static int probe_command_argument(struct probe_command *probe, const char *url)
{
    if (!probe_command_has_user(url))
        return probe_command_url(probe, url);
    log_err("a user or a password in an argument can be read by everybody in the list of "
            "processes: give the URL without them, with --username NAME and --password-file FILE, "
            "or give the whole URL on stdin: keepframe probe -");
    return EX_USAGE;
}

static int probe_command_stdin(struct probe_command *probe)
{
    char *url = probe_command_read();
    int code = url ? probe_command_url(probe, url) : EX_USAGE;
    free(url);
    return code;
}

// --- A configured stream ---

// Looks at the stream as the file has it. Returns an exit code.
static int probe_command_configured(
    struct probe_command *probe, const char *camera, const char *name)
{
    if (!probe_command_load(probe, CONFIG_SECRETS, true))
        return EX_CONFIG;
    const struct config_stream *stream = config_stream_find(probe->config, camera, name);
    if (stream == NULL) {
        log_err("there is no stream %s/%s in %s", camera, name, probe->config->file);
        return EXIT_FAILURE;
    }
    probe->target = probe_target_stream(probe->config, stream);
    return probe_command_look(probe);
}

static int probe_command_stream(struct probe_command *probe, const char *text)
{
    const char *slash = strchr(text, '/');
    char *camera = slash ? xstrndup(text, (size_t)(slash - text)) : xstrdup(text);
    const char *name = slash ? slash + 1 : "main";
    struct ctl_refusal refusal = {0};
    char *cause = NULL;
    char *path = command_socket(probe->options, &cause);
    int code = path ? EXIT_SUCCESS : EX_CONFIG;
    if (path != NULL) {
        json_t *request =
            json_pack("{s:s, s:s, s:s}", "command", "probe", "camera", camera, "stream", name);
        probe->report = ctl_ask(path, request, PROBE_COMMAND_TIMEOUT_MS, -1, &refusal);
        json_decref(request);
    } else {
        log_err("%s", cause);
    }
    if (refusal.code != NULL && strcmp(refusal.code, "not_running") == 0) {
        code = probe_command_configured(probe, camera, name);
    } else if (refusal.code != NULL) {
        log_err("%s", refusal.message);
        code = EXIT_FAILURE;
    }
    ctl_refusal_fini(&refusal);
    free(path);
    free(cause);
    free(camera);
    return code;
}

int command_probe(const struct command_options *options)
{
    const char *what = options->arguments[0];
    struct probe_command probe = {.options = options};
    bool is_url = strstr(what, "://") != NULL, is_stdin = strcmp(what, "-") == 0;
    if (!is_url && !is_stdin && (options->username || options->password_file)) {
        log_err("--username and --password-file go with a URL: a configured camera has its own");
        return EX_USAGE;
    }
    int code = is_stdin ? probe_command_stdin(&probe)
               : is_url ? probe_command_argument(&probe, what)
                        : probe_command_stream(&probe, what);
    if (probe.report != NULL) {
        if (!json_is_true(json_object_get(probe.report, "ok")))
            code = EXIT_FAILURE;
        if (options->as_json) {
            json_dumpf(probe.report, stdout, JSON_INDENT(2));
            putchar('\n');
        } else {
            probe_report_print(stdout, probe.report);
        }
    }
    json_decref(probe.report);
    json_decref(probe.target);
    config_free(probe.config);
    return code;
}
