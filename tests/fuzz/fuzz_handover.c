// links: kf-supervisor
// What another version of the supervisor may hand over: a state of ours of which some values are
// missing, others, elsewhere or unknown, or any text at all. It is refused with a cause, or what
// was taken from it is written and taken again as the same. As in a trial: no descriptor and no
// process is anybody's.
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/core/alloc.h"
#include "supervisor/disabled.h"
#include "supervisor/hookqueue.h"
#include "supervisor/loopmeter.h"
#include "supervisor/mask.h"
#include "supervisor/reload_handover.h"
#include "supervisor/stream_handover.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    FUZZ_CHANGES_MAX = 16,
    FUZZ_TEXT_MAX = 24,
};

static struct {
    struct config config;
    struct stream_host host;
    json_t *state; // a sound one
} fuzz;

static void check(bool right)
{
    if (!right)
        abort();
}

// --- A sound state

static json_t *sound_stream(void)
{
    const struct config_stream named = {.camera = "door", .name = "main"};
    struct handover_writer writer = {0};
    struct stream *stream = stream_new(&fuzz.host, &named);
    stream->state = STREAM_WAITING;
    stream->mask = mask_new("rtsp://h/?token=s3cr%00et", "p\xe4ss wort");
    stream->last_words = xstrdup("last words");
    stream->clue = (struct clue){REASON_REFUSED, CLUE_TELLING, 7, xstrdup("a clue")};
    stream->figures.restarts[REASON_TIMEOUT] = 3;
    logcap_add(stream->log, "said 1 times");
    logcap_add(stream->log, "said 2 times");
    ARRAY_RESERVE(stream->run.unnoted, stream->run.unnoted_count, stream->run.unnoted_capacity);
    stream->run.unnoted[stream->run.unnoted_count++] = (struct runfile){
        .camera = xstrdup("door"), .stream = xstrdup("main"), .node = xstrdup("n"), .run = 901};
    ev_timer_set(&stream->timer, 20., 0.);
    ev_timer_start(fuzz.host.loop, &stream->timer);
    json_t *object = stream_hand_over(&writer, stream);
    handover_writer_fini(&writer);
    stream_free(stream);
    return object;
}

static json_t *sound_configuration(void)
{
    static char *options[] = {"-a", "-b \xff"};
    static struct config_volume volume = {.path = "/video"};
    struct config_stream streams[] = {
        {.camera = "door", .name = "main", .url = "rtsp://h/x?y=z", .username = "u"},
        {.camera = "yard", .name = "sub", .url = "rtsp://h/y", .password = "p"}};
    struct config config = fuzz.config;
    config.runtime = "/run";
    config.storage.database = "/db";
    config.storage.volumes = &volume;
    config.storage.volume_count = 1;
    config.ffmpeg.path = "ffmpeg";
    config.ffmpeg.input_options = (struct config_list){options, ARRAY_LENGTH(options)};
    config.streams = streams;
    config.stream_count = ARRAY_LENGTH(streams);
    return reload_hand_over(&config);
}

static json_t *sound_queue(void)
{
    static char *argv[] = {"/bin/true", "x", NULL};
    struct hook_job command = {.kind = HOOK_STREAM_DOWN,
        .camera = "door",
        .stream = "main",
        .argv = argv,
        .body = "{}",
        .timeout_us = 1};
    struct hook_job webhook = command;
    webhook.kind = HOOK_SEGMENT;
    webhook.argv = NULL;
    webhook.url = "http://h/";
    const struct hookqueue queue = {
        .streams = {&command, &command, 1}, .segments = {&webhook, &webhook, 1}};
    return hookqueue_hand_over(&queue);
}

static json_t *sound_state(void)
{
    struct disabled disabled = {0};
    struct loopmeter meter = {0};
    disabled_set(&disabled, "door", "main", true);
    loopmeter_start(&meter, fuzz.host.loop);
    json_t *state = json_pack("{s:i, s:o, s:o, s:o, s:o, s:o}", "version", HANDOVER_VERSION,
        "stream", sound_stream(), "configuration", sound_configuration(), "disabled",
        disabled_hand_over(&disabled), "loop_delay", loopmeter_hand_over(&meter), "queue",
        sound_queue());
    loopmeter_stop(&meter);
    disabled_fini(&disabled);
    check(state != NULL);
    return state;
}

static void fuzz_begin(void)
{
    fuzz.config = (struct config){.node = "n", .storage = {.cache = "/nowhere"}};
    stream_host_init(&fuzz.host, ev_default_loop(0), &fuzz.config, NULL, NULL);
    fuzz.state = sound_state();
}

// --- The same, spoilt

struct input {
    const uint8_t *data;
    size_t size;
};

static uint64_t take(struct input *input, size_t bytes)
{
    uint64_t value = 0;
    for (; bytes > 0 && input->size > 0; bytes--, input->size--)
        value = value << 8 | *input->data++;
    return value;
}

static json_t *take_text(struct input *input)
{
    size_t length = take(input, 1) % FUZZ_TEXT_MAX;
    length = length < input->size ? length : input->size;
    json_t *text = handover_bytes(input->data, length);
    input->data += length;
    input->size -= length;
    return text;
}

static json_t *take_value(struct input *input)
{
    uint64_t form = take(input, 1);
    switch (form % 9) {
    case 0:
        return json_null();
    case 1:
        return json_boolean(form & 16);
    case 2:
        return json_integer((json_int_t)take(input, 8));
    case 3:
        return json_integer((json_int_t)take(input, 1) - 2);
    case 4:
        return json_real((double)(int64_t)take(input, 8) * 1e300);
    case 5:
        return json_array();
    case 6:
        return json_object();
    case 7:
        return json_pack("{s:o}", "hex", take_text(input));
    default:
        return take_text(input);
    }
}

// The place of the n-th value: its container, and the name or index in it.
struct place {
    json_t *container;
    const char *key;
    size_t index;
};

static bool find(json_t *container, size_t *left, struct place *place)
{
    const char *key;
    json_t *value;
    size_t index;
    json_object_foreach(container, key, value)
    {
        if ((*left)-- == 0) {
            *place = (struct place){.container = container, .key = key};
            return true;
        }
        if (find(value, left, place))
            return true;
    }
    json_array_foreach(container, index, value)
    {
        if ((*left)-- == 0) {
            *place = (struct place){.container = container, .index = index};
            return true;
        }
        if (find(value, left, place))
            return true;
    }
    return false;
}

static json_t *place_get(const struct place *place)
{
    return place->key ? json_object_get(place->container, place->key)
                      : json_array_get(place->container, place->index);
}

static void place_set(const struct place *place, json_t *value)
{
    if (place->key != NULL)
        json_object_set_new(place->container, place->key, value);
    else
        json_array_set_new(place->container, place->index, value);
}

static void place_remove(const struct place *place)
{
    if (place->key != NULL)
        json_object_del(place->container, place->key);
    else
        json_array_remove(place->container, place->index);
}

// Changes one value: another one, one that stands elsewhere, none, one more.
static void spoil(struct input *input, json_t *state)
{
    struct place place, other;
    size_t at = take(input, 2), from;
    uint64_t form = take(input, 1);
    if (!find(state, &at, &place))
        return;
    json_t *value = place_get(&place);
    switch (form % 4) {
    case 0:
        place_set(&place, take_value(input));
        break;
    case 1:
        from = take(input, 2);
        if (find(state, &from, &other))
            place_set(&place, json_deep_copy(place_get(&other)));
        break;
    case 2:
        place_remove(&place);
        break;
    default:
        if (json_is_object(value))
            json_object_set_new(value, form & 16 ? "news" : "pid", take_value(input));
        else if (json_is_array(value))
            json_array_append_new(value, take_value(input));
        break;
    }
}

// --- Taken over

static void timer_forget(json_t *object)
{
    json_object_del(object, "timer"); // runs on
}

// Takes the reference. Returns what was taken, written again; NULL: it was refused.
static json_t *try_stream(json_t *object)
{
    struct handover_reader reader;
    struct handover_writer writer = {0};
    json_t *again = NULL;
    handover_reader_init(&reader, true);
    struct stream *stream = NULL;
    if (json_is_null(json_object_get(object, "child"))) // a process: somebody's, here
        stream = stream_take_over(&reader, object, &fuzz.host, "door", "main");
    if (stream != NULL && reader.cause == NULL)
        check((again = stream_hand_over(&writer, stream)) != NULL);
    handover_writer_fini(&writer);
    handover_reader_fini(&reader);
    json_decref(object);
    // What was not written is not tried again in a place that is not there.
    for (; stream != NULL && stream->run.unnoted_count > 0; stream->run.unnoted_count--)
        runfile_fini(&stream->run.unnoted[stream->run.unnoted_count - 1]);
    stream_free(stream);
    return again;
}

static json_t *try_configuration(json_t *object)
{
    struct handover_reader reader;
    handover_reader_init(&reader, true);
    struct config *config = reload_take_over(&reader, object);
    json_t *again = reader.cause ? NULL : reload_hand_over(config);
    config_free(config);
    handover_reader_fini(&reader);
    json_decref(object);
    return again;
}

static json_t *try_disabled(json_t *list)
{
    struct handover_reader reader;
    struct disabled disabled = {0};
    handover_reader_init(&reader, true);
    disabled_take_over(&reader, list, &disabled);
    json_t *again = reader.cause ? NULL : disabled_hand_over(&disabled);
    disabled_fini(&disabled);
    handover_reader_fini(&reader);
    json_decref(list);
    return again;
}

static json_t *try_loop_delay(json_t *object)
{
    struct handover_reader reader;
    struct loopmeter meter = {0};
    loopmeter_start(&meter, fuzz.host.loop);
    handover_reader_init(&reader, true);
    loopmeter_take_over(&reader, object, &meter);
    json_t *again = reader.cause ? NULL : loopmeter_hand_over(&meter);
    loopmeter_stop(&meter);
    handover_reader_fini(&reader);
    json_decref(object);
    return again;
}

static json_t *try_queue(json_t *object)
{
    struct handover_reader reader;
    struct hookqueue queue = {0};
    handover_reader_init(&reader, true);
    hookqueue_take_over(&reader, object, &queue);
    json_t *again = reader.cause ? NULL : hookqueue_hand_over(&queue);
    hookqueue_fini(&queue);
    handover_reader_fini(&reader);
    json_decref(object);
    return again;
}

static void check_part(json_t *state, const char *key, json_t *(*try)(json_t *object))
{
    json_t *once = try(json_incref(json_object_get(state, key)));
    if (once == NULL)
        return;
    json_t *twice = try(json_deep_copy(once));
    check(twice != NULL);
    timer_forget(once);
    timer_forget(twice);
    check(json_equal(once, twice));
    json_decref(once);
    json_decref(twice);
}

// Takes the reference.
static void check_state(json_t *state)
{
    check_part(state, "stream", try_stream);
    check_part(state, "configuration", try_configuration);
    check_part(state, "disabled", try_disabled);
    check_part(state, "loop_delay", try_loop_delay);
    check_part(state, "queue", try_queue);
    json_decref(state);
}

static void check_text(const uint8_t *data, size_t size)
{
    char *cause = NULL;
    int fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    check(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    check(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) == 0);
    json_t *state = handover_load(fd, &cause);
    close(fd);
    check((state == NULL) == (cause != NULL));
    free(cause);
    if (state != NULL)
        check_state(state);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    if (fuzz.state == NULL)
        fuzz_begin();
    if (size > 0 && *data == '{') {
        check_text(data, size);
        return 0;
    }
    json_t *state = json_deep_copy(fuzz.state);
    for (int i = 0; i < FUZZ_CHANGES_MAX && input.size > 0; i++)
        spoil(&input, state);
    check_state(state);
    return 0;
}
