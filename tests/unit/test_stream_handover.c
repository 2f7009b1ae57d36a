// links: kf-supervisor
// A stream, and what is compared of a configuration, over an exec: whatever was known is known
// again, and whatever is not as it should be is refused.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/core/alloc.h"
#include "supervisor/mask.h"
#include "supervisor/reload.h"
#include "supervisor/reload_handover.h"
#include "supervisor/stream_handover.h"

// --- Tables

static size_t alignment_of(const struct handover_field *field)
{
    switch (field->type) {
    case HANDOVER_BOOL:
        return 1;
    case HANDOVER_INT:
    case HANDOVER_UNSIGNED:
    case HANDOVER_ENUM:
        return 4;
    default:
        return field->size % 8 ? 4 : 8;
    }
}

// Every byte of the struct is a field's, or stands before one because of its alignment.
static void assert_complete(const struct handover_table *table)
{
    size_t end = 0;
    for (size_t i = 0; i < table->count; i++) {
        const struct handover_field *field = &table->fields[i];
        size_t gap = field->offset - end;
        if (field->offset < end || gap >= alignment_of(field))
            fail_msg("something is forgotten before \"%s\", or it stands at the wrong place",
                field->key);
        end = field->offset + field->size;
        if (field->type == HANDOVER_STRUCT)
            assert_complete(field->table);
    }
    if (table->size - end >= 8)
        fail_msg("something is forgotten behind \"%s\"", table->fields[table->count - 1].key);
}

static void test_no_field_of_a_stream_is_forgotten(void **state)
{
    (void)state;
    assert_complete(&stream_handover_table);
}

// --- A stream

struct scene {
    struct config config;
    struct stream_host host;
};

static void scene_begin(struct scene *scene)
{
    *scene = (struct scene){.config = {.node = "n"}};
    scene->config.storage.cache = "/nowhere";
    stream_host_init(&scene->host, ev_default_loop(0), &scene->config, NULL, NULL);
}

static const struct figures some_figures = {
    .frames = 101,
    .duplicated = 102,
    .dropped = 103,
    .bytes = 104,
    .restarts = {[REASON_REFUSED] = 105, [REASON_REMOVED] = 106},
    .last_frame_utc_us = 107,
    .counted = {.frames = 108, .fps = 24.9, .out_time_us = 109, .has_ended = true},
    .block_us = 110,
    .quiet_since_us = 111,
    .quiet_until_us = 112,
    .has_gap = true,
    .gap_reason = REASON_TIMEOUT,
    .gap_since_us = 113,
    .gap_counted_us = 114,
    .gap_us = {[REASON_UNAUTHORIZED] = 115, [REASON_UNKNOWN] = 116},
    .last_frame_us = 117,
    .last_gap_us = 118,
    .samples = {{119, 120, 121}, {122, 123, 124}, [FIGURES_SAMPLES - 1] = {125, 126, 127}},
    .sample_count = 128,
};
static const struct vitality some_vitality = {201, 202, 203, 204, 205, 206, 207};
static const struct mediaclock some_clock = {
    301, 302, 303, -304, 305, 306, -307, 308, 309, {310, 311, 312}, 313};
static const struct complaint some_complaint = {REASON_CODEC, 401, 402};
static const struct usage some_usage = {501, 502, 503};
static const struct outage some_outage = {601, 602, true, REASON_CLOSED};
static const struct progress some_progress = {701, 12.5, 702, 703, 704, true};
static const struct adapt some_adapt = {
    .way = {.audio = FFMPEG_AUDIO_AAC, .is_substitute = true, .is_udp = true},
    .hints = 801,
    .has_frames = true,
    .is_overdue = true,
    .is_patient = true,
    .is_suspicion = true,
    .is_audio_cleared = true,
    .is_tcp_refused = true,
    .has_crossed = true,
    .has_told_unused = true,
};

static void fill_runs(struct stream_run *run)
{
    ARRAY_RESERVE(run->unnoted, run->unnoted_count, run->unnoted_capacity);
    run->unnoted[run->unnoted_count++] = (struct runfile){
        .camera = xstrdup("door"),
        .stream = xstrdup("main"),
        .run = 901,
        .node = xstrdup("n"),
        .start_us = 902,
        .end_us = 903,
        .reason = xstrdup("timeout"),
        .detail = xstrdup("words \xff of a camera"),
    };
}

// Waits, after a failure, with all that may be known of it.
static struct stream *make_stream(struct scene *scene)
{
    const struct config_stream named = {.camera = "door", .name = "main"};
    struct stream *stream = stream_new(&scene->host, &named);
    stream->state = STREAM_WAITING;
    stream->state_since_us = 1;
    stream->is_wanted = stream->is_hurried = stream->has_spoken = true;
    stream->launch_us = 2;
    stream->first_frame_us = 3;
    stream->failures = 4;
    stream->growth.number = 5;
    stream->growth.size = 6;
    stream->end_reason = REASON_STALLED;
    stream->end_words = xstrdup("end words");
    stream->last_reason = REASON_NO_SPACE;
    stream->last_words = xstrdup("last words");
    stream->clue = (struct clue){REASON_REFUSED, CLUE_TELLING, 7, xstrdup("a clue")};
    stream->progress = some_progress;
    stream->vitality = some_vitality;
    stream->clock = some_clock;
    stream->complaint = some_complaint;
    stream->figures = some_figures;
    stream->usage = some_usage;
    stream->outage = some_outage;
    stream->adapt = some_adapt;
    stream->mask = mask_new("rtsp://h/?token=s3cr%00et", "p\xe4ss wort");
    logcap_add(stream->log, "one line");
    logcap_add(stream->log, "said 1 times");
    logcap_add(stream->log, "said 2 times");
    fill_runs(&stream->run);
    ev_timer_set(&stream->timer, 20., 0.);
    ev_timer_start(scene->host.loop, &stream->timer);
    return stream;
}

static void assert_same_plain(const struct stream *stream)
{
    assert_memory_equal(&stream->progress, &some_progress, sizeof(some_progress));
    assert_memory_equal(&stream->vitality, &some_vitality, sizeof(some_vitality));
    assert_memory_equal(&stream->clock, &some_clock, sizeof(some_clock));
    assert_memory_equal(&stream->complaint, &some_complaint, sizeof(some_complaint));
    assert_memory_equal(&stream->figures, &some_figures, sizeof(some_figures));
    assert_memory_equal(&stream->usage, &some_usage, sizeof(some_usage));
    assert_memory_equal(&stream->outage, &some_outage, sizeof(some_outage));
    assert_memory_equal(&stream->adapt, &some_adapt, sizeof(some_adapt));
}

static void assert_same(const struct stream *stream)
{
    unsigned repeats;
    assert_same_plain(stream);
    assert_int_equal(stream->state, STREAM_WAITING);
    assert_int_equal(stream->state_since_us, 1);
    assert_true(stream->is_wanted && stream->is_hurried && stream->has_spoken);
    assert_int_equal(stream->launch_us, 2);
    assert_int_equal(stream->first_frame_us, 3);
    assert_int_equal(stream->failures, 4);
    assert_int_equal(stream->growth.fd, -1);
    assert_int_equal(stream->growth.number, 5);
    assert_int_equal(stream->growth.size, 6);
    assert_int_equal(stream->end_reason, REASON_STALLED);
    assert_string_equal(stream->end_words, "end words");
    assert_int_equal(stream->last_reason, REASON_NO_SPACE);
    assert_string_equal(stream->last_words, "last words");
    assert_int_equal(stream->clue.reason, REASON_REFUSED);
    assert_int_equal(stream->clue.weight, CLUE_TELLING);
    assert_int_equal(stream->clue.time_us, 7);
    assert_string_equal(stream->clue.words, "a clue");
    assert_int_equal(logcap_count(stream->log), 2);
    assert_string_equal(logcap_line(stream->log, 0, &repeats), "one line");
    assert_string_equal(logcap_line(stream->log, 1, &repeats), "said 2 times");
    assert_int_equal(repeats, 2);
}

static void assert_same_runs(const struct stream_run *run)
{
    assert_int_equal(run->open.run, 0);
    assert_int_equal(run->unnoted_count, 1);
    const struct runfile *file = &run->unnoted[0];
    assert_string_equal(file->camera, "door");
    assert_string_equal(file->stream, "main");
    assert_string_equal(file->node, "n");
    assert_string_equal(file->reason, "timeout");
    assert_string_equal(file->detail, "words \xff of a camera");
    assert_int_equal(file->run, 901);
    assert_int_equal(file->start_us, 902);
    assert_int_equal(file->end_us, 903);
}

static void assert_masks(const struct mask *mask)
{
    char *text = mask_text("a p\xe4ss wort, and rtsp://h/?token=s3cr%00et", mask);
    assert_string_equal(text, "a ***, and rtsp://h/?token=***");
    free(text);
}

static json_t *write_stream(const struct stream *stream)
{
    struct handover_writer writer = {0};
    json_t *object = stream_hand_over(&writer, stream);
    handover_writer_fini(&writer);
    assert_non_null(object);
    return object;
}

// Takes the reference. Returns the first cause; NULL: none.
static char *try_stream(struct scene *scene, json_t *object)
{
    struct handover_reader reader;
    handover_reader_init(&reader, true);
    struct stream *stream = stream_take_over(&reader, object, &scene->host, "door", "main");
    char *cause = reader.cause ? xstrdup(reader.cause) : NULL;
    handover_reader_fini(&reader);
    json_decref(object);
    stream_free(stream);
    return cause;
}

static void test_all_that_is_known_of_a_stream_lives_on(void **state)
{
    struct scene scene;
    struct handover_reader reader;
    (void)state;
    scene_begin(&scene);
    struct stream *before = make_stream(&scene);
    // Through text, as it goes through an exec.
    json_t *written = write_stream(before);
    char *text = json_dumps(written, JSON_COMPACT);
    json_t *object = json_loads(text, JSON_ALLOW_NUL, NULL);
    handover_reader_init(&reader, false);
    struct stream *after = stream_take_over(&reader, object, &scene.host, "door", "main");
    assert_null(reader.cause);
    assert_same(after);
    assert_same_runs(&after->run);
    assert_masks(after->mask);
    assert_true(ev_is_active(&after->timer));
    double left_s = ev_timer_remaining(scene.host.loop, &after->timer);
    assert_true(left_s > 15. && left_s < 21.);
    assert_string_equal(after->directory, before->directory);
    assert_null(after->config);
    handover_reader_fini(&reader);
    json_decref(object);
    json_decref(written);
    free(text);
    stream_free(before);
    stream_free(after);
    stream_host_fini(&scene.host);
}

// --- What is not as it should be

static void expect_refusal(struct scene *scene, json_t *root, const char *key, const char *what)
{
    char *cause = try_stream(scene, json_deep_copy(root));
    if (cause == NULL)
        fail_msg("\"%s\" %s, and nobody noticed", key, what);
    free(cause);
}

// Has the whole tried without one value of an object, and with another one in its place.
static void spoil_key(struct scene *scene, json_t *root, json_t *object, const char *key)
{
    json_t *value = json_incref(json_object_get(object, key));
    // Counts that are 0 are left out: of those, no absence says anything.
    bool is_count =
        json_is_integer(value) && strstr("refused removed unauthorized unknown", key) != NULL;
    json_object_del(object, key);
    if (!is_count)
        expect_refusal(scene, root, key, "is missing");
    json_object_set_new(object, key, json_pack("{s:i}", "what", 1));
    expect_refusal(scene, root, key, "is something else");
    json_object_set_new(object, key, value);
}

// Does so with all values in `value` and below. Returns how many there are.
static int spoil(struct scene *scene, json_t *root, json_t *value)
{
    json_t *keys = json_array(); // a copy: what is put back comes to the end
    const char *key;
    json_t *inner;
    size_t i;
    int count = 0;
    json_object_foreach(value, key, inner) json_array_append_new(keys, json_string(key));
    json_array_foreach(keys, i, inner)
    {
        key = json_string_value(inner);
        spoil_key(scene, root, value, key);
        count += 1 + spoil(scene, root, json_object_get(value, key));
    }
    json_decref(keys);
    json_array_foreach(value, i, inner) count += spoil(scene, root, inner);
    if (json_is_object(value)) {
        json_object_set_new(value, "news", json_null());
        expect_refusal(scene, root, "news", "is there");
        json_object_del(value, "news");
    }
    return count;
}

static void test_what_is_missing_or_unknown_is_refused(void **state)
{
    struct scene scene;
    (void)state;
    scene_begin(&scene);
    struct stream *stream = make_stream(&scene);
    json_t *root = write_stream(stream);
    assert_null(try_stream(&scene, json_deep_copy(root)));
    assert_true(spoil(&scene, root, root) > 100);
    json_decref(root);
    stream_free(stream);
    stream_host_fini(&scene.host);
}

static void test_a_stream_that_contradicts_itself_is_refused(void **state)
{
    static const enum stream_state states[] = {
        STREAM_OFF, STREAM_CONNECTING, STREAM_RECORDING, STREAM_ENDING};
    struct scene scene;
    (void)state;
    scene_begin(&scene);
    struct stream *stream = make_stream(&scene);
    for (size_t i = 0; i < ARRAY_LENGTH(states); i++) {
        stream->state = states[i]; // without an ffmpeg, but with a pause
        char *cause = try_stream(&scene, write_stream(stream));
        assert_non_null(cause);
        assert_non_null(strstr(cause, "contradicts"));
        free(cause);
    }
    stream_free(stream);
    stream_host_fini(&scene.host);
}

// --- The configuration

static char *some_options[] = {"-a", "-b \xff"};
static struct config_volume some_volume = {.path = "/video"};

static struct config some_config(struct config_stream *stream)
{
    *stream = (struct config_stream){
        .camera = "door",
        .name = "main",
        .url = "rtsp://h/x?y=z",
        .username = "u",
        .password = "p",
        .recording = {.segment_us = 1,
            .timeout_us = 2,
            .audio = CONFIG_AUDIO_OFF,
            .transport = CONFIG_TRANSPORT_UDP,
            .enabled = true},
    };
    return (struct config){
        .node = "n",
        .runtime = "/run",
        .storage = {.database = "/db",
            .cache = "/cache",
            .volumes = &some_volume,
            .volume_count = 1},
        .ffmpeg = {.path = "ffmpeg",
            .input_options = {some_options, 2},
            .output_options = {some_options, 1}},
        .streams = stream,
        .stream_count = 1,
    };
}

static struct config *over(const struct config *config)
{
    struct handover_reader reader;
    json_t *object = reload_hand_over(config);
    handover_reader_init(&reader, false);
    struct config *taken = reload_take_over(&reader, object);
    assert_null(reader.cause);
    handover_reader_fini(&reader);
    json_decref(object);
    return taken;
}

// How many streams a reload restarts that finds `after` where an upgrade has left `taken`.
static size_t restarts(const struct config *taken, const struct config *after)
{
    static const struct disabled none;
    struct reload_plan plan;
    reload_plan_init(&plan, taken, after, &none);
    assert_int_equal(plan.count, 1);
    size_t count = plan.restarted;
    assert_int_equal(plan.kept, 1 - count);
    reload_plan_fini(&plan);
    return count;
}

static void test_what_a_reload_compares_lives_on(void **state)
{
    struct config_stream stream;
    struct config config = some_config(&stream);
    struct config *taken = over(&config);
    (void)state;
    assert_null(reload_needs_restart(taken, &config));
    assert_int_equal(restarts(taken, &config), 0);
    stream.url = "rtsp://h/x?y=new";
    assert_int_equal(restarts(taken, &config), 1);
    config = some_config(&stream);
    stream.password = "new";
    assert_int_equal(restarts(taken, &config), 1);
    config = some_config(&stream);
    stream.recording.transport = CONFIG_TRANSPORT_AUTO;
    assert_int_equal(restarts(taken, &config), 1);
    config = some_config(&stream);
    config.ffmpeg.output_options.count = 2;
    assert_int_equal(restarts(taken, &config), 1);
    config = some_config(&stream);
    config.storage.cache = "/elsewhere";
    assert_string_equal(reload_needs_restart(taken, &config), "storage.cache");
    config_free(taken);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_field_of_a_stream_is_forgotten),
        cmocka_unit_test(test_all_that_is_known_of_a_stream_lives_on),
        cmocka_unit_test(test_what_is_missing_or_unknown_is_refused),
        cmocka_unit_test(test_a_stream_that_contradicts_itself_is_refused),
        cmocka_unit_test(test_what_a_reload_compares_lives_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
