// links: kf-webui
// What a client is sent and spared: a simulation of cameras and links, judged by what the client
// sees alone.
#include "tests/unit/live.h"

#include "webui/live_queue.h"

enum {
    TILES = 9,
    GROUP = 4,       // fragments of half a second
    STEP_US = 10000, // of the simulation
    FRAGMENT_US = 500000,
};

static struct live_corpus corpus;

static int setup(void **state)
{
    (void)state;
    live_corpus_open(&corpus, "h264-b-aac-000000");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    live_corpus_close(&corpus);
    return 0;
}

// A fragment of the stream that this test makes up: number `serial`, from 1.
static struct live_fragment *make(uint64_t serial, bool key)
{
    struct live_part part = corpus.parts[0];
    part.key = key;
    part.has_video = true;
    part.serial = serial;
    part.continuity = 1;
    part.start_us = (int64_t)(serial - 1) * FRAGMENT_US;
    part.duration_us = FRAGMENT_US;
    return live_corpus_fragment(&corpus, &part);
}

static void put(struct live_queue *queue, size_t tile, struct live_fragment *fragment, int64_t now)
{
    live_queue_put(queue, tile, fragment, now);
    live_fragment_unref(fragment);
}

// Takes one that must be there. Returns its serial.
static uint64_t take(struct live_queue *queue, int64_t now, unsigned *flags)
{
    struct live_item item;
    assert_true(live_queue_take(queue, now, &item));
    uint64_t serial = item.fragment->part.serial;
    *flags = item.flags;
    live_fragment_unref(item.fragment);
    return serial;
}

static void check_empty(struct live_queue *queue, int64_t now)
{
    struct live_item item;
    assert_false(live_queue_take(queue, now, &item));
}

// --- One by one ---

static void test_it_begins_with_a_key_frame(void **state)
{
    (void)state;
    struct live_queue *queue = live_queue_new(1);
    unsigned flags;
    put(queue, 0, make(1, false), 0);
    check_empty(queue, 0);
    put(queue, 0, make(2, true), 0);
    put(queue, 0, make(3, false), 0);
    assert_int_equal(take(queue, 0, &flags), 2);
    assert_int_equal(flags, LIVE_FLAG_KEY);
    assert_int_equal(take(queue, 0, &flags), 3);
    assert_int_equal(flags, 0);
    check_empty(queue, 0);
    assert_int_equal(live_queue_dropped(queue), 0);
    live_queue_free(queue);
}

static void test_what_is_old_is_dropped_up_to_the_next_key_frame(void **state)
{
    (void)state;
    struct live_queue *queue = live_queue_new(1);
    unsigned flags;
    put(queue, 0, make(1, true), 0);
    assert_int_equal(take(queue, 0, &flags), 1);
    put(queue, 0, make(2, false), 500000);
    put(queue, 0, make(3, true), 1000000);
    put(queue, 0, make(4, false), 1500000);
    // 2 has waited for a second and a bit; 3 for half.
    assert_int_equal(take(queue, 1500001, &flags), 3);
    assert_int_equal(flags, LIVE_FLAG_KEY | LIVE_FLAG_CATCH_UP);
    assert_int_equal(take(queue, 1500001, &flags), 4);
    assert_int_equal(flags, 0);
    assert_int_equal(live_queue_dropped(queue), 1);
    live_queue_free(queue);
}

static void test_no_successor_of_a_lost_key_frame_is_sent(void **state)
{
    (void)state;
    struct live_queue *queue = live_queue_new(1);
    unsigned flags;
    put(queue, 0, make(1, true), 0);
    assert_int_equal(take(queue, 0, &flags), 1);
    put(queue, 0, make(2, false), 0);
    check_empty(queue, 1000001);
    put(queue, 0, make(3, false), 1000001); // its predecessor is gone
    check_empty(queue, 1000001);
    put(queue, 0, make(4, true), 1500000);
    assert_int_equal(take(queue, 1500000, &flags), 4);
    assert_int_equal(flags, LIVE_FLAG_KEY | LIVE_FLAG_CATCH_UP);
    assert_int_equal(live_queue_dropped(queue), 2);
    live_queue_free(queue);
}

static void test_a_key_frame_waits_for_a_newer_one(void **state)
{
    (void)state;
    struct live_queue *queue = live_queue_new(1);
    unsigned flags;
    put(queue, 0, make(1, true), 0);
    put(queue, 0, make(2, false), 500000);
    assert_int_equal(take(queue, 1800000, &flags), 1); // 2 was dropped meanwhile
    check_empty(queue, 1800000);
    put(queue, 0, make(5, true), 2000000);
    put(queue, 0, make(9, true), 4000000);
    assert_int_equal(take(queue, 4000000, &flags), 9);
    assert_int_equal(flags, LIVE_FLAG_KEY | LIVE_FLAG_CATCH_UP);
    live_queue_free(queue);
}

static void test_the_cached_group_is_no_old_one(void **state)
{
    (void)state;
    // What was recorded long ago and is queued now counts from now.
    struct live_queue *queue = live_queue_new(1);
    unsigned flags;
    for (uint64_t i = 1; i <= 8; i++)
        put(queue, 0, make(i, i == 1), 60000000);
    for (uint64_t i = 1; i <= 8; i++)
        assert_int_equal(take(queue, 60000000 + (int64_t)i * 100000, &flags), i);
    assert_int_equal(live_queue_dropped(queue), 0);
    live_queue_free(queue);
}

static void test_a_discontinuity_and_a_new_run_begin_with_a_key_frame(void **state)
{
    (void)state;
    struct live_queue *queue = live_queue_new(1);
    unsigned flags;
    put(queue, 0, make(1, true), 0);
    assert_int_equal(take(queue, 0, &flags), 1);
    struct live_part part = corpus.parts[0];
    part.has_video = true;
    part.continuity = 2;
    part.serial = 2;
    part.key = false;
    put(queue, 0, live_corpus_fragment(&corpus, &part), 0);
    check_empty(queue, 0);
    part.serial = 3;
    part.key = true;
    put(queue, 0, live_corpus_fragment(&corpus, &part), 0);
    assert_int_equal(take(queue, 0, &flags), 3);
    assert_int_equal(flags, LIVE_FLAG_KEY | LIVE_FLAG_DISCONTINUITY);
    struct segment_id id = corpus.owner->id;
    id.run++;
    part.file = live_file_new(&id, -1);
    part.serial = 4;
    part.continuity = 3;
    put(queue, 0, live_corpus_fragment(&corpus, &part), 0);
    live_file_unref(part.file);
    assert_int_equal(take(queue, 0, &flags), 4);
    assert_int_equal(flags, LIVE_FLAG_KEY | LIVE_FLAG_DISCONTINUITY | LIVE_FLAG_NEW_RUN);
    live_queue_free(queue);
}

static void test_another_init_is_sent_once(void **state)
{
    (void)state;
    struct live_corpus other;
    struct live_queue *queue = live_queue_new(1);
    struct live_item item;
    live_corpus_open(&other, "h264-000000");
    // Equal ones of two files are one.
    char *cause = NULL;
    struct live_init *equal =
        live_init_new(corpus.reader.init->bytes.data, corpus.reader.init->bytes.size, &cause);
    struct live_init *const inits[] = {
        corpus.reader.init, corpus.reader.init, equal, other.reader.init, other.reader.init};
    const bool needed[] = {true, false, false, true, false};
    for (size_t i = 0; i < ARRAY_LENGTH(inits); i++) {
        struct live_part part = corpus.parts[0];
        part.init = inits[i];
        part.serial = i + 1;
        part.has_video = true;
        part.key = needed[i];
        put(queue, 0, live_corpus_fragment(&corpus, &part), 0);
        assert_true(live_queue_take(queue, 0, &item));
        assert_int_equal(item.needs_init, needed[i]);
        live_fragment_unref(item.fragment);
    }
    // Another init again, and no key frame: not sent.
    struct live_part part = corpus.parts[0];
    part.has_video = true;
    part.key = false;
    put(queue, 0, live_corpus_fragment(&corpus, &part), 0);
    check_empty(queue, 0);
    live_init_unref(equal);
    live_queue_free(queue);
    live_corpus_close(&other);
}

static void test_sound_alone_is_for_those_who_want_sound(void **state)
{
    (void)state;
    for (int sound = 0; sound < 2; sound++) {
        struct live_queue *queue = live_queue_new(1);
        unsigned flags;
        live_queue_set_sound(queue, 0, sound);
        put(queue, 0, make(1, true), 0);
        struct live_part part = corpus.parts[0];
        part.has_video = part.key = false;
        part.serial = 2;
        part.continuity = 1;
        put(queue, 0, live_corpus_fragment(&corpus, &part), 0);
        assert_int_equal(take(queue, 0, &flags), 1);
        if (sound)
            assert_int_equal(take(queue, 0, &flags), 2);
        check_empty(queue, 0);
        live_queue_free(queue);
    }
}

// --- The simulation ---

// What a client has seen of a tile.
struct seen {
    uint64_t serial;  // of the last fragment
    int64_t at_us;    // when its last byte arrived
    int64_t gap_us;   // longest time between two
    int64_t delay_us; // longest since a fragment appeared, in the part that is judged
    size_t count;
};

struct simulation {
    size_t tiles;
    size_t sizes[TILES]; // bytes of a fragment that is no key frame; those have three times as many
    size_t group;        // fragments
    int64_t phases_us[TILES];
    double (*rate)(int64_t now_us); // bytes a second
    int64_t end_us;
    int64_t judge_us; // delays count from here
    struct seen seen[TILES];
};

static void see(struct simulation *simulation, const struct live_item *item, int64_t now_us)
{
    struct seen *seen = &simulation->seen[item->tile];
    const struct live_part *part = &item->fragment->part;
    bool key = item->flags & LIVE_FLAG_KEY;
    assert_int_equal(key, part->key);
    assert_true(part->serial > seen->serial);
    // Nothing is missing, or a key frame says that something is.
    bool is_next = part->serial == seen->serial + 1;
    if (seen->count == 0)
        assert_true(key);
    else if (!is_next)
        assert_true(key && item->flags & LIVE_FLAG_CATCH_UP);
    else
        assert_false(item->flags & LIVE_FLAG_CATCH_UP);
    if (seen->count > 0 && now_us - seen->at_us > seen->gap_us)
        seen->gap_us = now_us - seen->at_us;
    int64_t delay_us = now_us - part->appeared_us;
    if (now_us >= simulation->judge_us && delay_us > seen->delay_us)
        seen->delay_us = delay_us;
    seen->serial = part->serial;
    seen->at_us = now_us;
    seen->count++;
}

static void run(struct simulation *simulation)
{
    struct live_queue *queue = live_queue_new(simulation->tiles);
    struct live_item item = {0};
    double left = 0;
    for (int64_t now = 0; now < simulation->end_us; now += STEP_US) {
        for (size_t i = 0; i < simulation->tiles; i++) {
            int64_t age = now - simulation->phases_us[i];
            if (age < 0 || age % FRAGMENT_US != 0)
                continue;
            uint64_t serial = (uint64_t)(age / FRAGMENT_US) + 1;
            struct live_fragment *fragment = make(serial, (serial - 1) % simulation->group == 0);
            fragment->part.appeared_us = now;
            put(queue, i, fragment, now);
        }
        for (double room = simulation->rate(now) * STEP_US / 1e6; room > 0;) {
            if (item.fragment == NULL) {
                if (!live_queue_take(queue, now, &item))
                    break;
                left = (double)simulation->sizes[item.tile] * (item.fragment->part.key ? 3 : 1);
            }
            double sent = left < room ? left : room;
            left -= sent;
            room -= sent;
            if (left > 0)
                break;
            see(simulation, &item, now);
            live_fragment_unref(item.fragment);
            item.fragment = NULL;
        }
    }
    live_fragment_unref(item.fragment);
    live_queue_free(queue);
}

// Bytes a second that all tiles need together.
static double need(const struct simulation *simulation)
{
    double bytes = 0;
    for (size_t i = 0; i < simulation->tiles; i++)
        bytes += (double)simulation->sizes[i] * (double)(simulation->group + 2) /
                 (double)simulation->group;
    return bytes * 1e6 / FRAGMENT_US;
}

static double link_rate, link_need;

static double steady(int64_t now_us)
{
    (void)now_us;
    return link_rate;
}

// Half of what is needed for a minute, then enough.
static double released(int64_t now_us)
{
    return now_us < 60000000 ? link_need / 2 : link_need * 3;
}

static struct simulation nine_tiles(void)
{
    struct simulation simulation = {.tiles = TILES, .group = GROUP, .end_us = 60000000};
    for (size_t i = 0; i < TILES; i++) {
        simulation.sizes[i] = i == 4 ? 200000 : 20000; // one tile has ten times the others' bytes
        simulation.phases_us[i] = (int64_t)i * 50000;
    }
    link_need = need(&simulation);
    return simulation;
}

static void test_a_link_that_is_wide_enough_loses_nothing(void **state)
{
    (void)state;
    struct simulation simulation = nine_tiles();
    link_rate = link_need * 2;
    simulation.rate = steady;
    run(&simulation);
    for (size_t i = 0; i < TILES; i++) {
        assert_true(simulation.seen[i].count >= 115);
        assert_int_equal(simulation.seen[i].serial, simulation.seen[i].count);
        assert_true(simulation.seen[i].delay_us < 1000000);
    }
}

static void test_over_half_a_link_every_tile_advances(void **state)
{
    (void)state;
    struct simulation simulation = nine_tiles();
    link_rate = link_need / 2;
    simulation.rate = steady;
    run(&simulation);
    for (size_t i = 0; i < TILES; i++) {
        print_message("tile %zu: %zu fragments, longest gap %.2f s, longest delay %.2f s\n", i,
            simulation.seen[i].count, (double)simulation.seen[i].gap_us / 1e6,
            (double)simulation.seen[i].delay_us / 1e6);
        assert_true(simulation.seen[i].gap_us < 4500000);
        assert_true(simulation.seen[i].delay_us < 4000000);
    }
}

static void test_even_a_tenth_of_a_link_starves_nobody(void **state)
{
    (void)state;
    struct simulation simulation = nine_tiles();
    link_rate = link_need / 10;
    simulation.rate = steady;
    run(&simulation);
    for (size_t i = 0; i < TILES; i++) {
        assert_true(simulation.seen[i].count >= 2);
        assert_true(simulation.seen[i].gap_us < 20000000);
    }
}

static void test_after_the_release_delays_are_short_again(void **state)
{
    (void)state;
    struct simulation simulation = nine_tiles();
    simulation.rate = released;
    simulation.end_us = 90000000;
    simulation.judge_us = 64000000;
    run(&simulation);
    for (size_t i = 0; i < TILES; i++)
        assert_true(simulation.seen[i].delay_us < 1000000);
}

static double jagged(int64_t now_us)
{
    (void)now_us;
    return link_need * (double)(rand() % 200) / 100;
}

static void test_whatever_the_link_does_a_drop_ends_with_a_key_frame(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 40; seed++) {
        struct simulation simulation = nine_tiles();
        srand(seed);
        simulation.group = 1 + (size_t)rand() % 12;
        simulation.tiles = 1 + (size_t)rand() % TILES;
        link_need = need(&simulation) * (double)(rand() % 150) / 100;
        simulation.rate = jagged;
        run(&simulation); // see() judges
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_begins_with_a_key_frame),
        cmocka_unit_test(test_what_is_old_is_dropped_up_to_the_next_key_frame),
        cmocka_unit_test(test_no_successor_of_a_lost_key_frame_is_sent),
        cmocka_unit_test(test_a_key_frame_waits_for_a_newer_one),
        cmocka_unit_test(test_the_cached_group_is_no_old_one),
        cmocka_unit_test(test_a_discontinuity_and_a_new_run_begin_with_a_key_frame),
        cmocka_unit_test(test_another_init_is_sent_once),
        cmocka_unit_test(test_sound_alone_is_for_those_who_want_sound),
        cmocka_unit_test(test_a_link_that_is_wide_enough_loses_nothing),
        cmocka_unit_test(test_over_half_a_link_every_tile_advances),
        cmocka_unit_test(test_even_a_tenth_of_a_link_starves_nobody),
        cmocka_unit_test(test_after_the_release_delays_are_short_again),
        cmocka_unit_test(test_whatever_the_link_does_a_drop_ends_with_a_key_frame),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
