// links: kf-supervisor
// What is to be probed, what ffmpeg is told, what faults are called, and the piece of configuration
// at the end.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/core/alloc.h"
#include "lib/core/config.h"
#include "supervisor/ffmpeg.h"
#include "supervisor/probe_fault.h"
#include "supervisor/probe_look.h"
#include "supervisor/probe_stanza.h"
#include "supervisor/probe_target.h"

// --- Targets ---

static char *dump(json_t *target)
{
    char *text = json_dumps(target, JSON_COMPACT);
    json_decref(target);
    return text;
}

static void test_target_goes_through_the_pipe(void **state)
{
    // The user and the password, in the address or apart; not UTF-8 too.
    static const struct {
        const char *url, *username, *password, *got_username, *got_password;
    } table[] = {
        {"rtsp://h/x?a=b", NULL, NULL, NULL, NULL},
        {"rtsp://u%40:p%2F'@h/x?a=b", NULL, NULL, "u@", "p/'"},
        {"rtsp://h/x?a=b", "nv r", "p\"%41\xff{}", "nv r", "p\"%41\xff{}"},
        {"rtsp://h/x?a=b", "only", NULL, "only", NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        const char *field;
        char *cause = NULL;
        char *text = dump(probe_target_url(
            NULL, table[i].url, table[i].username, table[i].password, "/etc/file", &field, &cause));
        struct probe_target target;
        assert_int_equal(probe_target_read(text, &target, &cause), 0);
        assert_string_equal(target.stream.url, "rtsp://h/x?a=b");
        for (int j = 0; j < 2; j++) {
            const char *got = j ? target.stream.password : target.stream.username;
            const char *expected = j ? table[i].got_password : table[i].got_username;
            if (expected == NULL)
                assert_null(got);
            else
                assert_string_equal(got, expected);
        }
        assert_string_equal(target.password_file, "/etc/file");
        assert_string_equal(target.config.ffmpeg.path, "ffmpeg");
        assert_null(target.stream.camera);
        probe_target_fini(&target);
        free(text);
    }
    (void)state;
}

static void test_targets_that_are_refused(void **state)
{
    static const struct {
        const char *url, *username, *password, *field;
    } table[] = {
        {"", NULL, NULL, "url"},
        {"http://h/x", NULL, NULL, "url"},
        {"file:///etc/passwd", NULL, NULL, "url"},
        {"rtsp:///x", NULL, NULL, "url"},
        {"rtsp://h/x\ny", NULL, NULL, "url"},
        {"rtsp://u:p@h/x", "u", NULL, "url"},
        {"rtsp://h/x", NULL, "p", "username"},
        {"rtsp://h/x", "a:b", "p", "username"},
        {"rtsp://h/x", "a", "p\n", "password"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        const char *field = NULL;
        char *cause = NULL;
        assert_null(probe_target_url(
            NULL, table[i].url, table[i].username, table[i].password, NULL, &field, &cause));
        assert_string_equal(field, table[i].field);
        assert_non_null(cause);
        assert_null(strstr(cause, "passwd"));
        free(cause);
    }
    struct probe_target target;
    char *cause = NULL;
    assert_int_equal(probe_target_read("rubbish", &target, &cause), -1);
    probe_target_fini(&target);
    free(cause);
    (void)state;
}

// --- ffmpeg ---

static struct probe_target target_for_test(const char *url)
{
    struct probe_target target = {0};
    target.config.ffmpeg.path = (char *)"/opt/ffmpeg";
    target.stream.url = (char *)url;
    target.stream.username = (char *)"nvr";
    target.stream.password = (char *)"se cret";
    target.stream.recording.timeout_us = 5000000;
    target.stream.recording.audio = CONFIG_AUDIO_OFF;
    return target;
}

static bool has_pair(char **args, const char *option, const char *value)
{
    for (; *args != NULL; args++) {
        if (strcmp(args[0], option) == 0 && args[1] != NULL && strcmp(args[1], value) == 0)
            return true;
    }
    return false;
}

static void test_arguments(void **state)
{
    struct probe_target target = target_for_test("rtsp://h/x");
    char **args = probe_look_args(&target, "/proc/1/fd/5");
    assert_string_equal(args[0], "/opt/ffmpeg");
    assert_true(has_pair(args, "-protocol_whitelist", "pipe,rtsp,rtp,udp,tcp"));
    assert_true(has_pair(args, "-i", "pipe:3"));
    assert_true(has_pair(args, "framecrc", "pipe:4"));
    assert_true(has_pair(args, "-y", "/proc/1/fd/5"));
    for (char **arg = args; *arg != NULL; arg++) {
        assert_null(strstr(*arg, "rtsp://"));
        assert_null(strstr(*arg, "cret"));
    }
    ffmpeg_args_free(args);
    args = probe_look_args(&target, NULL);
    size_t count = 0;
    while (args[count] != NULL)
        count++;
    assert_string_equal(args[count - 1], "pipe:4");
    ffmpeg_args_free(args);
    target.stream.url = (char *)"rtsps://h/x";
    args = probe_look_args(&target, NULL);
    assert_true(has_pair(args, "-protocol_whitelist", "pipe,rtsp,rtp,udp,tcp,tls"));
    ffmpeg_args_free(args);
    (void)state;
}

// The value of the last line that sets this option, which is the one that counts.
static void assert_last_option(const char *script, const char *name, const char *value)
{
    char *line = xasprintf("option %s ", name);
    const char *last = NULL;
    for (const char *at = script; (at = strstr(at, line)) != NULL; at++)
        last = at;
    assert_non_null(last);
    last += strlen(line);
    last += *last == '\'';
    assert_memory_equal(last, value, strlen(value));
    free(line);
}

static void test_script(void **state)
{
    struct probe_target target = target_for_test("rtsp://h/x");
    char *script = probe_look_script(&target, PROBE_TRANSPORT_TCP);
    assert_non_null(strstr(script, "file 'rtsp://nvr:se%20cret@h/x'\n"));
    assert_last_option(script, "rtsp_transport", "tcp");
    assert_last_option(script, "allowed_media_types", "video+audio");
    free(script);
    script = probe_look_script(&target, PROBE_TRANSPORT_UDP);
    assert_last_option(script, "rtsp_transport", "udp");
    free(script);
    (void)state;
}

// --- Faults ---

static void test_faults(void **state)
{
    static const struct {
        long status;
        const char *code;
    } table[] = {{401, "unauthorized"}, {403, "unauthorized"}, {404, "not_found"},
        {454, "not_found"}, {302, "moved"}, {461, "transport"}, {453, "busy"}, {503, "busy"},
        {500, "camera"}, {551, "camera"}, {400, "refused_request"}, {455, "refused_request"}};
    const struct probe_fault_facts facts = {
        .host = "h:554", .path = "/x", .schemes = "Digest", .has_user = true, .detail = "rtsp://y"};
    struct probe_fault fault = {0};
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        probe_fault_status(&fault, table[i].status, &facts);
        assert_string_equal(fault.code, table[i].code);
        if (table[i].status == 401)
            assert_non_null(strstr(fault.message, "(Digest)"));
        if (table[i].status == 404)
            assert_non_null(strstr(fault.message, " /x:"));
        if (table[i].status == 302)
            assert_non_null(strstr(fault.message, "rtsp://y"));
    }
    static const char *const codes[] = {"unresolved", "refused", "unreachable", "no_answer",
        "timeout", "closed", "not_rtsp", "no_frames", "no_video", "codec", "configuration",
        "start_failed"};
    for (size_t i = 0; i < ARRAY_LENGTH(codes); i++) {
        probe_fault_set(&fault, codes[i], &facts);
        assert_string_equal(fault.code, codes[i]);
        assert_non_null(strstr(fault.message, "h:554"));
        assert_null(strchr(fault.message, '%'));
    }
    probe_fault_set(&fault, "stalled", &facts);
    assert_string_equal(fault.code, "unknown");
    probe_fault_fini(&fault);
    assert_true(json_is_null(probe_fault_json(&fault)));
    (void)state;
}

static void test_the_place_of_a_fault_has_no_secret(void **state)
{
    const struct config_stream stream = {
        .url = "rtsps://camera:322/live?token=sesame-1234", .username = "nvr", .password = "live"};
    struct probe_fault_facts facts = probe_fault_place(&stream);
    struct probe_fault fault = {0};
    probe_fault_set(&fault, "not_found", &facts);
    assert_string_equal(facts.host, "camera:322");
    assert_string_equal(facts.path, "/***?token=***");
    assert_true(facts.has_user);
    assert_null(strstr(fault.message, "sesame"));
    probe_fault_fini(&fault);
    probe_fault_place_fini(&facts);
    (void)state;
}

static void test_text_that_is_no_utf8(void **state)
{
    json_t *json = probe_fault_text("a\xff z");
    assert_string_equal(json_string_value(json), "a? z");
    json_decref(json);
    char *text = xmalloc(10000);
    memset(text, 'x', 9999);
    text[9999] = '\0';
    json = probe_fault_text(text);
    assert_in_range(json_string_length(json), 1000, 4000);
    json_decref(json);
    free(text);
    (void)state;
}

// --- The piece of configuration ---

// Reads a stanza as keepframe would, and compares.
static void expect_stanza(const struct probe_stanza *stanza, const char *camera)
{
    char path[] = "/tmp/kf-stanza-XXXXXX", secret[] = "/tmp/kf-secret-XXXXXX";
    int fd = mkstemp(path), secret_fd = mkstemp(secret);
    struct probe_stanza mine = *stanza;
    struct buf text = BUF_INIT;
    char *cause = NULL;
    assert_int_equal(write(secret_fd, "s3cret\n", 7), 7);
    mine.password_file = secret;
    probe_stanza_put(&text, &mine);
    assert_int_equal(write(fd, text.data, text.size), text.size);
    const struct config_source source = {.file = path, .data = "/tmp", .flags = CONFIG_SECRETS};
    struct config *config = config_load(&source, &cause);
    if (config == NULL)
        fail_msg("%s in\n%s", cause, buf_string(&text));
    const struct config_stream *stream =
        config_stream_find(config, camera, stanza->stream ? stanza->stream : "main");
    assert_non_null(stream);
    assert_string_equal(stream->url, stanza->url);
    if (stanza->username != NULL)
        assert_string_equal(stream->username, stanza->username);
    if (stanza->has_password)
        assert_string_equal(stream->password, "s3cret");
    config_free(config);
    buf_fini(&text);
    close(fd);
    close(secret_fd);
    unlink(path);
    unlink(secret);
}

static void test_stanza_is_read_back(void **state)
{
    static const struct probe_stanza table[] = {
        {.url = "rtsp://192.0.2.10/x"},
        {.url = "rtsp://192.0.2.10:8554/a?c=${HOME}&d='e'#f"},
        {.url = "rtsp://192.0.2.10/x", .username = "nvr", .has_password = true},
        {.url = "rtsp://192.0.2.10/x", .username = "true", .has_password = true},
        {.url = "rtsp://192.0.2.10/x", .username = "123", .has_password = true},
        {.url = "rtsp://192.0.2.10/x", .username = "- '${X}' #\"{[&*", .has_password = true},
        {.camera = "yard", .url = "rtsp://192.0.2.10/x", .username = "~", .has_password = true},
        {.camera = "yard",
            .stream = "sub",
            .url = "rtsp://192.0.2.10/x",
            .username = "a, [b]",
            .has_password = true,
            .transport = "udp"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        expect_stanza(&table[i], table[i].camera ? table[i].camera : "camera-192-0-2-10");
    }
    (void)state;
}

static void test_stanza_names(void **state)
{
    static const struct {
        const char *url, *name;
    } table[] = {
        {"rtsp://Front.Door.LAN:8554/x", "camera-front-door-lan:"},
        {"rtsps://[2001:db8::1]:322/x", "camera-2001-db8--1:"},
        {"rtsp://h?x", "camera-h:"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        const struct probe_stanza stanza = {
            .url = table[i].url, .username = "u", .has_password = true};
        struct buf text = BUF_INIT;
        probe_stanza_put(&text, &stanza);
        char *line = xasprintf("\n  %s\n", table[i].name);
        assert_non_null(strstr(buf_string(&text), line));
        assert_non_null(strstr(buf_string(&text), "    password_file: /etc/keepframe/camera-"));
        free(line);
        buf_fini(&text);
    }
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_target_goes_through_the_pipe),
        cmocka_unit_test(test_targets_that_are_refused),
        cmocka_unit_test(test_the_place_of_a_fault_has_no_secret),
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_script),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_text_that_is_no_utf8),
        cmocka_unit_test(test_stanza_is_read_back),
        cmocka_unit_test(test_stanza_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
