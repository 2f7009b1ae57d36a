// What tests of the catalog share: one in a folder of its own with a stream, a volume and a codec,
// and segments to put into it.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "lib/core/alloc.h"
#include "lib/core/timeutil.h"
#include "lib/media/catalog.h"
#include "lib/media/catalog_db.h"

#define HOUR_US (INT64_C(3600) * 1000000)
#define NOON_US INT64_C(1774958400000000) // 2026-03-31 12:00 UTC

// An H.264 sample entry, 640×360, with a sequence and a picture parameter set of two bytes each.
static const uint8_t test_entry[] = {0, 0, 0, 105, 'a', 'v', 'c', '1', 0, 0, 0, 0, 0, 0, 0, 1, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x80, 0x01, 0x68, 0, 0x48, 0, 0, 0, 0x48, 0, 0,
    0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0x18, 0xff, 0xff, 0, 0, 0, 19, 'a', 'v', 'c', 'C', 1, 0x64, 0x00, 0x1f,
    0xff, 0xe1, 0, 0, 1, 0, 0};

struct fixture {
    char directory[64];
    struct catalog *catalog;
    int64_t stream_id;
    int64_t volume_id;
    int64_t codec_id;
};

static char *cause; // of the call that failed last

#define CHECK(call)                                                                                \
    do {                                                                                           \
        enum catalog_status check_status = (call);                                                 \
        if (check_status != CATALOG_OK)                                                            \
            fail_msg(                                                                              \
                "%d: %s", check_status, check_status == CATALOG_ERROR ? cause : "not CATALOG_OK"); \
    } while (0)

static inline void fixture_open(struct fixture *fixture)
{
    fixture->catalog = catalog_open_writer(fixture->directory, &cause);
    if (fixture->catalog == NULL)
        fail_msg("%s", cause);
}

static inline int fixture_make(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));
    snprintf(fixture->directory, sizeof(fixture->directory), "/tmp/test_catalog.XXXXXX");
    assert_non_null(mkdtemp(fixture->directory));
    fixture_open(fixture);
    CHECK(catalog_begin(fixture->catalog, &cause));
    CHECK(catalog_stream_add(fixture->catalog, "yard", "main", &fixture->stream_id, &cause));
    CHECK(catalog_volume_add(fixture->catalog, "00000000-0000-4000-8000-000000000001", "/srv/video",
        &fixture->volume_id, &cause));
    CHECK(catalog_codec_add(
        fixture->catalog, test_entry, sizeof(test_entry), &fixture->codec_id, &cause));
    CHECK(catalog_commit(fixture->catalog, &cause));
    *state = fixture;
    return 0;
}

static inline void directory_remove(const char *path)
{
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir && (entry = readdir(dir)) != NULL;) {
        char *file = xasprintf("%s/%s", path, entry->d_name);
        unlink(file);
        free(file);
    }
    if (dir != NULL)
        closedir(dir);
    rmdir(path);
}

static inline int fixture_free(void **state)
{
    struct fixture *fixture = *state;
    catalog_close(fixture->catalog);
    directory_remove(fixture->directory);
    free(fixture);
    return 0;
}

// A row with every field distinct, so that a swapped column shows.
static inline struct catalog_segment test_segment(
    const struct fixture *fixture, int64_t start_us, int64_t duration_us, uint32_t number)
{
    return (struct catalog_segment){
        .stream_id = fixture->stream_id,
        .start_us = start_us,
        .end_us = start_us + duration_us,
        .run = 1774950000000,
        .number = number,
        .volume_id = fixture->volume_id,
        .size_bytes = 5000000 + number,
        .media_offset = 1201,
        .media_end = 4999002,
        .utc_offset_s = 7200,
        .video =
            {
                .codec_id = fixture->codec_id,
                .summary =
                    {
                        .kind = MEDIA_VIDEO,
                        .timescale = 90000,
                        .start = 123456789012,
                        .first_presentation = -3000,
                        .least_composition = -6001,
                        .greatest_composition = 9002,
                        .last_duration = 3003,
                        .counts = {1500, 30, 120, 4, 5, 6, 4800007, 5400008},
                    },
            },
    };
}

static inline void segment_set_key(struct catalog_segment *segment)
{
    struct segment_id id = {"yard", "main", segment->run, segment->number};
    char key[SEGMENT_KEY_SIZE];
    segment_key_format(&id, segment->start_us, segment->utc_offset_s, key);
    segment->key = xstrdup(key);
}

static inline enum catalog_status segment_add(
    struct fixture *fixture, struct catalog_segment *segment)
{
    if (segment->key == NULL)
        segment_set_key(segment);
    CHECK(catalog_begin(fixture->catalog, &cause));
    enum catalog_status status = catalog_segment_add(fixture->catalog, segment, &cause);
    if (status == CATALOG_OK)
        return catalog_commit(fixture->catalog, &cause);
    catalog_rollback(fixture->catalog);
    return status;
}

static inline size_t count_in(struct fixture *fixture, int64_t start_us, int64_t end_us)
{
    struct catalog_segments found;
    CHECK(catalog_segments_in(
        fixture->catalog, fixture->stream_id, start_us, end_us, INT64_MIN, 0, &found, &cause));
    size_t count = found.count;
    catalog_segments_fini(&found);
    return count;
}

static inline void execute(const struct fixture *fixture, const char *sql)
{
    sqlite3 *handle;
    char *path = xasprintf("%s/catalog.db", fixture->directory);
    assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
    assert_int_equal(sqlite3_exec(handle, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(handle);
    free(path);
}

static inline int64_t integer_in_file(const char *path, const char *sql)
{
    struct catalog_db db;
    int64_t value = -1;
    CHECK(catalog_db_open(&db, path, false, 0, &cause));
    CHECK(catalog_db_integer(&db, &value, &cause, sql, ""));
    catalog_db_close(&db);
    return value;
}

// The first column of the first row of a query.
static inline int64_t integer_in(const struct fixture *fixture, const char *sql)
{
    char *path = xasprintf("%s/catalog.db", fixture->directory);
    int64_t value = integer_in_file(path, sql);
    free(path);
    return value;
}
