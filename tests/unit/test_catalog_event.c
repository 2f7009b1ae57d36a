// Events and locks: sent twice they are there once, open ones reach into all time, and searches
// give what a walk over all of them gives.
#include "tests/unit/catalog.h"

#include "lib/media/catalog_event.h"
#include "lib/media/catalog_lock.h"

static const char uuid_a[] = "0192f0c4-7e1a-7b3c-8d4e-5f60718293a4";
static const char uuid_b[] = "0192f0c4-7e1a-7b3c-8d4e-5f60718293a5";

static struct catalog_event test_event(const char *id)
{
    struct catalog_event event = {.camera = "yard",
        .stream = "main",
        .start_us = NOON_US,
        .end_us = NOON_US + 5000000,
        .label = xstrdup("person"),
        .data = xstrdup("{\"score\":0.9}")};
    snprintf(event.id, sizeof(event.id), "%s", id);
    return event;
}

static void assert_event_equal(const struct catalog_event *a, const struct catalog_event *b)
{
    assert_string_equal(a->id, b->id);
    assert_string_equal(a->camera, b->camera);
    assert_string_equal(a->stream, b->stream);
    assert_int_equal(a->start_us, b->start_us);
    assert_int_equal(a->end_us, b->end_us);
    assert_string_equal(a->label, b->label);
    assert_string_equal(a->data ? a->data : "(null)", b->data ? b->data : "(null)");
}

static void uuids_are_strict(void **state)
{
    (void)state;
    assert_true(catalog_uuid_valid(uuid_a));
    assert_true(catalog_uuid_valid("0192F0C4-7E1A-7B3C-8D4E-5F60718293A4"));
    assert_false(catalog_uuid_valid(""));
    assert_false(catalog_uuid_valid("0192f0c4-7e1a-7b3c-8d4e-5f60718293a"));
    assert_false(catalog_uuid_valid("0192f0c4-7e1a-7b3c-8d4e-5f60718293a45"));
    assert_false(catalog_uuid_valid("0192f0c4-7e1a-7b3c-8d4e-5f60718293ag"));
    assert_false(catalog_uuid_valid("0192f0c47e1a-7b3c-8d4e-5f60718293a40"));
    assert_false(catalog_uuid_valid("{192f0c4-7e1a-7b3c-8d4e-5f60718293a4"));
}

static void an_event_sent_again_is_the_same_and_another_body_is_a_conflict(void **state)
{
    struct fixture *fixture = *state;
    struct catalog *catalog = fixture->catalog;
    struct catalog_event event = test_event(uuid_a), found;
    CHECK(catalog_event_add(catalog, &event, &cause));
    assert_int_equal(catalog_event_add(catalog, &event, &cause), CATALOG_NONE);
    // Large letters are the same id; it comes back in small ones.
    CHECK(catalog_event_get(catalog, "0192F0C4-7E1A-7B3C-8D4E-5F60718293A4", &found, &cause));
    assert_event_equal(&event, &found);
    catalog_event_fini(&found);

    struct catalog_event other = event;
    snprintf(other.camera, sizeof(other.camera), "gate");
    assert_int_equal(catalog_event_add(catalog, &other, &cause), CATALOG_CONFLICT);
    other = event;
    other.stream[0] = '\0';
    assert_int_equal(catalog_event_add(catalog, &other, &cause), CATALOG_CONFLICT);
    other = event;
    other.start_us++;
    assert_int_equal(catalog_event_add(catalog, &other, &cause), CATALOG_CONFLICT);
    other = event;
    other.end_us = 0;
    assert_int_equal(catalog_event_add(catalog, &other, &cause), CATALOG_CONFLICT);
    char label[] = "car";
    other = event;
    other.label = label;
    assert_int_equal(catalog_event_add(catalog, &other, &cause), CATALOG_CONFLICT);
    other = event;
    other.data = NULL;
    assert_int_equal(catalog_event_add(catalog, &other, &cause), CATALOG_CONFLICT);
    catalog_event_fini(&event);
}

static void what_is_no_event_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct catalog_event event = test_event("not-a-uuid");
    assert_int_equal(catalog_event_add(fixture->catalog, &event, &cause), CATALOG_ERROR);
    free(cause);
    snprintf(event.id, sizeof(event.id), "%s", uuid_a);
    event.end_us = event.start_us - 1;
    assert_int_equal(catalog_event_add(fixture->catalog, &event, &cause), CATALOG_ERROR);
    free(cause);
    event.end_us = 0;
    snprintf(event.camera, sizeof(event.camera), "../etc");
    assert_int_equal(catalog_event_add(fixture->catalog, &event, &cause), CATALOG_ERROR);
    free(cause);
    catalog_event_fini(&event);
}

static void an_open_event_ends_and_its_first_post_stays_the_same(void **state)
{
    struct fixture *fixture = *state;
    struct catalog *catalog = fixture->catalog;
    struct catalog_event event = test_event(uuid_b), found;
    event.end_us = 0;
    free(event.data);
    event.data = NULL;
    CHECK(catalog_event_add(catalog, &event, &cause));
    assert_int_equal(catalog_event_end(catalog, uuid_b, NOON_US - 1, &cause), CATALOG_CONFLICT);
    assert_int_equal(catalog_event_end(catalog, uuid_a, NOON_US, &cause), CATALOG_NONE);
    CHECK(catalog_event_end(catalog, uuid_b, NOON_US + 9, &cause));
    CHECK(catalog_event_get(catalog, uuid_b, &found, &cause));
    assert_int_equal(found.end_us, NOON_US + 9);
    assert_null(found.data);
    catalog_event_fini(&found);
    // The first request, late and again.
    assert_int_equal(catalog_event_add(catalog, &event, &cause), CATALOG_NONE);
    CHECK(catalog_event_remove(catalog, uuid_b, &cause));
    assert_int_equal(catalog_event_remove(catalog, uuid_b, &cause), CATALOG_NONE);
    assert_int_equal(catalog_event_get(catalog, uuid_b, &found, &cause), CATALOG_NONE);
    catalog_event_fini(&event);
}

// --- Searches against a walk ---

enum {
    EVENTS = 400,
};

static bool expected(const struct catalog_event *event, const struct catalog_event_query *query)
{
    return (query->camera == NULL || strcmp(event->camera, query->camera) == 0) &&
           (query->stream == NULL || event->stream[0] == '\0' ||
               strcmp(event->stream, query->stream) == 0) &&
           event->start_us < query->end_us &&
           (event->start_us >= query->start_us || event->end_us == 0 ||
               event->end_us > query->start_us);
}

static int event_compare(const void *left, const void *right)
{
    const struct catalog_event *a = left, *b = right;
    return a->start_us != b->start_us ? a->start_us < b->start_us ? -1 : 1 : strcmp(a->id, b->id);
}

static struct catalog_event *make_events(struct fixture *fixture)
{
    struct catalog_event *events = xcalloc(EVENTS, sizeof(*events));
    srandom(41);
    CHECK(catalog_begin(fixture->catalog, &cause));
    for (size_t i = 0; i < EVENTS; i++) {
        struct catalog_event *event = &events[i];
        snprintf(event->id, sizeof(event->id), "%08lx-0000-7000-8000-%012zx", random(), i);
        snprintf(event->camera, sizeof(event->camera), "cam%ld", random() % 3);
        if (random() % 3)
            snprintf(event->stream, sizeof(event->stream), "%s", random() % 2 ? "main" : "sub");
        // Many share a start; a few are long, some have no duration, some go on.
        event->start_us = NOON_US + random() % 200 * US_PER_SECOND;
        event->end_us = event->start_us + random() % (i % 20 ? 3 : 90) * US_PER_SECOND;
        event->end_us = i % 50 == 7 ? 0 : event->end_us;
        event->label = xstrdup("motion");
        CHECK(catalog_event_add(fixture->catalog, event, &cause));
    }
    CHECK(catalog_commit(fixture->catalog, &cause));
    qsort(events, EVENTS, sizeof(*events), event_compare);
    return events;
}

// In pages of `limit`, each behind the last one of the page before.
static void assert_search_equal(
    struct fixture *fixture, const struct catalog_event *events, struct catalog_event_query query)
{
    struct catalog_event *page;
    size_t count, at = 0;
    char after[CATALOG_UUID_SIZE];
    do {
        CHECK(catalog_events_in(fixture->catalog, &query, &page, &count, &cause));
        for (size_t i = 0; i < count; i++, at++) {
            while (at < EVENTS && !expected(&events[at], &query))
                at++;
            assert_true(at < EVENTS);
            assert_event_equal(&page[i], &events[at]);
        }
        if (count > 0) {
            snprintf(after, sizeof(after), "%s", page[count - 1].id);
            query.after_id = after;
            query.after_start_us = page[count - 1].start_us;
        }
        catalog_events_free(page, count);
    } while (query.limit != 0 && count == query.limit);
    for (; at < EVENTS; at++)
        assert_false(expected(&events[at], &query));
}

static void searches_find_what_a_walk_finds(void **state)
{
    struct fixture *fixture = *state;
    struct catalog_event *events = make_events(fixture);
    static const char *const cameras[] = {NULL, "cam0", "cam1", "nobody"};
    static const char *const streams[] = {NULL, "main", "sub"};
    for (int i = 0; i < 200; i++) {
        struct catalog_event_query query = {
            .camera = cameras[random() % 4],
            .stream = streams[random() % 3],
            .start_us = NOON_US + (random() % 220 - 10) * US_PER_SECOND,
            .limit = i % 2 ? 1 + (size_t)random() % 20 : 0,
        };
        query.end_us = query.start_us + random() % 60 * US_PER_SECOND;
        assert_search_equal(fixture, events, query);
    }
    catalog_events_free(events, EVENTS);
}

static void events_expire_by_their_end(void **state)
{
    struct fixture *fixture = *state;
    struct catalog_event *events = make_events(fixture);
    int64_t before_us = NOON_US + 100 * US_PER_SECOND;
    size_t left = 0, removed, count;
    for (size_t i = 0; i < EVENTS; i++)
        left += events[i].end_us == 0 || events[i].end_us >= before_us;
    size_t gone = 0;
    do {
        CHECK(catalog_events_expire(fixture->catalog, before_us, 50, &removed, &cause));
        assert_true(removed <= 50);
        gone += removed;
    } while (removed > 0);
    assert_int_equal(gone, EVENTS - left);
    struct catalog_event *found;
    CHECK(catalog_events_in(fixture->catalog, &(struct catalog_event_query){.end_us = INT64_MAX},
        &found, &count, &cause));
    assert_int_equal(count, left);
    catalog_events_free(found, count);
    catalog_events_free(events, EVENTS);
}

// --- Locks ---

static struct catalog_lock test_lock(const char *id, int64_t expires_us)
{
    struct catalog_lock lock = {.camera = "yard",
        .start_us = NOON_US,
        .end_us = NOON_US + 1000,
        .reason = xstrdup("evidence"),
        .expires_us = expires_us};
    snprintf(lock.id, sizeof(lock.id), "%s", id);
    return lock;
}

static size_t locks_at(struct fixture *fixture, int64_t now_us)
{
    struct catalog_lock *locks;
    size_t count;
    CHECK(catalog_locks(fixture->catalog, now_us, &locks, &count, &cause));
    catalog_locks_free(locks, count);
    return count;
}

static void a_lock_holds_until_it_expires(void **state)
{
    struct fixture *fixture = *state;
    struct catalog *catalog = fixture->catalog;
    struct catalog_lock forever = test_lock(uuid_a, 0), brief = test_lock(uuid_b, NOON_US + 50),
                        found;
    CHECK(catalog_lock_add(catalog, &forever, &cause));
    CHECK(catalog_lock_add(catalog, &brief, &cause));
    assert_int_equal(catalog_lock_add(catalog, &brief, &cause), CATALOG_NONE);
    assert_int_equal(locks_at(fixture, NOON_US + 49), 2);
    assert_int_equal(locks_at(fixture, NOON_US + 50), 1);
    CHECK(catalog_lock_renew(catalog, uuid_b, NOON_US + 90, &cause));
    assert_int_equal(locks_at(fixture, NOON_US + 89), 2);
    // The first request again is the same, another body is not.
    assert_int_equal(catalog_lock_add(catalog, &brief, &cause), CATALOG_NONE);
    brief.end_us++;
    assert_int_equal(catalog_lock_add(catalog, &brief, &cause), CATALOG_CONFLICT);
    CHECK(catalog_lock_get(catalog, uuid_b, &found, &cause));
    assert_int_equal(found.expires_us, NOON_US + 90);
    assert_int_equal(found.end_us, NOON_US + 1000);
    assert_string_equal(found.camera, "yard");
    assert_string_equal(found.stream, "");
    assert_string_equal(found.reason, "evidence");
    catalog_lock_fini(&found);
    CHECK(catalog_locks_expire(catalog, NOON_US + 90, &cause));
    assert_int_equal(catalog_lock_get(catalog, uuid_b, &found, &cause), CATALOG_NONE);
    CHECK(catalog_locks_expire(catalog, INT64_MAX, &cause));
    assert_int_equal(locks_at(fixture, INT64_MAX), 1);
    CHECK(catalog_lock_remove(catalog, uuid_a, &cause));
    assert_int_equal(catalog_lock_remove(catalog, uuid_a, &cause), CATALOG_NONE);
    assert_int_equal(catalog_lock_renew(catalog, uuid_a, 1, &cause), CATALOG_NONE);
    brief.end_us = brief.start_us;
    assert_int_equal(catalog_lock_add(catalog, &brief, &cause), CATALOG_ERROR);
    free(cause);
    catalog_lock_fini(&forever);
    catalog_lock_fini(&brief);
}

static void a_lock_holds_its_camera_and_time(void **state)
{
    (void)state;
    struct catalog_lock lock = test_lock(uuid_a, 0);
    assert_true(catalog_lock_holds(&lock, "yard", "main", NOON_US + 999, NOON_US + 5000));
    assert_true(catalog_lock_holds(&lock, "yard", "sub", NOON_US - 5, NOON_US + 1));
    assert_false(catalog_lock_holds(&lock, "yard", "main", NOON_US + 1000, NOON_US + 5000));
    assert_false(catalog_lock_holds(&lock, "yard", "main", NOON_US - 5, NOON_US));
    assert_false(catalog_lock_holds(&lock, "gate", "main", NOON_US, NOON_US + 1));
    snprintf(lock.stream, sizeof(lock.stream), "main");
    assert_true(catalog_lock_holds(&lock, "yard", "main", NOON_US, NOON_US + 1));
    assert_false(catalog_lock_holds(&lock, "yard", "sub", NOON_US, NOON_US + 1));
    catalog_lock_fini(&lock);
}

int main(void)
{
#define EVENT_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_make, fixture_free)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uuids_are_strict),
        EVENT_TEST(an_event_sent_again_is_the_same_and_another_body_is_a_conflict),
        EVENT_TEST(what_is_no_event_is_refused),
        EVENT_TEST(an_open_event_ends_and_its_first_post_stays_the_same),
        EVENT_TEST(searches_find_what_a_walk_finds),
        EVENT_TEST(events_expire_by_their_end),
        EVENT_TEST(a_lock_holds_until_it_expires),
        cmocka_unit_test(a_lock_holds_its_camera_and_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
