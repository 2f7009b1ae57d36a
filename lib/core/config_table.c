// The table of configuration keys. See config_table.h.
#include "lib/core/config_table.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/config_value.h"
#include "lib/core/timeutil.h"

#define SECONDS(count) ((count)*US_PER_SECOND)
#define HOURS(count) SECONDS((count)*INT64_C(3600))
#define DAYS(count) ((count)*US_PER_DAY)

// Short names, so that a row of the table stays one.
#define ROOT CONFIG_SCOPE_ROOT
#define INCLUDED CONFIG_SCOPE_INCLUDED
#define STORAGE CONFIG_SCOPE_STORAGE
#define VOLUME CONFIG_SCOPE_VOLUME
#define HTTP CONFIG_SCOPE_HTTP
#define RECORDING CONFIG_SCOPE_RECORDING
#define RETAIN CONFIG_SCOPE_RETAIN
#define FFMPEG CONFIG_SCOPE_FFMPEG
#define CAMERA CONFIG_SCOPE_CAMERA
#define STREAM CONFIG_SCOPE_STREAM
#define HOOK CONFIG_SCOPE_HOOK
#define DOWN_HOOK CONFIG_SCOPE_DOWN_HOOK
#define EACH_STREAM (RECORDING | CAMERA | STREAM)
#define ACCESS (CAMERA | STREAM)

static const struct config_choice config_audio_choices[] = {
    {"auto", CONFIG_AUDIO_AUTO},
    {"copy", CONFIG_AUDIO_COPY},
    {"aac", CONFIG_AUDIO_AAC},
    {"off", CONFIG_AUDIO_OFF},
    {NULL, 0},
};

static const struct config_choice config_transport_choices[] = {
    {"tcp", CONFIG_TRANSPORT_TCP},
    {"udp", CONFIG_TRANSPORT_UDP},
    {"auto", CONFIG_TRANSPORT_AUTO},
    {NULL, 0},
};

static const struct config_choice config_mode_choices[] = {
    {"continuous", CONFIG_MODE_CONTINUOUS},
    {"events", CONFIG_MODE_EVENTS},
    {NULL, 0},
};

static const struct config_choice config_hash_choices[] = {
    {"none", CONFIG_HASH_NONE},
    {"sha256", CONFIG_HASH_SHA256},
    {NULL, 0},
};

static const struct config_choice config_webui_choices[] = {
    {"supervised", CONFIG_WEBUI_SUPERVISED},
    {"external", CONFIG_WEBUI_EXTERNAL},
    {NULL, 0},
};

#define TO_CONFIG(member) .target = CONFIG_TARGET_CONFIG, .offset = offsetof(struct config, member)
#define TO_VOLUME(member)                                                                          \
    .target = CONFIG_TARGET_VOLUME, .offset = offsetof(struct config_volume, member)
#define TO_RECORDING(member)                                                                       \
    .target = CONFIG_TARGET_RECORDING, .offset = offsetof(struct config_recording, member)
#define TO_ACCESS(member)                                                                          \
    .target = CONFIG_TARGET_ACCESS, .offset = offsetof(struct config_access, member)
#define TO_HOOK(member) .target = CONFIG_TARGET_HOOK, .offset = offsetof(struct config_hook, member)
#define PLANNED(where, key)                                                                        \
    {                                                                                              \
        .name = (key), .scopes = (where), .type = CONFIG_TYPE_PLANNED                              \
    }

const struct config_key config_table[] = {
    {"node", ROOT, CONFIG_TYPE_STRING, TO_CONFIG(node),
        .help = "This machine's name in answers and files; the host's name unless set."},
    {"runtime", ROOT, CONFIG_TYPE_PATH, TO_CONFIG(runtime), .fallback = "/run/keepframe",
        .help = "Directory of the sockets and the pid file. --runtime has the last word."},

    {"storage", ROOT, CONFIG_TYPE_MAP, STORAGE, .help = "Where things are kept."},
    {"database", STORAGE, CONFIG_TYPE_PATH, TO_CONFIG(storage.database),
        .fallback = "/var/lib/keepframe",
        .help = "Directory of the catalog, on a local file system."},
    {"cache", STORAGE, CONFIG_TYPE_PATH, TO_CONFIG(storage.cache),
        .fallback = "/var/lib/keepframe/cache",
        .help = "Directory that ffmpeg records into, on a local file system that keeps birth "
                "times and grants leases (ext4, xfs, btrfs, tmpfs)."},
    {"volumes", STORAGE, CONFIG_TYPE_VOLUMES, VOLUME,
        .help = "The archive: one volume or several, filled in this order; "
                "/var/lib/keepframe/video unless set. When all are full, the oldest footage goes."},
    {"path", VOLUME, CONFIG_TYPE_PATH, TO_VOLUME(path), .help = "The volume's directory. Needed."},
    {"min_free", VOLUME, CONFIG_TYPE_AMOUNT, TO_VOLUME(min_free), .fallback = "5%",
        .help = "Free space below which the oldest footage is deleted."},

    {"http", ROOT, CONFIG_TYPE_MAP, HTTP, .help = "The page and the API."},
    {"listen", HTTP, CONFIG_TYPE_LISTEN, TO_CONFIG(http.listen), .fallback = "127.0.0.1:8080",
        .help = "Address and port (0: the kernel chooses one). Only a loopback address is allowed, "
                "because this version "
                "knows no users."},
    PLANNED(HTTP, "users"),
    PLANNED(HTTP, "tokens"),
    PLANNED(HTTP, "tls"),
    PLANNED(HTTP, "trusted_proxies"),
    PLANNED(HTTP, "base_path"),
    {"cors", HTTP, CONFIG_TYPE_ORIGINS, TO_CONFIG(http.cors),
        .help = "Origins (https://HOST or https://HOST:PORT) whose pages may use the API and the "
                "footage in a browser, besides our own page."},
    {"webui", ROOT, CONFIG_TYPE_CHOICE, TO_CONFIG(webui), .choices = config_webui_choices,
        .fallback = "supervised",
        .help = "Who starts keepframe-webui: keepframe itself, or a service of its own."},

    {"ffmpeg", ROOT, CONFIG_TYPE_MAP, FFMPEG, .help = "The recorder."},
    {"path", FFMPEG, CONFIG_TYPE_PROGRAM, TO_CONFIG(ffmpeg.path), .fallback = "ffmpeg",
        .help = "The ffmpeg program, 5.1 or later: a path, or a name that is looked up in PATH."},
    {"input_options", FFMPEG, CONFIG_TYPE_OPTIONS, TO_CONFIG(ffmpeg.input_options),
        .help = "Further options of ffmpeg's RTSP input: name, value, name, value …"},
    {"output_options", FFMPEG, CONFIG_TYPE_LIST, TO_CONFIG(ffmpeg.output_options),
        .help = "Further arguments that stand before ffmpeg's output."},

    {"recording", ROOT, CONFIG_TYPE_MAP, RECORDING,
        .help = "The defaults of all cameras. What may also stand in a camera or in a stream "
                "overrides them there."},
    {"sync", RECORDING, CONFIG_TYPE_DURATION, TO_CONFIG(recording.sync_us), .min = SECONDS(1),
        .max = SECONDS(600), .fallback = "5s",
        .help = "How often open recordings are forced to disk: what a power cut may cost."},
    {"hash", RECORDING, CONFIG_TYPE_CHOICE, TO_CONFIG(recording.hash),
        .choices = config_hash_choices, .fallback = "none",
        .help = "A checksum of each file as it is filed, for `keepframe-indexer verify`."},
    {"segment", EACH_STREAM, CONFIG_TYPE_DURATION, TO_RECORDING(segment_us), .min = SECONDS(2),
        .max = HOURS(1), .fallback = "60s", .help = "Length of the files, cut at key frames."},
    {"transport", EACH_STREAM, CONFIG_TYPE_CHOICE, TO_RECORDING(transport),
        .choices = config_transport_choices, .fallback = "tcp",
        .help = "How video travels from the camera: tcp loses nothing on the way, udp does where "
                "the network is bad; auto takes TCP, and UDP where nothing comes over TCP."},
    {"timeout", EACH_STREAM, CONFIG_TYPE_DURATION, TO_RECORDING(timeout_us), .min = SECONDS(1),
        .max = SECONDS(60), .fallback = "5s",
        .help = "Silence of the camera after which the connection is given up."},
    {"audio", EACH_STREAM, CONFIG_TYPE_CHOICE, TO_RECORDING(audio), .choices = config_audio_choices,
        .fallback = "auto",
        .help = "auto keeps the camera's track, or encodes it to AAC where MP4 does not take it "
                "(G.711); copy keeps it or leaves it out, aac always encodes it, off leaves it "
                "out. Video is never touched."},
    {"latency", EACH_STREAM, CONFIG_TYPE_DURATION, TO_RECORDING(latency_us), .min = 0,
        .max = SECONDS(30), .fallback = "0",
        .help = "The camera's delay from lens to network; times are corrected by it."},
    {"enabled", EACH_STREAM, CONFIG_TYPE_BOOL, TO_RECORDING(enabled), .fallback = "true",
        .help = "Whether it is recorded."},
    {"retain", EACH_STREAM, CONFIG_TYPE_MAP, RETAIN, .help = "How long footage is kept."},
    {"mode", RETAIN, CONFIG_TYPE_CHOICE, TO_RECORDING(retain.mode), .choices = config_mode_choices,
        .fallback = "continuous",
        .help = "continuous keeps all footage; events deletes what no event touches, ten minutes "
                "(and `pre`) after it was recorded."},
    {"continuous", RETAIN, CONFIG_TYPE_DURATION, TO_RECORDING(retain.continuous_us),
        .min = SECONDS(1), .max = DAYS(36500), .fallback = "30d",
        .help = "Age at which footage is deleted that no event touches."},
    {"events", RETAIN, CONFIG_TYPE_DURATION, TO_RECORDING(retain.events_us), .min = SECONDS(1),
        .max = DAYS(36500),
        .help = "Age at which footage is deleted that an event touches; as `continuous` unless "
                "set, and in mode continuous never less."},
    {"pre", RETAIN, CONFIG_TYPE_DURATION, TO_RECORDING(retain.pre_us), .min = 0, .max = HOURS(24),
        .fallback = "5s", .help = "What is kept with an event before it begins."},
    {"post", RETAIN, CONFIG_TYPE_DURATION, TO_RECORDING(retain.post_us), .min = 0, .max = HOURS(24),
        .fallback = "5s", .help = "And behind its end."},
    {"max_bytes", RETAIN, CONFIG_TYPE_SIZE, TO_RECORDING(retain.max_bytes), .fallback = "0",
        .help = "What each stream may take at most, without what is locked; then its oldest "
                "footage goes. 0: no limit of its own."},
    {"on_stream_down", EACH_STREAM, CONFIG_TYPE_HOOK, DOWN_HOOK, TO_RECORDING(on_stream_down),
        .help = "What is run when a stream is not recorded any more. One that stands in a camera "
                "or in a stream replaces the inherited one whole; {} stands for none."},
    {"on_stream_up", EACH_STREAM, CONFIG_TYPE_HOOK, HOOK, TO_RECORDING(on_stream_up),
        .help = "What is run when it is recorded again, after a time for which on_stream_down is "
                "due."},
    {"on_segment", EACH_STREAM, CONFIG_TYPE_HOOK, HOOK, TO_RECORDING(on_segment),
        .help = "What is run when a segment has been filed in the volume."},
    {"command", HOOK | DOWN_HOOK, CONFIG_TYPE_COMMAND, TO_HOOK(command),
        .help = "A program and its arguments, as [/usr/local/bin/alarm, down]; no shell reads "
                "them. It finds the event in its environment, and as JSON on its standard input."},
    {"url", HOOK | DOWN_HOOK, CONFIG_TYPE_WEBHOOK, TO_HOOK(url),
        .help = "http:// or https:// address to which the event is sent as JSON, by POST."},
    {"timeout", HOOK | DOWN_HOOK, CONFIG_TYPE_DURATION, TO_HOOK(timeout_us), .min = SECONDS(1),
        .max = SECONDS(300), .fallback = "30s", .help = "How long it may take; then it is killed."},
    {"hold_off", DOWN_HOOK, CONFIG_TYPE_DURATION, TO_HOOK(hold_off_us), .min = 0, .max = HOURS(24),
        .fallback = "10s",
        .help = "How long a stream may be away before that is told, counted from its last frame."},

    {"url", ACCESS, CONFIG_TYPE_SECRET, TO_ACCESS(url),
        .help = "rtsp:// or rtsps:// address. Needed, but in a camera with streams. A user and "
                "password in it are taken as username and password."},
    {"username", ACCESS, CONFIG_TYPE_SECRET, TO_ACCESS(username), .help = "For the camera."},
    {"password", ACCESS, CONFIG_TYPE_SECRET, TO_ACCESS(password), .help = "For the camera."},
    {"password_file", ACCESS, CONFIG_TYPE_SECRET_FILE, TO_ACCESS(password),
        .help = "File with the password instead; one newline at its end is dropped. Relative to "
                "the file that names it."},
    {"streams", CAMERA, CONFIG_TYPE_STREAMS, STREAM,
        .help = "Several streams of one camera, by name; a camera with url has one, called "
                "main. Names match [a-z0-9][a-z0-9_-]{0,62}."},
    {"cameras", ROOT | INCLUDED, CONFIG_TYPE_CAMERAS, CAMERA,
        .help = "The cameras, by name. Names match [a-z0-9][a-z0-9_-]{0,62}."},
    {"include", ROOT, CONFIG_TYPE_INCLUDE,
        .help = "A glob or a list of globs, as cameras.d/*.yaml; such files hold cameras: only. "
                "No match is fine."},
    {.name = NULL},
};

const struct config_key *config_table_find(const char *name, enum config_scope scope)
{
    for (const struct config_key *key = config_table; key->name != NULL; key++) {
        if ((key->scopes & scope) && strcmp(key->name, name) == 0)
            return key;
    }
    return NULL;
}

const char *config_table_place(const char *name)
{
    static const struct {
        enum config_scope scope;
        const char *place;
    } places[] = {
        {ROOT, "the top of the main file"},
        {STORAGE, "under storage:"},
        {VOLUME, "in a volume"},
        {HTTP, "under http:"},
        {FFMPEG, "under ffmpeg:"},
        {RECORDING, "under recording:, or in a camera"},
        {RETAIN, "under retain:"},
        {CAMERA, "in a camera"},
        {STREAM, "in a stream"},
        {DOWN_HOOK, "in on_stream_down"},
    };
    for (const struct config_key *key = config_table; key->name != NULL; key++) {
        if (strcmp(key->name, name) != 0)
            continue;
        if (key->scopes == RECORDING)
            return "under recording:";
        for (size_t i = 0; i < ARRAY_LENGTH(places); i++) {
            if (key->scopes & places[i].scope)
                return places[i].place;
        }
    }
    return NULL;
}

enum {
    CONFIG_SUGGEST_LENGTH_MAX = 32,
};

// Damerau-Levenshtein distance (adjacent swaps count one) of two short words.
static size_t config_word_distance(const char *a, const char *b)
{
    size_t rows[3][CONFIG_SUGGEST_LENGTH_MAX + 1];
    size_t a_length = strlen(a), b_length = strlen(b);
    if (a_length > CONFIG_SUGGEST_LENGTH_MAX || b_length > CONFIG_SUGGEST_LENGTH_MAX)
        return SIZE_MAX;
    for (size_t j = 0; j <= b_length; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a_length; i++) {
        size_t *row = rows[i % 3], *above = rows[(i - 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            size_t best = above[j - 1] + (a[i - 1] != b[j - 1]);
            if (above[j] + 1 < best)
                best = above[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                rows[(i - 2) % 3][j - 2] + 1 < best)
                best = rows[(i - 2) % 3][j - 2] + 1;
            row[j] = best;
        }
    }
    return rows[a_length % 3][b_length];
}

const char *config_table_suggest(const char *name, enum config_scope scope)
{
    const char *nearest = NULL;
    size_t limit = strlen(name) / 2;
    size_t least = limit < 2 ? 2 : limit;
    for (const struct config_key *key = config_table; key->name != NULL; key++) {
        if (!(key->scopes & scope) || key->type == CONFIG_TYPE_PLANNED)
            continue;
        size_t distance = config_word_distance(name, key->name);
        if (distance < least || (distance == least && nearest == NULL)) {
            nearest = key->name;
            least = distance;
        }
    }
    return nearest;
}

static const char *const config_type_names[CONFIG_TYPE_COUNT] = {
    [CONFIG_TYPE_VOLUMES] = "list",
    [CONFIG_TYPE_INCLUDE] = "glob or list",
    [CONFIG_TYPE_STRING] = "text",
    [CONFIG_TYPE_PATH] = "path",
    [CONFIG_TYPE_PROGRAM] = "program",
    [CONFIG_TYPE_LISTEN] = "address:port",
    [CONFIG_TYPE_DURATION] = "duration",
    [CONFIG_TYPE_AMOUNT] = "percentage or size",
    [CONFIG_TYPE_SIZE] = "size",
    [CONFIG_TYPE_BOOL] = "true or false",
    [CONFIG_TYPE_LIST] = "list",
    [CONFIG_TYPE_OPTIONS] = "list",
    [CONFIG_TYPE_ORIGINS] = "list",
    [CONFIG_TYPE_SECRET] = "text",
    [CONFIG_TYPE_SECRET_FILE] = "path",
    [CONFIG_TYPE_COMMAND] = "list",
    [CONFIG_TYPE_WEBHOOK] = "text",
};

static void config_table_print_kind(const struct config_key *key, struct buf *out)
{
    const char *separator = " ";
    for (const struct config_choice *choice = key->choices; choice && choice->name; choice++) {
        buf_printf(out, "%s_%s_", separator, choice->name);
        separator = "|";
    }
    if (config_type_names[key->type] != NULL)
        buf_printf(out, " _%s_", config_type_names[key->type]);
    if (key->fallback != NULL)
        buf_printf(out, " (%s)", key->fallback);
}

// Puts text where scdoc must not see markup.
static void config_table_print_text(const char *text, struct buf *out)
{
    for (; *text != '\0'; text++) {
        if (*text == '*' || *text == '\\')
            buf_put_u8(out, '\\');
        buf_put_u8(out, (uint8_t)*text);
    }
}

static void config_table_print_key(const struct config_key *key, const char *path, struct buf *out)
{
    buf_printf(out, "*%s*", path);
    config_table_print_kind(key, out);
    buf_printf(out, "\n\t");
    config_table_print_text(key->help, out);
    if (key->type == CONFIG_TYPE_DURATION) {
        char least[TIME_TEXT_SIZE], most[TIME_TEXT_SIZE];
        config_duration_format(key->min, least);
        config_duration_format(key->max, most);
        buf_printf(out, " From %s to %s.", least, most);
    }
    if (key->scopes & RECORDING && key->scopes & CAMERA)
        buf_printf(out, " Also in a camera and in a stream.");
    if (key->scopes == ACCESS)
        buf_printf(out, " Also in a stream.");
    buf_printf(out, "\n\n");
}

// Prints the keys of one scope. A key that also stands in an outer scope is printed there alone.
static void config_table_print_scope(
    enum config_scope scope, unsigned outer, const char *prefix, struct buf *out)
{
    for (const struct config_key *key = config_table; key->name != NULL; key++) {
        if (!(key->scopes & scope) || key->scopes & outer || key->type == CONFIG_TYPE_PLANNED)
            continue;
        char *path = xasprintf("%s%s", prefix, key->name);
        config_table_print_key(key, path, out);
        const char *joint = key->type == CONFIG_TYPE_VOLUMES   ? "[]."
                            : key->type == CONFIG_TYPE_CAMERAS ? ".CAMERA."
                            : key->type == CONFIG_TYPE_STREAMS ? ".STREAM."
                                                               : ".";
        char *inner = xasprintf("%s%s", path, joint);
        unsigned skip = key->inner == CAMERA   ? RECORDING
                        : key->inner == STREAM ? RECORDING | CAMERA
                                               : 0;
        if (key->inner != 0)
            config_table_print_scope(key->inner, skip, inner, out);
        free(inner);
        free(path);
    }
}

void config_table_print(struct buf *out)
{
    config_table_print_scope(ROOT, 0, "", out);
}
