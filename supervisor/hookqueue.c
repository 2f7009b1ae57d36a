// Which hook runs next. See hookqueue.h.
#include "supervisor/hookqueue.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"

const char *hook_kind_name(enum hook_kind kind)
{
    static const char *const names[] = {
#define X(constant, name, key) [constant] = (name),
        HOOK_KIND_MAP(X)
#undef X
    };
    return names[kind];
}

const char *hook_kind_key(enum hook_kind kind)
{
    static const char *const keys[] = {
#define X(constant, name, key) [constant] = (key),
        HOOK_KIND_MAP(X)
#undef X
    };
    return keys[kind];
}

void hook_job_free(struct hook_job *job)
{
    if (job == NULL)
        return;
    for (char **word = job->argv; word && *word; word++)
        free(*word);
    free(job->argv);
    if (job->url != NULL)
        explicit_bzero(job->url, strlen(job->url));
    free(job->url);
    free(job->body);
    free(job->camera);
    free(job->stream);
    free(job);
}

bool hookqueue_put(struct hookqueue *queue, struct hook_job *job)
{
    bool is_segment = job->kind == HOOK_SEGMENT;
    struct hookqueue_line *line = is_segment ? &queue->segments : &queue->streams;
    size_t most = is_segment ? HOOKQUEUE_SEGMENTS_WAITING_MAX : HOOKQUEUE_STREAMS_WAITING_MAX;
    if (line->count >= most) {
        queue->dropped[job->kind]++;
        hook_job_free(job);
        return false;
    }
    job->next = NULL;
    if (line->last != NULL)
        line->last->next = job;
    else
        line->first = job;
    line->last = job;
    line->count++;
    return true;
}

static struct hook_job *hookqueue_shift(struct hookqueue_line *line)
{
    struct hook_job *job = line->first;
    if (job == NULL)
        return NULL;
    line->first = job->next;
    if (line->first == NULL)
        line->last = NULL;
    line->count--;
    return job;
}

void hookqueue_began(struct hookqueue *queue, enum hook_kind kind)
{
    queue->running++;
    queue->segments_running += kind == HOOK_SEGMENT;
}

struct hook_job *hookqueue_take(struct hookqueue *queue)
{
    if (queue->running >= HOOKQUEUE_RUNNING_MAX)
        return NULL;
    struct hook_job *job = hookqueue_shift(&queue->streams);
    if (job == NULL && queue->segments_running < HOOKQUEUE_SEGMENTS_RUNNING_MAX)
        job = hookqueue_shift(&queue->segments);
    if (job == NULL)
        return NULL;
    hookqueue_began(queue, job->kind);
    return job;
}

void hookqueue_ended(struct hookqueue *queue, enum hook_kind kind)
{
    assert(queue->running > 0);
    queue->running--;
    queue->segments_running -= kind == HOOK_SEGMENT;
}

size_t hookqueue_waiting(const struct hookqueue *queue)
{
    return queue->streams.count + queue->segments.count;
}

void hookqueue_fini(struct hookqueue *queue)
{
    struct hook_job *job;
    while ((job = hookqueue_shift(&queue->streams)) != NULL ||
           (job = hookqueue_shift(&queue->segments)) != NULL)
        hook_job_free(job);
}

// --- Over an exec of ours

static const char *const hookqueue_kind_names[HOOK_KIND_COUNT] = {
#define X(constant, name, key) [constant] = (name),
    HOOK_KIND_MAP(X)
#undef X
};
static const struct handover_names hookqueue_kinds = {hookqueue_kind_names, HOOK_KIND_COUNT};

static const struct handover_field hookqueue_job_fields[] = {
    HANDOVER_NAMED(struct hook_job, kind, &hookqueue_kinds),
    HANDOVER_VALUE(struct hook_job, camera),
    HANDOVER_VALUE(struct hook_job, stream),
    HANDOVER_SKIP(struct hook_job, argv), // see below
    HANDOVER_VALUE(struct hook_job, url),
    HANDOVER_VALUE(struct hook_job, body),
    HANDOVER_VALUE(struct hook_job, timeout_us),
    HANDOVER_SKIP(struct hook_job, next),
};
static const struct handover_table hookqueue_job_table =
    HANDOVER_TABLE(struct hook_job, hookqueue_job_fields);

json_t *hook_job_hand_over(const struct hook_job *job)
{
    json_t *words = job->argv ? json_array() : json_null();
    for (char **word = job->argv; word && *word; word++)
        json_array_append_new(words, handover_text(*word));
    return json_pack(
        "{s:o, s:o}", "fields", handover_write(&hookqueue_job_table, job), "argv", words);
}

struct hook_job *hook_job_take_over(struct handover_reader *reader, json_t *object)
{
    struct hook_job *job = xcalloc(1, sizeof(*job));
    handover_read(
        reader, handover_take(reader, object, "fields", JSON_OBJECT), &hookqueue_job_table, job);
    json_t *words = handover_take_or_null(reader, object, "argv", JSON_ARRAY);
    size_t count = json_array_size(words);
    if (words != NULL)
        job->argv = xcalloc(count + 1, sizeof(*job->argv));
    for (size_t i = 0; i < count; i++) {
        json_t *word = json_pack("{s:O}", "word", json_array_get(words, i));
        job->argv[i] = handover_take_name(reader, word, "word");
        json_decref(word);
    }
    handover_end(reader, object);
    bool is_whole = job->camera && job->stream && job->body && (count > 0 || job->url);
    if (!is_whole || job->timeout_us <= 0)
        handover_fail(reader, "the state has a hook of which something is missing");
    return job;
}

static json_t *hookqueue_line_hand_over(const struct hookqueue_line *line)
{
    json_t *list = json_array();
    for (const struct hook_job *job = line->first; job != NULL; job = job->next)
        json_array_append_new(list, hook_job_hand_over(job));
    return list;
}

json_t *hookqueue_hand_over(const struct hookqueue *queue)
{
    json_t *dropped = json_object();
    for (int kind = 0; kind < HOOK_KIND_COUNT; kind++)
        json_object_set_new(
            dropped, hook_kind_name(kind), json_integer((json_int_t)queue->dropped[kind]));
    return json_pack("{s:o, s:o, s:o}", "streams", hookqueue_line_hand_over(&queue->streams),
        "segments", hookqueue_line_hand_over(&queue->segments), "dropped", dropped);
}

static void hookqueue_line_take_over(
    struct handover_reader *reader, json_t *list, struct hookqueue *queue)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        hookqueue_put(queue, hook_job_take_over(reader, json_array_get(list, i)));
}

void hookqueue_take_over(struct handover_reader *reader, json_t *object, struct hookqueue *queue)
{
    json_t *dropped = handover_take(reader, object, "dropped", JSON_OBJECT);
    for (int kind = 0; kind < HOOK_KIND_COUNT; kind++)
        queue->dropped[kind] =
            (uint64_t)handover_take_int(reader, dropped, hook_kind_name(kind), 0, INT64_MAX);
    handover_end(reader, dropped);
    hookqueue_line_take_over(reader, handover_take(reader, object, "streams", JSON_ARRAY), queue);
    hookqueue_line_take_over(reader, handover_take(reader, object, "segments", JSON_ARRAY), queue);
    handover_end(reader, object);
}
