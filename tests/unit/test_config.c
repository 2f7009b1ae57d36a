// The configuration's reader: YAML text in, values or one exact complaint out.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/core/alloc.h"
#include "lib/core/config.h"
#include "lib/core/config_table.h"
#include "lib/core/config_value.h"
#include "lib/core/fsutil.h"

// Every test runs in a directory of its own, so that complaints begin with "k.yaml".
static int enter_directory(void **state)
{
    char *directory = xstrdup("/tmp/test_config.XXXXXX");
    assert_non_null(mkdtemp(directory));
    assert_int_equal(chdir(directory), 0);
    *state = directory;
    return 0;
}

static int leave_directory(void **state)
{
    static const char *const names[] = {
        "k.yaml", "secret", "a.yaml", "b.yaml", "d/one.yaml", "d/two.yaml", "d/secret", "d"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        remove(names[i]);
    assert_int_equal(chdir("/"), 0);
    assert_int_equal(rmdir(*state), 0);
    free(*state);
    return 0;
}

static void put_file(const char *name, const char *text)
{
    char *cause = NULL;
    assert_int_equal(fs_write_file(name, text, strlen(text), 0640, &cause), 0);
}

static struct config *load_flags(unsigned flags, char **cause)
{
    struct config_source source = {.file = "k.yaml", .flags = flags};
    return config_load(&source, cause);
}

static struct config *load_text(const char *yaml)
{
    char *cause = NULL;
    put_file("k.yaml", yaml);
    struct config *config = load_flags(CONFIG_SECRETS, &cause);
    if (config == NULL)
        fail_msg("%s", cause);
    return config;
}

static void expect_cause(const char *yaml, const char *expected)
{
    char *cause = NULL;
    put_file("k.yaml", yaml);
    struct config *config = load_flags(CONFIG_SECRETS, &cause);
    if (config != NULL)
        fail_msg("accepted: %s", yaml);
    assert_string_equal(cause, expected);
    free(cause);
}

#define CAMERA "cameras: {a: {url: rtsp://h/x}}\n"

static void test_defaults(void **state)
{
    struct config *config = load_text(CAMERA);
    char host[256] = "";
    gethostname(host, sizeof(host) - 1);
    assert_string_equal(config->node, host);
    assert_string_equal(config->runtime, "/run/keepframe");
    assert_string_equal(config->storage.database, "/var/lib/keepframe");
    assert_string_equal(config->storage.cache, "/var/lib/keepframe/cache");
    assert_int_equal(config->storage.volume_count, 1);
    assert_string_equal(config->storage.volumes[0].path, "/var/lib/keepframe/video");
    assert_true(config->storage.volumes[0].min_free.is_percent);
    assert_int_equal(config->storage.volumes[0].min_free.value, 5);
    assert_int_equal(config->recording.sync_us, 5000000);
    assert_string_equal(config->http.listen, "127.0.0.1:8080");
    assert_string_equal(config->ffmpeg.path, "ffmpeg");
    assert_int_equal(config->webui, CONFIG_WEBUI_SUPERVISED);
    assert_int_equal(config->stream_count, 1);
    const struct config_stream *stream = config->streams;
    assert_string_equal(stream->camera, "a");
    assert_string_equal(stream->name, "main");
    assert_string_equal(stream->url, "rtsp://h/x");
    assert_null(stream->username);
    assert_int_equal(stream->recording.segment_us, 60000000);
    assert_int_equal(stream->recording.timeout_us, 5000000);
    assert_int_equal(stream->recording.latency_us, 0);
    assert_int_equal(stream->recording.audio, CONFIG_AUDIO_AUTO);
    assert_true(stream->recording.enabled);
    assert_int_equal(stream->recording.retain.continuous_us, INT64_C(30) * 86400 * 1000000);
    assert_int_equal(config->warnings.count, 0);
    config_free(config);
    (void)state;
}

static void test_inheritance(void **state)
{
    struct config *config = load_text(
        "cameras:\n"
        "  yard:\n"
        "    username: nvr\n"
        "    password: 'p@ss'\n"
        "    segment: 10s\n"
        "    streams:\n"
        "      sub: {url: rtsps://h/s, audio: off, enabled: no}\n"
        "      main: {url: 'rtsp://[::1]:554/m', password: other, transport: udp}\n"
        "  door: {url: rtsp://h/d, retain: {continuous: 2h, mode: events, max_bytes: 5GiB}}\n"
        "recording: {segment: 30s, audio: aac, transport: tcp,\n"
        "  timeout: 3s, latency: 150ms, retain: {continuous: 14d}}\n");
    assert_int_equal(config->stream_count, 3);
    const struct config_stream *door = &config->streams[0], *main = &config->streams[1],
                               *sub = &config->streams[2];
    assert_string_equal(door->camera, "door");
    assert_int_equal(door->recording.segment_us, 30000000);
    assert_int_equal(door->recording.timeout_us, 3000000);
    assert_int_equal(door->recording.latency_us, 150000);
    assert_int_equal(door->recording.audio, CONFIG_AUDIO_AAC);
    assert_int_equal(door->recording.retain.continuous_us, INT64_C(7200) * 1000000);
    assert_int_equal(door->recording.retain.mode, CONFIG_MODE_EVENTS);
    assert_int_equal(door->recording.retain.max_bytes, INT64_C(5) << 30);
    assert_int_equal(door->recording.retain.events_us, 0);
    assert_int_equal(door->recording.retain.pre_us, 5000000);
    assert_int_equal(main->recording.retain.mode, CONFIG_MODE_CONTINUOUS);
    assert_int_equal(main->recording.retain.max_bytes, 0);
    assert_string_equal(main->name, "main");
    assert_string_equal(main->username, "nvr");
    assert_string_equal(main->password, "other");
    assert_int_equal(main->recording.transport, CONFIG_TRANSPORT_UDP);
    assert_int_equal(sub->recording.transport, CONFIG_TRANSPORT_TCP);
    assert_int_equal(main->recording.segment_us, 10000000);
    assert_string_equal(sub->name, "sub");
    assert_string_equal(sub->password, "p@ss");
    assert_int_equal(sub->recording.audio, CONFIG_AUDIO_OFF);
    assert_false(sub->recording.enabled);
    assert_int_equal(sub->recording.retain.continuous_us, INT64_C(14) * 86400 * 1000000);
    assert_ptr_equal(config_stream_find(config, "yard", "sub"), sub);
    assert_null(config_stream_find(config, "yard", "none"));
    config_free(config);
    (void)state;
}

static void test_paths_and_data(void **state)
{
    char *cause = NULL;
    put_file("k.yaml", CAMERA "storage: {database: db, volumes: [{path: /v, min_free: 2GiB}]}\n"
                              "ffmpeg: {path: tools/ffmpeg, input_options: [-max_delay, '5']}\n");
    struct config_source source = {.file = "k.yaml", .data = "/d", .runtime = "/r"};
    struct config *config = config_load(&source, &cause);
    assert_non_null(config);
    char *database = xasprintf("%s/db", (char *)*state);
    assert_string_equal(config->storage.database, database);
    free(database);
    assert_string_equal(config->storage.cache, "/d/cache");
    assert_string_equal(config->runtime, "/r");
    assert_string_equal(config->storage.volumes[0].path, "/v");
    assert_false(config->storage.volumes[0].min_free.is_percent);
    assert_int_equal(config->storage.volumes[0].min_free.value, INT64_C(2) << 30);
    assert_int_equal(config->ffmpeg.input_options.count, 2);
    assert_string_equal(config->ffmpeg.input_options.items[1], "5");
    assert_non_null(strstr(config->ffmpeg.path, "/tools/ffmpeg"));
    assert_null(config->streams[0].url); // no CONFIG_SECRETS
    config_free(config);

    put_file("k.yaml", CAMERA);
    source.runtime = NULL;
    config = config_load(&source, &cause);
    assert_string_equal(config->storage.database, "/d");
    assert_string_equal(config->storage.volumes[0].path, "/d/video");
    assert_string_equal(config->runtime, "/d/run");
    config_free(config);
}

static void test_environment(void **state)
{
    setenv("KF_TEST_HOST", "h.example", 1);
    setenv("KF_TEST_SEGMENT", "4s", 1);
    unsetenv("KF_TEST_UNSET");
    struct config *config = load_text(
        "cameras: {a: {url: 'rtsp://${KF_TEST_HOST}/x', username: u, password: 'a$${b}$c',\n"
        "  segment: '${KF_TEST_SEGMENT}'}}\n");
    assert_string_equal(config->streams[0].url, "rtsp://h.example/x");
    assert_string_equal(config->streams[0].password, "a${b}$c");
    assert_int_equal(config->streams[0].recording.segment_us, 4000000);
    config_free(config);
    expect_cause("cameras: {a: {url: rtsp://h/, username: u, password: 'x${KF_TEST_UNSET}'}}",
        "k.yaml:1:54: cameras.a.password: the environment variable KF_TEST_UNSET is not set");
    setenv("KF_TEST_HOST", "a\nb", 1);
    expect_cause(
        "node: ${KF_TEST_HOST}\n" CAMERA, "k.yaml:1:7: node: control characters are not allowed");
    setenv("KF_TEST_HOST", "a\xff", 1);
    expect_cause("node: ${KF_TEST_HOST}\n" CAMERA,
        "k.yaml:1:7: node: the environment variable KF_TEST_HOST is not UTF-8 text");
    expect_cause("node: a${b\n" CAMERA,
        "k.yaml:1:7: node: ${ must be followed by a variable's name and }; $${ stands for a "
        "literal ${");
    (void)state;
}

static void test_credentials_in_url(void **state)
{
    struct config *config = load_text(
        "cameras: {a: {url: 'rtsp://us%65r:p%40s%25:s@h:8554/x?y=@'}, b: {url: 'rtsp://u@h'}}");
    assert_string_equal(config->streams[0].url, "rtsp://h:8554/x?y=@");
    assert_string_equal(config->streams[0].username, "user");
    assert_string_equal(config->streams[0].password, "p@s%:s");
    assert_string_equal(config->streams[1].username, "u");
    assert_null(config->streams[1].password);
    config_free(config);
    (void)state;
}

static void test_password_file(void **state)
{
    assert_int_equal(mkdir("d", 0755), 0);
    put_file("secret", "wrong");
    put_file("d/secret", "two\n\n");
    put_file("d/one.yaml", "cameras: {one: {url: rtsp://h/, username: u, password_file: secret}}");
    put_file("k.yaml", "include: d/*.yaml");
    char *cause = NULL;
    assert_null(load_flags(CONFIG_SECRETS, &cause));
    char *expected = xasprintf("%s/d/one.yaml:1:61: cameras.one.password_file: %s/d/secret holds "
                               "control characters; one line with the password is expected",
        (char *)*state, (char *)*state);
    assert_string_equal(cause, expected);
    free(cause);
    free(expected);
    put_file("d/secret", " a%b \n");
    struct config *config = load_flags(CONFIG_SECRETS, &cause);
    assert_non_null(config);
    assert_string_equal(config->streams[0].password, " a%b ");
    config_free(config);
    put_file("d/secret", "\n");
    assert_null(load_flags(CONFIG_SECRETS, &cause));
    assert_non_null(strstr(cause, "holds no password"));
    free(cause);
    // Without secrets nothing of that is read.
    config = load_flags(0, &cause);
    assert_non_null(config);
    assert_null(config->streams[0].password);
    config_free(config);
}

static void test_include(void **state)
{
    assert_int_equal(mkdir("d", 0755), 0);
    put_file("d/one.yaml", "cameras: {one: {url: rtsp://h/1}}");
    put_file("d/two.yaml", "cameras: {two: {url: rtsp://h/2}}");
    struct config *config =
        load_text("include: [d/t*.yaml, d/*.yaml, none/*.yaml]\ncameras: {a: {url: rtsp://h/}}\n"
                  "recording: {segment: 7s}\n");
    assert_int_equal(config->stream_count, 3);
    assert_string_equal(config->streams[1].camera, "one");
    assert_int_equal(config->streams[2].recording.segment_us, 7000000);
    config_free(config);
    char *expected = xasprintf(
        "%s/d/two.yaml:1:1: node: only cameras: may stand in an included file", (char *)*state);
    put_file("d/two.yaml", "node: x");
    expect_cause("include: d/*.yaml", expected);
    free(expected);
    expected = xasprintf("%s/d/two.yaml:1:1: the file is empty", (char *)*state);
    put_file("d/two.yaml", "# nothing\n");
    expect_cause("include: d/*.yaml", expected);
    free(expected);
    put_file("d/two.yaml", "cameras: {one: {url: rtsp://h/1}}");
    expected = xasprintf("%s/d/two.yaml:1:11: cameras.one: is here twice; the other stands in "
                         "%s/d/one.yaml:1",
        (char *)*state, (char *)*state);
    expect_cause("include: d/*.yaml", expected);
    free(expected);
    remove("d/one.yaml");
    remove("d/two.yaml");
    config = load_text("include: d/*.yaml");
    assert_int_equal(config->stream_count, 0);
    config_free(config);
}

static void test_no_cameras_is_a_warning(void **state)
{
    struct config *config = load_text("cameras: {}");
    assert_int_equal(config->warnings.count, 1);
    assert_string_equal(
        config->warnings.items[0], "k.yaml:1:10: cameras: there is no camera in it");
    config_free(config);
    (void)state;
}

static void test_a_user_without_a_password_is_a_warning(void **state)
{
    static const char *const texts[] = {"cameras: {a: {url: rtsp://h/, username: u}}",
        "cameras: {a: {url: \"rtsp://u@h/\"}}", "cameras: {a: {url: \"rtsp://u:p@h/\"}}"};
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        struct config *config = load_text(texts[i]);
        assert_int_equal(config->warnings.count, i < 2);
        if (i < 2)
            assert_non_null(strstr(config->warnings.items[0], "k.yaml:1:14: cameras.a: there is a "
                                                              "user name, but neither password"));
        config_free(config);
    }
    (void)state;
}

static void test_readable_password_file_is_a_warning(void **state)
{
    put_file("secret", "x1");
    assert_int_equal(chmod("secret", 0644), 0);
    struct config *config =
        load_text("cameras: {a: {url: rtsp://h/, username: u, password_file: secret}}");
    assert_int_equal(config->warnings.count, 1);
    assert_non_null(strstr(config->warnings.items[0], "every user of this machine can read"));
    config_free(config);
    (void)state;
}

// Each row is one file and the one complaint about it.
static const struct {
    const char *yaml;
    const char *cause;
} cause_table[] = {
    {"", "k.yaml:1:1: the file is empty"},
    {"# only a comment\n", "k.yaml:1:1: the file is empty"},
    {"~", "k.yaml:1:1: the file is empty"},
    {"- a", "k.yaml:1:1: the file must consist of lines such as \"key: value\""},
    {"node: x\n", "k.yaml:1:1: cameras: is missing; {} stands for none"},
    {"a: b\n---\nc: d\n", "k.yaml:2:1: a second YAML document is not allowed"},
    {"node: [\n", "k.yaml:2:1: not valid YAML: did not find expected node content while parsing a "
                  "flow node"},
    {"\tx: y", "k.yaml:1:1: not valid YAML: found character that cannot start any token while "
               "scanning for the next token"},
    {"node: \xff\n", "k.yaml:1:1: not valid YAML: invalid leading UTF-8 octet"},
    {"node: &x y\n", "k.yaml:1:7: YAML anchors, aliases and tags are not supported; what cameras "
                     "have in common stands under recording:"},
    {"node: !!str y\n", "k.yaml:1:7: YAML anchors, aliases and tags are not supported; what "
                        "cameras have in common stands under recording:"},
    {"[[[[[[[[[[[[[[[[[[[[[[", "k.yaml:1:17: nested too deeply"},
    {"? [a]\n: b\n", "k.yaml:1:3: a key must be a plain word"},
    {"node: \"a\\0b\"\n", "k.yaml:1:7: a NUL character is not allowed"},
    {"node: \"a\\tb\"\n" CAMERA, "k.yaml:1:7: node: control characters are not allowed"},
    {"node: \n" CAMERA, "k.yaml:1:6: node: has no value"},
    {"node: [a]\n" CAMERA, "k.yaml:1:7: node: one value is expected here"},
    {"node: x\nnode: y\n" CAMERA, "k.yaml:2:1: node: is here twice; the first stands in line 1"},
    {CAMERA "recording:\n  segment: 5s\n  audio: off\n  segment: 6s\n",
        "k.yaml:5:3: recording.segment: is here twice; the first stands in line 3"},

    {"cammeras: {}", "k.yaml:1:1: cammeras: unknown key; did you mean \"cameras\"?"},
    {"recroding: {}\n" CAMERA, "k.yaml:1:1: recroding: unknown key; did you mean \"recording\"?"},
    {CAMERA "recording: {segmnt: 5s}",
        "k.yaml:2:13: recording.segmnt: unknown key; did you mean \"segment\"?"},
    {"zzzzzzzz: 1", "k.yaml:1:1: zzzzzzzz: unknown key"},
    {"cameras: {a: {ulr: rtsp://h/}}",
        "k.yaml:1:15: cameras.a.ulr: unknown key; did you mean \"url\"?"},
    {"listen: 127.0.0.1:80", "k.yaml:1:1: listen: is not allowed here; its place is under http:"},
    {"cameras: {a: {url: rtsp://h/, sync: 1s}}",
        "k.yaml:1:31: cameras.a.sync: is not allowed here; its place is under recording:"},
    {"segment: 5s\n" CAMERA, "k.yaml:1:1: segment: is not allowed here; its place is under "
                             "recording:, or in a camera"},
    {"{cameras: {a: {url:rtsp://u:secret@h/}}}",
        "k.yaml:1:16: cameras.a.(no key name): unknown key"},

    {CAMERA "recording: {retain: {max_bytes: 5%}}",
        "k.yaml:2:33: recording.retain.max_bytes: \"5%\" is not a size: a whole number with B, "
        "KiB, "
        "MiB, GiB or TiB"},
    {CAMERA "recording: {retain: {mode: motion}}",
        "k.yaml:2:28: recording.retain.mode: \"motion\" is not one of: continuous, events"},
    {CAMERA "recording: {retain: {events: 0}}",
        "k.yaml:2:30: recording.retain.events: \"0\" is out of range: from 1s to 36500d are "
        "allowed"},
    {CAMERA "recording: {on_stream_down: x}",
        "k.yaml:2:29: recording.on_stream_down: keys with values are expected here"},
    {CAMERA "recording: {on_stream_down: {hold_off: 5s}}",
        "k.yaml:2:29: recording.on_stream_down: command: or url: is missing; {} stands for no "
        "hook"},
    {CAMERA "recording: {on_stream_down: {command: alarm down}}",
        "k.yaml:2:39: recording.on_stream_down.command: a list is expected here, as "
        "[/usr/local/bin/alarm, down]: no shell takes a line apart"},
    {CAMERA "recording: {on_stream_down: {command: []}}",
        "k.yaml:2:39: recording.on_stream_down.command: a list is expected here, as "
        "[/usr/local/bin/alarm, down]: no shell takes a line apart"},
    {CAMERA "recording: {on_stream_down: {command: ['', x]}}",
        "k.yaml:2:40: recording.on_stream_down.command[0]: the program's name is empty"},
    {CAMERA "recording: {on_stream_down: {command: [/x], hold_off: 2d}}",
        "k.yaml:2:55: recording.on_stream_down.hold_off: \"2d\" is out of range: from 0 to 1d are "
        "allowed"},
    {CAMERA "recording: {on_stream_up: {command: [/x], hold_off: 2s}}",
        "k.yaml:2:43: recording.on_stream_up.hold_off: is not allowed here; its place is in "
        "on_stream_down"},
    {CAMERA "recording: {on_segment: {url: 'ftp://t0ken@h/'}}",
        "k.yaml:2:31: recording.on_segment.url: must begin with http:// or https://"},
    {CAMERA "recording: {on_segment: {url: 'https:///t0ken'}}",
        "k.yaml:2:31: recording.on_segment.url: the address behind the // is missing"},
    {CAMERA "recording: {on_segment: {url: 'https://h/t0 ken'}}",
        "k.yaml:2:31: recording.on_segment.url: a space must be written as %20"},
    {CAMERA "recording: {transport: x}",
        "k.yaml:2:24: recording.transport: \"x\" is not one of: tcp, udp, auto"},
    {CAMERA "http: {users: []}", "k.yaml:2:8: http.users: is not supported by this version"},
    {CAMERA "http: {tls: {}}", "k.yaml:2:8: http.tls: is not supported by this version"},
    {CAMERA "storage: {volumes: [{path: /a}, {path: /b}, {path: /a}]}",
        "k.yaml:2:45: storage.volumes[2]: path: is the same as that of volumes[0]"},

    {CAMERA "storage: {volumes: []}",
        "k.yaml:2:20: storage.volumes: a list is expected here, as [{path: /srv/video}]"},
    {CAMERA "storage: {volumes: [{min_free: 5%}]}",
        "k.yaml:2:21: storage.volumes[0]: path: is missing"},
    {CAMERA "storage: {volumes: [{path: /a, min_free: 100%}]}",
        "k.yaml:2:42: storage.volumes[0].min_free: \"100%\" is neither a percentage below 100 nor "
        "a size: a whole number with %, B, KiB, MiB, GiB or TiB"},
    {CAMERA "recording: {segment: 60}",
        "k.yaml:2:22: recording.segment: \"60\" is not a duration: a whole number with ms, s, m, h "
        "or d"},
    {CAMERA "recording: {segment: 1500ms}", "k.yaml:2:22: recording.segment: \"1500ms\" is out of "
                                            "range: from 2s to 1h are allowed"},
    {CAMERA "recording: {audio: loud}",
        "k.yaml:2:20: recording.audio: \"loud\" is not one of: auto, copy, aac, off"},
    {CAMERA "recording: {enabled: 2}",
        "k.yaml:2:22: recording.enabled: \"2\" is neither true nor false"},
    {CAMERA "webui: no", "k.yaml:2:8: webui: \"no\" is not one of: supervised, external"},
    {CAMERA "http: {listen: 0.0.0.0:8080}",
        "k.yaml:2:16: http.listen: 0.0.0.0:8080 is not allowed: only a loopback address is "
        "(127.0.0.1 or [::1]), because this version knows no users and whoever reaches the port "
        "may see everything"},
    {CAMERA "http: {cors: ['https://a.example', '*']}",
        "k.yaml:2:36: http.cors[1]: \"*\" is not an origin: scheme, host and port alone, as "
        "https://nvr.example.org or http://192.0.2.7:8123"},
    {CAMERA "http: {cors: 'https://a.example'}", "k.yaml:2:14: http.cors: a list is expected here"},
    {CAMERA "http: {listen: '8080'}", "k.yaml:2:16: http.listen: an address and a port up to "
                                      "65535 are needed, as 127.0.0.1:8080"},
    {CAMERA "http: {listen: 'cam:8080'}", "k.yaml:2:16: http.listen: the address must be a numeric "
                                          "one, as 127.0.0.1:8080 or [::1]:8080"},
    {CAMERA "ffmpeg: {input_options: [-a]}",
        "k.yaml:2:25: ffmpeg.input_options: names and values must alternate, and the last has no "
        "value"},
    {CAMERA "ffmpeg: {input_options: [-timeout, 5]}",
        "k.yaml:2:26: ffmpeg.input_options[0]: use timeout: for this"},
    {CAMERA "ffmpeg: {output_options: -an}",
        "k.yaml:2:26: ffmpeg.output_options: a list is expected here"},

    {"cameras:\n", "k.yaml:1:9: cameras: cameras with their names are expected here; {} stands for "
                   "none"},
    {"cameras: {Door: {url: rtsp://h/}}",
        "k.yaml:1:11: cameras.Door: the camera's name must consist of a-z, 0-9, _ and -, begin "
        "with a letter or a digit and have at most 63 characters"},
    {"cameras: {a: {streams: {-x: {url: rtsp://h/}}}}",
        "k.yaml:1:25: cameras.a.streams.-x: the stream's name must consist of a-z, 0-9, _ and -, "
        "begin with a letter or a digit and have at most 63 characters"},
    {"cameras: {a: {}}", "k.yaml:1:11: cameras.a: url: is missing"},
    {"cameras: {a: }", "k.yaml:1:14: cameras.a: keys with values are expected here"},
    {"cameras: {a: {streams: {main: {audio: off}}}}",
        "k.yaml:1:25: cameras.a.streams.main: url: is missing"},
    {"cameras: {a: {streams: {}}}",
        "k.yaml:1:24: cameras.a.streams: streams with their names are expected here, as main: "
        "{url: …}"},
    {"cameras: {a: {url: rtsp://h/, streams: {x: {url: rtsp://h/}}}}",
        "k.yaml:1:15: cameras.a.url: a camera has either url: or streams:, not both"},
    {"cameras: {a: {url: http://h/}}",
        "k.yaml:1:20: cameras.a.url: must begin with rtsp:// or rtsps://"},
    {"cameras: {a: {url: rtsp:///x}}",
        "k.yaml:1:20: cameras.a.url: the address behind the // is missing"},
    {"cameras: {a: {url: 'rtsp://u:p%4@h/'}}",
        "k.yaml:1:20: cameras.a.url: a % in the user name or password must be followed by two "
        "hexadecimal digits (%25 stands for %)"},
    {"cameras: {a: {url: 'rtsp://u:p%00@h/'}}",
        "k.yaml:1:20: cameras.a.url: a % in the user name or password must be followed by two "
        "hexadecimal digits (%25 stands for %)"},
    {"cameras: {a: {url: 'rtsp://u:p%0a@h/'}}",
        "k.yaml:1:20: cameras.a.url: control characters are not allowed"},
    {"cameras: {a: {url: 'rtsp://u:pa/ss@h/'}}",
        "k.yaml:1:20: cameras.a.url: the port is not a number from 1 to 65535 (in a user name or "
        "password the characters / ? # @ : and % must be percent-encoded, or use username: and "
        "password:)"},
    {"cameras: {a: {url: 'rtsp://h/a b'}}",
        "k.yaml:1:20: cameras.a.url: a space must be written as %20"},
    {"cameras: {a: {url: 'rtsp://u:p@h/', username: u}}",
        "k.yaml:1:20: cameras.a.url: there is a user in the URL and username: or password: as "
        "well; only one is allowed"},
    {"cameras: {a: {url: rtsp://h/, password: x}}",
        "k.yaml:1:14: cameras.a: there is a password, but username: is missing"},
    {"cameras: {a: {url: rtsp://h/, username: 'u:v', password: x}}",
        "k.yaml:1:41: cameras.a.username: a colon is not possible in a user name"},
    {"cameras: {a: {url: rtsp://h/, username: u, password: x, password_file: y}}",
        "k.yaml:1:57: cameras.a.password_file: password is given too; only one of them is allowed"},
    {"cameras: {a: {url: rtsp://h/, username: u, password_file: /nonexistent/p}}",
        "k.yaml:1:59: cameras.a.password_file: /nonexistent/p: can not be read: No such file or "
        "directory"},
};

static void test_causes(void **state)
{
    int failures = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(cause_table); i++) {
        char *cause = NULL;
        put_file("k.yaml", cause_table[i].yaml);
        struct config *config = load_flags(CONFIG_SECRETS, &cause);
        if (cause == NULL || strcmp(cause, cause_table[i].cause) != 0) {
            print_error("%s\n  gives    %s\n  expected %s\n", cause_table[i].yaml,
                cause ? cause : "no complaint", cause_table[i].cause);
            failures++;
        }
        config_free(config);
        free(cause);
    }
    assert_int_equal(failures, 0);
    (void)state;
}

static void test_long_credentials(void **state)
{
    // 42 signs of three bytes, one letter and a colon are 128 bytes: one more than ffmpeg keeps.
    expect_cause("cameras: {a: {url: rtsp://h/, username: u, password: '"
                 "@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@'}}",
        "k.yaml:1:14: cameras.a: user name and password are too long for ffmpeg: percent-encoded "
        "they take 128 bytes, 127 are possible");
    config_free(load_text("cameras: {a: {url: rtsp://h/, username: u, password: 'a"
                          "@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@'}}"));
    (void)state;
}

static void test_missing_file(void **state)
{
    char *cause = NULL;
    assert_null(load_flags(0, &cause));
    assert_string_equal(cause, "k.yaml: can not be read: No such file or directory");
    free(cause);
    (void)state;
}

static void test_durations(void **state)
{
    static const struct {
        const char *text;
        int64_t value; // -1: refused
    } table[] = {{"0", 0}, {"0s", 0}, {"1ms", 1000}, {"90s", 90000000}, {"2m", 120000000},
        {"1h", INT64_C(3600000000)}, {"2d", INT64_C(172800000000)}, {"1", -1}, {"", -1}, {"s", -1},
        {"1 s", -1}, {"-1s", -1}, {"1.5s", -1}, {"1S", -1}, {"9223372036854775807d", -1},
        {"99999999999999999999s", -1}, {"00", 0}};
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        int64_t value = -1;
        assert_int_equal(config_duration_parse(table[i].text, &value), table[i].value >= 0);
        if (table[i].value >= 0)
            assert_int_equal(value, table[i].value);
    }
    char text[TIME_TEXT_SIZE];
    config_duration_format(INT64_C(5400000000), text);
    assert_string_equal(text, "90m");
    (void)state;
}

static void test_amounts(void **state)
{
    static const struct {
        const char *text;
        bool accepted, is_percent;
        int64_t value;
    } table[] = {{"0", true, false, 0}, {"0%", true, true, 0}, {"99%", true, true, 99},
        {"100%", false, true, 0}, {"1KiB", true, false, 1024},
        {"3TiB", true, false, INT64_C(3) << 40}, {"1KB", false, false, 0}, {"7", false, false, 0},
        {"%", false, false, 0}, {"9999999TiB", false, false, 0}};
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        struct config_amount amount;
        assert_int_equal(config_amount_parse(table[i].text, &amount), table[i].accepted);
        if (table[i].accepted) {
            assert_int_equal(amount.is_percent, table[i].is_percent);
            assert_int_equal(amount.value, table[i].value);
        }
    }
    (void)state;
}

static void test_origins(void **state)
{
    static const char *const table[][2] = {{"https://nvr.example", "https://nvr.example"},
        {"HTTPS://Wall.Example:443", "https://wall.example"},
        {"http://192.0.2.7:8123", "http://192.0.2.7:8123"},
        {"http://localhost:80", "http://localhost"},
        {"http://[2001:db8::1]:8080", "http://[2001:db8::1]:8080"},
        {"http://[::1]", "http://[::1]"}, {"https://nvr.example:80", "https://nvr.example:80"},
        {"*", NULL}, {"null", NULL}, {"", NULL}, {"nvr.example", NULL}, {"https://", NULL},
        {"https://nvr.example/", NULL}, {"https://nvr.example:", NULL},
        {"https://nvr.example:0", NULL}, {"https://nvr.example:65536", NULL},
        {"https://user@nvr.example", NULL}, {"https://nvr.example?x", NULL}, {"https://[::1", NULL},
        {"https://[]", NULL}, {"https://a b", NULL}, {"ftp://nvr.example", NULL},
        {"https://*.nvr.example", NULL}};
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        char *origin = config_origin_parse(table[i][0]);
        if (table[i][1] == NULL)
            assert_null(origin);
        else
            assert_string_equal(origin, table[i][1]);
        free(origin);
    }
    (void)state;
}

static void test_listen(void **state)
{
    static const char *const table[][2] = {{"127.0.0.1:80", "127.0.0.1:80"},
        {"127.3.2.1:080", "127.3.2.1:80"}, {"[::1]:8080", "[::1]:8080"},
        {"localhost:9", "127.0.0.1:9"}, {"::1:8080", NULL}, {"[127.0.0.1]:80", NULL},
        {"127.0.0.1:0", "127.0.0.1:0"}, {"127.0.0.1:65536", NULL}, {"[::]:80", NULL},
        {"192.0.2.1:80", NULL}};
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        char *reason = NULL;
        char *listen = config_listen_parse(table[i][0], &reason);
        if (table[i][1] == NULL)
            assert_non_null(reason);
        else
            assert_string_equal(listen, table[i][1]);
        assert_int_equal(listen == NULL, table[i][1] == NULL);
        free(listen);
        free(reason);
    }
    (void)state;
}

// The manual holds the list of keys as the table prints it.
static void test_manual_has_every_key(void **state)
{
    struct buf keys = BUF_INIT;
    config_table_print(&keys);
    size_t size;
    char *cause = NULL;
    char *manual =
        fs_read_file(SOURCE_DIR "/docs/man/keepframe.yaml.5.scd", 1 << 20, &size, &cause);
    if (manual == NULL)
        fail_msg("%s", cause);
    if (strstr(manual, buf_string(&keys)) == NULL) {
        fputs(buf_string(&keys), stderr);
        fail_msg("docs/man/keepframe.yaml.5.scd lacks this list of keys");
    }
    free(manual);
    buf_fini(&keys);
    (void)state;
}

static void expect_words(const struct config_list *list, const char *const *words)
{
    size_t i = 0;
    for (; words[i] != NULL; i++) {
        assert_true(i < list->count);
        assert_string_equal(list->items[i], words[i]);
    }
    assert_int_equal(list->count, i);
}

// A hook is inherited whole, replaced whole, and taken away by {} or nothing.
static void test_hooks(void **state)
{
    struct config *config = load_text(
        "recording:\n"
        "  on_stream_down: {command: [bin/alarm, 'a b', '$${x}'], url: 'https://u:p@h/?t=1'}\n"
        "  on_stream_up: {url: 'http://h:81'}\n"
        "cameras:\n"
        "  a: {url: rtsp://h/}\n"
        "  b: {url: rtsp://h/, on_stream_down: {command: [alarm], hold_off: 0}, on_stream_up: {}}\n"
        "  c: {url: rtsp://h/, on_stream_down: , on_segment: {command: [/copy]}}\n");
    const struct config_recording *a = &config->streams[0].recording;
    const struct config_recording *b = &config->streams[1].recording;
    const struct config_recording *c = &config->streams[2].recording;
    char *alarm = xasprintf("%s/bin/alarm", (char *)*state);
    expect_words(&a->on_stream_down->command, (const char *[]){alarm, "a b", "${x}", NULL});
    assert_string_equal(a->on_stream_down->url, "https://u:p@h/?t=1");
    assert_int_equal(a->on_stream_down->hold_off_us, 10000000);
    assert_string_equal(a->on_stream_up->url, "http://h:81");
    assert_int_equal(a->on_stream_up->command.count, 0);
    assert_null(a->on_segment);
    expect_words(&b->on_stream_down->command, (const char *[]){"alarm", NULL});
    assert_null(b->on_stream_down->url);
    assert_int_equal(b->on_stream_down->hold_off_us, 0);
    assert_null(b->on_stream_up);
    assert_null(c->on_stream_down);
    assert_ptr_equal(c->on_stream_up, a->on_stream_up);
    expect_words(&c->on_segment->command, (const char *[]){"/copy", NULL});
    assert_int_equal(config->warnings.count, 2);
    assert_string_equal(config->warnings.items[1],
        "k.yaml:7:64: cameras.c.on_segment.command[0]: /copy can not be executed: No such file or "
        "directory");
    config_free(config);
    free(alarm);

    // Who may not know secrets learns that there is a hook, not where it calls.
    char *cause = NULL;
    put_file("k.yaml", CAMERA "recording: {on_segment: {url: 'https://${UNSET_IN_TESTS}/'}}\n");
    config = load_flags(0, &cause);
    assert_non_null(config);
    assert_non_null(config->streams->recording.on_segment);
    assert_null(config->streams->recording.on_segment->url);
    config_free(config);
}

// The example is a valid configuration as it stands.
static void test_example_is_valid(void **state)
{
    char *cause = NULL;
    struct config_source source = {
        .file = SOURCE_DIR "/conf/keepframe.yaml", .flags = CONFIG_SECRETS};
    struct config *config = config_load(&source, &cause);
    if (config == NULL)
        fail_msg("%s", cause);
    config_free(config);
    (void)state;
}

#define IN_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, enter_directory, leave_directory)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_DIRECTORY(test_defaults),
        IN_DIRECTORY(test_inheritance),
        IN_DIRECTORY(test_paths_and_data),
        IN_DIRECTORY(test_environment),
        IN_DIRECTORY(test_credentials_in_url),
        IN_DIRECTORY(test_password_file),
        IN_DIRECTORY(test_include),
        IN_DIRECTORY(test_no_cameras_is_a_warning),
        IN_DIRECTORY(test_a_user_without_a_password_is_a_warning),
        IN_DIRECTORY(test_readable_password_file_is_a_warning),
        IN_DIRECTORY(test_causes),
        IN_DIRECTORY(test_long_credentials),
        IN_DIRECTORY(test_missing_file),
        IN_DIRECTORY(test_hooks),
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_amounts),
        cmocka_unit_test(test_origins),
        cmocka_unit_test(test_listen),
        cmocka_unit_test(test_manual_has_every_key),
        cmocka_unit_test(test_example_is_valid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
