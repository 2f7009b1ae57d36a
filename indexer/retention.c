// Which segments have to go. See retention.h.
#include "indexer/retention.h"

#include <stdlib.h>

#include "lib/core/alloc.h"
#include "lib/core/timeutil.h"

const char *retention_reason_name(enum retention_reason reason)
{
    static const char *const names[] = {
#define X(name, text) [RETENTION_##name] = (text),
        RETENTION_REASONS(X)
#undef X
    };
    return names[reason];
}

static uint64_t retention_minus(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

uint64_t retention_reserve(const struct config_amount *min_free, uint64_t total)
{
    return min_free->is_percent ? (uint64_t)time_muldiv((int64_t)total, min_free->value, 100)
                                : (uint64_t)min_free->value;
}

// --- Spans ---

static int retention_span_compare(const void *left, const void *right)
{
    const struct retention_span *a = left, *b = right;
    return a->start_us < b->start_us ? -1 : a->start_us > b->start_us;
}

size_t retention_spans_join(struct retention_span *spans, size_t count)
{
    if (count < 2)
        return count;
    qsort(spans, count, sizeof(*spans), retention_span_compare);
    size_t last = 0;
    for (size_t i = 1; i < count; i++) {
        if (spans[i].start_us > spans[last].end_us)
            spans[++last] = spans[i];
        else if (spans[i].end_us > spans[last].end_us)
            spans[last].end_us = spans[i].end_us;
    }
    return last + 1;
}

bool retention_spans_touch(
    const struct retention_span *spans, size_t count, int64_t start_us, int64_t end_us)
{
    // The last span that starts before the end is the only one that can reach into it first.
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (spans[middle].start_us < end_us)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 && spans[low - 1].end_us > start_us;
}

// --- Ages ---

static int64_t retention_sum(int64_t a, int64_t b)
{
    int64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? (b > 0 ? INT64_MAX : INT64_MIN) : sum;
}

int64_t retention_hard_us(const struct retention_stream *stream, int64_t now_us)
{
    return retention_sum(now_us, -stream->events_us);
}

int64_t retention_soft_us(const struct retention_stream *stream, int64_t now_us)
{
    int64_t age_us = stream->events_only ? retention_sum(stream->pre_us, RETENTION_TOLD_US)
                                         : stream->continuous_us;
    return retention_sum(now_us, age_us < stream->events_us ? -age_us : -stream->events_us);
}

struct retention_span retention_event_span(
    const struct retention_stream *stream, int64_t start_us, int64_t end_us)
{
    struct retention_span span = {
        .start_us = retention_sum(start_us, -stream->pre_us),
        .end_us = end_us == 0 ? INT64_MAX : retention_sum(end_us, stream->post_us),
    };
    // An event may be a moment.
    if (span.end_us <= span.start_us)
        span.end_us = retention_sum(span.start_us, 1);
    return span;
}

static bool retention_touched(
    const struct retention_stream *stream, const struct retention_candidate *candidate)
{
    return retention_spans_touch(
        stream->events, stream->event_count, candidate->start_us, candidate->end_us);
}

static enum retention_reason retention_by_age(const struct retention_stream *stream,
    const struct retention_candidate *candidate, int64_t now_us)
{
    bool touched = retention_touched(stream, candidate);
    if (candidate->end_us >=
        (touched ? retention_hard_us(stream, now_us) : retention_soft_us(stream, now_us)))
        return RETENTION_KEEP;
    return touched               ? RETENTION_EVENTS
           : stream->events_only ? RETENTION_NO_EVENT
                                 : RETENTION_CONTINUOUS;
}

// Whether somebody counts on the segment: only what no event touches in `mode: events` was never
// promised. What is past its age has gone before this is asked.
static bool retention_promised(
    const struct retention_stream *stream, const struct retention_candidate *candidate)
{
    return !stream->events_only || retention_touched(stream, candidate);
}

// --- The plan ---

static void retention_ages(
    const struct retention_input *input, struct retention_candidate *candidates, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct retention_candidate *candidate = &candidates[i];
        const struct retention_stream *stream = &input->streams[candidate->stream];
        candidate->early = false;
        candidate->locked = retention_spans_touch(
            stream->locks, stream->lock_count, candidate->start_us, candidate->end_us);
        candidate->reason =
            candidate->locked ? RETENTION_KEEP : retention_by_age(stream, candidate, input->now_us);
    }
}

static bool retention_may_go(const struct retention_candidate *candidate)
{
    return candidate->reason == RETENTION_KEEP && !candidate->locked;
}

static void retention_quotas(const struct retention_input *input, size_t stream_count,
    struct retention_candidate *candidates, size_t count)
{
    uint64_t *over = xcalloc(stream_count, sizeof(*over));
    for (size_t i = 0; i < stream_count; i++) {
        const struct retention_stream *stream = &input->streams[i];
        over[i] = stream->max_bytes ? retention_minus(stream->bytes, stream->max_bytes) : 0;
    }
    for (size_t i = 0; i < count; i++) {
        if (candidates[i].reason != RETENTION_KEEP)
            over[candidates[i].stream] =
                retention_minus(over[candidates[i].stream], candidates[i].bytes);
    }
    for (size_t i = 0; i < count; i++) {
        struct retention_candidate *candidate = &candidates[i];
        if (over[candidate->stream] == 0 || !retention_may_go(candidate))
            continue;
        over[candidate->stream] = retention_minus(over[candidate->stream], candidate->bytes);
        candidate->reason = RETENTION_MAX_BYTES;
        candidate->early = retention_promised(&input->streams[candidate->stream], candidate);
    }
    free(over);
}

// What goes anyway counts towards the needs.
static void retention_count_down(struct retention_volume *volumes, size_t volume_count,
    const struct retention_candidate *candidates, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (candidates[i].reason == RETENTION_KEEP || candidates[i].volume >= volume_count)
            continue;
        struct retention_need *need = &volumes[candidates[i].volume].need;
        need->bytes = retention_minus(need->bytes, candidates[i].bytes);
        need->files = retention_minus(need->files, 1);
    }
}

static void retention_volumes(
    const struct retention_input *input, struct retention_candidate *candidates, size_t count)
{
    struct retention_volume *volumes = xcalloc(input->volume_count, sizeof(*volumes));
    for (size_t i = 0; i < input->volume_count; i++)
        volumes[i] = input->volumes[i];
    retention_count_down(volumes, input->volume_count, candidates, count);
    for (size_t i = 0; i < count; i++) {
        struct retention_candidate *candidate = &candidates[i];
        if (candidate->volume >= input->volume_count || !retention_may_go(candidate))
            continue;
        struct retention_volume *volume = &volumes[candidate->volume];
        if ((volume->need.bytes == 0 && volume->need.files == 0) || volume->allowance == 0 ||
            candidate->start_us > volume->reach_us)
            continue;
        volume->need.bytes = retention_minus(volume->need.bytes, candidate->bytes);
        volume->need.files = retention_minus(volume->need.files, 1);
        volume->allowance--;
        candidate->reason = RETENTION_MIN_FREE;
        candidate->early = retention_promised(&input->streams[candidate->stream], candidate);
    }
    free(volumes);
}

size_t retention_plan(
    const struct retention_input *input, struct retention_candidate *candidates, size_t count)
{
    size_t stream_count = 0, chosen = 0;
    for (size_t i = 0; i < count; i++) {
        if (candidates[i].stream >= stream_count)
            stream_count = candidates[i].stream + 1;
    }
    retention_ages(input, candidates, count);
    retention_quotas(input, stream_count, candidates, count);
    retention_volumes(input, candidates, count);
    for (size_t i = 0; i < count; i++)
        chosen += candidates[i].reason != RETENTION_KEEP;
    return chosen;
}
