// links: kf-indexer
// The ledgers of two volumes: written anew at the start, appended to, made up for after an append
// that failed, was torn, or found the volume away; and read back into a new catalog.
#include "tests/unit/catalog.h"

#include <ftw.h>
#include <signal.h>
#include <sys/resource.h>

#include <ev.h>

#include "indexer/ledger.h"
#include "indexer/storage.h"
#include "indexer/worker.h"
#include "lib/core/config.h"
#include "lib/core/fsutil.h"
#include "lib/media/catalog_event.h"
#include "lib/media/catalog_ledger.h"

enum {
    VOLUMES = 2,
};

struct site {
    char root[64];
    char *database;
    char *cache;
    struct config_volume volumes[VOLUMES];
    struct config config;
    struct indexer indexer;
    struct catalog *writer;
    struct ledger *ledger;
    int64_t now_us; // monotonic, as far as the volumes know
    int events;
};

static struct catalog *open_reader(const struct site *site)
{
    struct catalog *catalog;
    CHECK(catalog_open_reader(site->database, &catalog, &cause));
    return catalog;
}

static int site_make(void **state)
{
    struct site *site = xcalloc(1, sizeof(*site));
    snprintf(site->root, sizeof(site->root), "/tmp/test_ledger.XXXXXX");
    assert_non_null(mkdtemp(site->root));
    site->database = xasprintf("%s/database", site->root);
    site->cache = xasprintf("%s/cache", site->root);
    assert_int_equal(mkdir(site->database, 0755) | mkdir(site->cache, 0755), 0);
    for (int i = 0; i < VOLUMES; i++)
        site->volumes[i].path = xasprintf("%s/volume%d", site->root, i);
    site->config.storage.database = site->database;
    site->config.storage.cache = site->cache;
    site->config.storage.volumes = site->volumes;
    site->config.storage.volume_count = VOLUMES;
    site->writer = catalog_open_writer(site->database, &cause);
    assert_non_null(site->writer);
    if (storage_mark(site->writer, &site->config, &cause) < 0)
        fail_msg("%s", cause);
    site->indexer.loop = ev_default_loop(EVFLAG_AUTO);
    site->indexer.config = &site->config;
    site->indexer.catalog = open_reader(site);
    site->indexer.storage = storage_new(&site->indexer);
    site->ledger = ledger_new(&site->indexer);
    site->now_us = time_monotonic_us();
    *state = site;
    return 0;
}

static int remove_cb(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
    (void)info, (void)type, (void)ftw;
    return remove(path);
}

static int site_free(void **state)
{
    struct site *site = *state;
    storage_end(site->indexer.storage);
    storage_free(site->indexer.storage);
    ledger_free(site->ledger);
    catalog_close(site->indexer.catalog);
    catalog_close(site->writer);
    ev_loop_destroy(site->indexer.loop);
    nftw(site->root, remove_cb, 16, FTW_DEPTH | FTW_PHYS);
    for (int i = 0; i < VOLUMES; i++)
        free(site->volumes[i].path);
    free(site->database);
    free(site->cache);
    free(site);
    return 0;
}

static void finish_jobs(struct site *site)
{
    while (storage_pending(site->indexer.storage) > 0)
        ev_run(site->indexer.loop, EVRUN_ONCE);
}

// Has every volume looked at, and then every ledger, `later_us` from now.
static void tick(struct site *site, int64_t later_us)
{
    site->now_us += 3 * US_PER_SECOND;
    storage_tick(site->indexer.storage, site->now_us);
    finish_jobs(site);
    ledger_tick(site->ledger, time_monotonic_us() + later_us);
    finish_jobs(site);
}

// Commits one more event, and appends what the catalog says of that, as the committer does.
static void add_event(struct site *site)
{
    struct catalog_event event = {
        .camera = "yard", .start_us = NOON_US, .end_us = NOON_US + 1, .label = "ring"};
    struct buf lines = BUF_INIT;
    if (site->events == 0)
        CHECK(catalog_ledger_watch(site->writer, &cause));
    snprintf(event.id, sizeof(event.id), "00000000-0000-4000-8000-%012d", ++site->events);
    CHECK(catalog_begin(site->writer, &cause));
    CHECK(catalog_event_add(site->writer, &event, &cause));
    CHECK(catalog_commit(site->writer, &cause));
    CHECK(catalog_ledger_take(site->writer, &lines, &cause));
    assert_true(lines.size > 0);
    ledger_append(&lines, site->ledger);
    finish_jobs(site);
    buf_fini(&lines);
}

static char *ledger_path(const struct site *site, int volume)
{
    return xasprintf("%s/" LEDGER_NAME, site->volumes[volume].path);
}

// The text of a volume's ledger, "" when there is none; the caller's.
static char *ledger_text(const struct site *site, int volume)
{
    size_t size;
    char *path = ledger_path(site, volume), *why = NULL;
    char *text = fs_read_file(path, 1 << 20, &size, &why);
    free(why);
    free(path);
    return text ? text : xstrdup("");
}

static int put_line(const char *line, size_t size, void *arg)
{
    buf_put(arg, line, size);
    return 0;
}

// Whether the ledger says what the catalog has, and nothing else.
static bool is_whole(const struct site *site, int volume)
{
    struct buf all = BUF_INIT;
    struct catalog *catalog = open_reader(site);
    CHECK(catalog_ledger_all(catalog, put_line, &all, &cause));
    catalog_close(catalog);
    char *text = ledger_text(site, volume);
    bool same = strlen(text) == all.size && memcmp(text, all.data, all.size) == 0;
    free(text);
    buf_fini(&all);
    return same;
}

static void each_start_writes_them_anew(void **state)
{
    struct site *site = *state;
    add_event(site); // no volume is open yet: nobody takes the line
    char *text = ledger_text(site, 0);
    assert_string_equal(text, "");
    free(text);
    tick(site, 0);
    assert_true(is_whole(site, 0) && is_whole(site, 1));
    text = ledger_text(site, 0);
    assert_non_null(strstr(text, "ring"));
    free(text);
}

static void what_is_committed_is_appended(void **state)
{
    struct site *site = *state;
    tick(site, 0);
    add_event(site);
    add_event(site);
    assert_true(is_whole(site, 0) && is_whole(site, 1));
}

static void an_append_that_fails_is_made_up_for(void **state)
{
    struct site *site = *state;
    tick(site, 0);
    char *path = ledger_path(site, 1);
    assert_int_equal(unlink(path) | mkdir(path, 0755), 0);
    add_event(site);
    assert_true(is_whole(site, 0)); // the other one is none the worse
    add_event(site);
    tick(site, 0); // not at once
    assert_int_equal(rmdir(path), 0);
    tick(site, 0);
    assert_int_equal(access(path, F_OK), -1);
    tick(site, 31 * US_PER_SECOND);
    assert_true(is_whole(site, 0) && is_whole(site, 1));
    add_event(site);
    assert_true(is_whole(site, 1));
    free(path);
}

// A full disk takes the beginning of a line and not its end.
static void a_torn_append_is_made_up_for(void **state)
{
    struct site *site = *state;
    tick(site, 0);
    add_event(site);
    char *before = ledger_text(site, 0);
    struct rlimit limit, old;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    limit = (struct rlimit){.rlim_cur = strlen(before) + 10, .rlim_max = old.rlim_max};
    struct catalog_event event = {
        .camera = "door", .start_us = NOON_US, .end_us = NOON_US + 1, .label = "late"};
    snprintf(event.id, sizeof(event.id), "00000000-0000-4000-8000-%012d", 99);
    CHECK(catalog_begin(site->writer, &cause));
    CHECK(catalog_event_add(site->writer, &event, &cause));
    CHECK(catalog_commit(site->writer, &cause));
    struct buf lines = BUF_INIT;
    CHECK(catalog_ledger_take(site->writer, &lines, &cause));
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ledger_append(&lines, site->ledger);
    finish_jobs(site);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    for (int i = 0; i < VOLUMES; i++) {
        char *torn = ledger_text(site, i);
        assert_int_equal(strlen(torn), strlen(before) + 10);
        free(torn);
    }
    add_event(site); // is not put behind a torn line
    tick(site, 31 * US_PER_SECOND);
    assert_true(is_whole(site, 0) && is_whole(site, 1));
    buf_fini(&lines);
    free(before);
}

static void a_volume_that_was_away_gets_what_it_has_missed(void **state)
{
    struct site *site = *state;
    tick(site, 0);
    add_event(site);
    char *away = xasprintf("%s/away", site->root);
    assert_int_equal(rename(site->volumes[1].path, away), 0);
    tick(site, 0);
    assert_null(storage_at(site->indexer.storage, 1)->volume);
    add_event(site);
    assert_true(is_whole(site, 0));
    assert_int_equal(rename(away, site->volumes[1].path), 0);
    assert_false(is_whole(site, 1));
    tick(site, 31 * US_PER_SECOND);
    assert_true(is_whole(site, 1));
    free(away);
}

// How many events a new catalog has, once it has taken in the ledgers; with a stream it is not new.
static size_t restore(const struct site *site, const char *name, bool has_stream)
{
    struct catalog_event *events;
    size_t count;
    int64_t id;
    char *place = xasprintf("%s/%s", site->root, name);
    assert_int_equal(mkdir(place, 0755), 0);
    struct catalog *catalog = catalog_open_writer(place, &cause);
    assert_non_null(catalog);
    CHECK(catalog_begin(catalog, &cause));
    if (has_stream)
        CHECK(catalog_stream_add(catalog, "yard", "main", &id, &cause));
    assert_int_equal(ledger_restore(catalog, &site->config, &cause), 0);
    CHECK(catalog_commit(catalog, &cause));
    const struct catalog_event_query all = {.end_us = INT64_MAX, .limit = 100};
    CHECK(catalog_events_in(catalog, &all, &events, &count, &cause));
    catalog_events_free(events, count);
    catalog_close(catalog);
    free(place);
    return count;
}

static void a_new_catalog_takes_them_in_line_by_line(void **state)
{
    struct site *site = *state;
    tick(site, 0);
    add_event(site);
    add_event(site);
    char *text = ledger_text(site, 0), *path = ledger_path(site, 0), *why = NULL;
    // The first line is torn, the second too, and the last.
    char *torn = xasprintf("{\"kind\":\n%.20s\n%s{\"kind\":\"event\",\"id", text, text);
    assert_int_equal(fs_write_file(path, torn, strlen(torn), 0640, &why), 0);
    assert_int_equal(restore(site, "new", false), 2);
    assert_int_equal(restore(site, "known", true), 0);
    free(torn);
    free(path);
    free(text);
}

int main(void)
{
#define LEDGER_TEST(name) cmocka_unit_test_setup_teardown(name, site_make, site_free)
    const struct CMUnitTest tests[] = {
        LEDGER_TEST(each_start_writes_them_anew),
        LEDGER_TEST(what_is_committed_is_appended),
        LEDGER_TEST(an_append_that_fails_is_made_up_for),
        LEDGER_TEST(a_torn_append_is_made_up_for),
        LEDGER_TEST(a_volume_that_was_away_gets_what_it_has_missed),
        LEDGER_TEST(a_new_catalog_takes_them_in_line_by_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
