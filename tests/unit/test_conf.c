// links: kf-webui
// RUNTIME/webui.json: what is read from it, and what each mistake is told as.
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
#include "lib/core/fsutil.h"
#include "webui/conf.h"

static char folder[] = "/tmp/test_conf.XXXXXX";

static struct conf *load(const char *text, char **cause)
{
    char *path = xasprintf("%s/webui.json", folder);
    assert_int_equal(fs_write_file(path, text, strlen(text), 0600, cause), 0);
    struct conf *conf = conf_load(folder, cause);
    unlink(path);
    free(path);
    return conf;
}

#define PATHS "\"node\":\"n\",\"database\":\"/d\",\"cache\":\"/c\",\"listen\":\"127.0.0.1:0\""

static void test_everything_is_read(void **state)
{
    (void)state;
    char *cause = NULL;
    struct conf *conf =
        load("{\"version\":1," PATHS ",\"volumes\":[{\"path\":\"/v\"}],"
             "\"cors\":[\"https://wall.example\",\"http://192.0.2.7:8123\"],\"streams\":["
             "{\"camera\":\"yard\",\"stream\":\"main\",\"segment_us\":60000000,"
             "\"continuous_us\":86400000000,\"enabled\":false},"
             "{\"camera\":\"door\",\"stream\":\"sub\",\"segment_us\":5,\"enabled\":true},"
             "{\"camera\":\"door\",\"stream\":\"main\",\"enabled\":true}]}",
            &cause);
    assert_non_null(conf);
    assert_string_equal(conf->runtime, folder);
    assert_string_equal(conf->node, "n");
    assert_string_equal(conf->database, "/d");
    assert_string_equal(conf->cache, "/c");
    assert_string_equal(conf->listen, "127.0.0.1:0");
    assert_int_equal(conf->volume_count, 1);
    assert_string_equal(conf->volumes[0], "/v");
    assert_int_equal(conf->cors_count, 2);
    assert_string_equal(conf->cors[1], "http://192.0.2.7:8123");
    assert_int_equal(conf->stream_count, 3);
    const struct conf_stream *yard = conf_find(conf, "yard", "main");
    assert_non_null(yard);
    assert_int_equal(yard->segment_us, 60000000);
    assert_int_equal(yard->continuous_us, 86400000000);
    assert_false(yard->enabled);
    assert_non_null(conf_find(conf, "door", "sub"));
    assert_true(conf_find(conf, "door", "main")->enabled);
    assert_null(conf_find(conf, "door", "none"));
    conf_release(conf);
}

static void test_mistakes_are_told(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *says;
    } cases[] = {
        {"", "webui.json:1"},
        {"{\n\"version\":1,,}", "webui.json:2"},
        {"[]", "version"},
        {"{}", "version"},
        {"{\"version\":2," PATHS "}", "version"},
        {"{\"version\":1}", "node"},
        {"{\"version\":1,\"node\":\"n\",\"database\":\"\"}", "database"},
        {"{\"version\":1," PATHS ",\"volumes\":[{}]}", "path"},
        {"{\"version\":1," PATHS ",\"streams\":[{\"camera\":\"a\"}]}", "stream"},
        {"{\"version\":1," PATHS ",\"streams\":[{\"camera\":\"../a\",\"stream\":\"b\"}]}",
            "../a/b"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char *cause = NULL;
        assert_null(load(cases[i].text, &cause));
        assert_non_null(cause);
        if (strstr(cause, cases[i].says) == NULL || strstr(cause, "webui.json") == NULL)
            fail_msg("%s: %s", cases[i].text, cause);
        free(cause);
    }
    char *cause = NULL;
    assert_null(conf_load("/nowhere", &cause));
    assert_non_null(strstr(cause, "/nowhere/webui.json"));
    free(cause);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything_is_read),
        cmocka_unit_test(test_mistakes_are_told),
    };
    if (mkdtemp(folder) == NULL)
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rmdir(folder);
    return failed;
}
