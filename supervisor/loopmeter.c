// How long the event loop's turns take. See loopmeter.h.
#include "supervisor/loopmeter.h"

#include "lib/core/alloc.h"
#include "lib/core/timeutil.h"

static const double loopmeter_bounds[] = {
    0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};

// The first to be called after the wait for events.
static void loopmeter_check_cb(struct ev_loop *loop, ev_check *check, int events)
{
    struct loopmeter *meter = check->data;
    (void)loop;
    (void)events;
    meter->awake_us = time_monotonic_us();
}

// The last to be called before the next wait.
static void loopmeter_prepare_cb(struct ev_loop *loop, ev_prepare *prepare, int events)
{
    struct loopmeter *meter = prepare->data;
    (void)loop;
    (void)events;
    if (meter->awake_us != 0)
        histogram_add(
            &meter->delay, (double)(time_monotonic_us() - meter->awake_us) / US_PER_SECOND);
}

void loopmeter_start(struct loopmeter *meter, struct ev_loop *loop)
{
    *meter = (struct loopmeter){.loop = loop};
    histogram_init(&meter->delay, loopmeter_bounds, ARRAY_LENGTH(loopmeter_bounds));
    ev_check_init(&meter->check, loopmeter_check_cb);
    ev_prepare_init(&meter->prepare, loopmeter_prepare_cb);
    ev_set_priority(&meter->check, EV_MAXPRI);
    ev_set_priority(&meter->prepare, EV_MINPRI);
    meter->check.data = meter->prepare.data = meter;
    ev_check_start(loop, &meter->check);
    ev_prepare_start(loop, &meter->prepare);
    ev_unref(loop);
    ev_unref(loop);
}

void loopmeter_stop(struct loopmeter *meter)
{
    if (meter->loop == NULL)
        return;
    ev_ref(meter->loop);
    ev_ref(meter->loop);
    ev_check_stop(meter->loop, &meter->check);
    ev_prepare_stop(meter->loop, &meter->prepare);
    meter->loop = NULL;
}

static const struct handover_field loopmeter_fields[] = {
    HANDOVER_SKIP(struct histogram, bounds),
    HANDOVER_SKIP(struct histogram, bound_count),
    HANDOVER_NUMBERS(struct histogram, counts),
    HANDOVER_VALUE(struct histogram, count),
    HANDOVER_VALUE(struct histogram, sum),
    HANDOVER_VALUE(struct histogram, max),
};
static const struct handover_table loopmeter_table =
    HANDOVER_TABLE(struct histogram, loopmeter_fields);

static json_t *loopmeter_bounds_json(void)
{
    json_t *list = json_array();
    for (size_t i = 0; i < ARRAY_LENGTH(loopmeter_bounds); i++)
        json_array_append_new(list, json_real(loopmeter_bounds[i]));
    return list;
}

json_t *loopmeter_hand_over(const struct loopmeter *meter)
{
    return json_pack("{s:o, s:o}", "bounds", loopmeter_bounds_json(), "delay",
        handover_write(&loopmeter_table, &meter->delay));
}

void loopmeter_take_over(struct handover_reader *reader, json_t *object, struct loopmeter *meter)
{
    struct histogram delay = meter->delay;
    json_t *bounds = loopmeter_bounds_json();
    handover_read(
        reader, handover_take(reader, object, "delay", JSON_OBJECT), &loopmeter_table, &delay);
    if (json_equal(handover_take(reader, object, "bounds", JSON_ARRAY), bounds))
        meter->delay = delay;
    json_decref(bounds);
    handover_end(reader, object);
}
