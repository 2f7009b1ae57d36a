// links: kf-supervisor
// What the webui and the other children are told: everything they need and no secret.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "lib/core/alloc.h"
#include "lib/core/fsutil.h"
#include "supervisor/environment.h"
#include "supervisor/webuiconf.h"

static struct config_volume volume = {.path = "/v"};
static struct config_stream streams[] = {
    {.camera = "a",
        .name = "main",
        .url = "rtsp://camera.example/x",
        .username = "nvrnvr",
        .password = "geheim99",
        .recording = {.segment_us = 60000000,
            .latency_us = 150000,
            .retain.continuous_us = 86400000000,
            .enabled = true}},
    {.camera = "a",
        .name = "sub",
        .url = "rtsp://camera-in-the-yard/live?token=sesame-1234",
        .username = "nvr",
        .password = "/",
        .recording = {.segment_us = 2000000}},
};

static char *origins[] = {"https://wall.example"};

static struct config config_for_test(char *runtime)
{
    return (struct config){
        .node = "n",
        .runtime = runtime,
        .storage = {.database = "/d", .cache = "/c", .volumes = &volume, .volume_count = 1},
        .http = {.listen = "127.0.0.1:8080", .cors = {.items = origins, .count = 1}},
        .streams = streams,
        .stream_count = ARRAY_LENGTH(streams),
    };
}

static void test_file(void **state)
{
    char runtime[] = "/tmp/test_webuiconf.XXXXXX", *cause = NULL;
    size_t size;
    assert_non_null(mkdtemp(runtime));
    struct config config = config_for_test(runtime);
    assert_int_equal(webuiconf_write(&config, &cause), 0);
    char *path = xasprintf("%s/webui.json", runtime);
    char *text = fs_read_file(path, 65536, &size, &cause);
    json_t *json = json_loads(text, 0, NULL);
    json_t *expected =
        json_loads("{\"version\":1,\"node\":\"n\",\"database\":\"/d\",\"cache\":\"/c\","
                   "\"listen\":\"127.0.0.1:8080\",\"cors\":[\"https://"
                   "wall.example\"],\"volumes\":[{\"path\":\"/v\"}],"
                   "\"streams\":[{\"camera\":\"a\",\"stream\":\"main\","
                   "\"segment_us\":60000000,\"latency_us\":150000,\"continuous_us\":86400000000,"
                   "\"enabled\":true},"
                   "{\"camera\":\"a\",\"stream\":\"sub\",\"segment_us\":2000000,"
                   "\"latency_us\":0,\"continuous_us\":0,\"enabled\":false}]}",
            0, NULL);
    assert_true(json_equal(json, expected));
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0640);
    json_decref(json);
    json_decref(expected);
    free(text);
    unlink(path);
    free(path);
    rmdir(runtime);
    (void)state;
}

static bool has_variable(char **environment, const char *name)
{
    for (; *environment != NULL; environment++) {
        if (strncmp(*environment, name, strlen(name)) == 0)
            return true;
    }
    return false;
}

static void test_environment(void **state)
{
    struct config config = config_for_test("/r");
    setenv("KF_TEST_PASSWORD", "x-geheim99-y", 1);
    setenv("KF_TEST_OTHER", "geheim", 1);
    setenv("KF_TEST_SHORT", "/", 1);
    setenv("KF_TEST_TOKEN", "sesame-1234", 1);
    setenv("KF_TEST_HOST", "camera-in-the-yard", 1);
    setenv("NOTIFY_SOCKET", "/nonexistent", 1);
    char **plain = environment_new(&config, false), **without = environment_new(&config, true);
    assert_true(has_variable(plain, "KF_TEST_PASSWORD="));
    assert_false(has_variable(without, "KF_TEST_PASSWORD="));
    assert_true(has_variable(without, "KF_TEST_OTHER=geheim"));
    assert_true(has_variable(without, "PATH="));
    assert_false(has_variable(without, "KF_TEST_SHORT="));
    assert_true(has_variable(plain, "KF_TEST_TOKEN="));
    assert_false(has_variable(without, "KF_TEST_TOKEN="));
    assert_true(has_variable(without, "KF_TEST_HOST="));
    assert_false(has_variable(plain, "NOTIFY_SOCKET="));
    assert_false(has_variable(without, "NOTIFY_SOCKET="));
    environment_free(plain);
    environment_free(without);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
