// Which hook runs next. See hookqueue.h.
#include "supervisor/hookqueue.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

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

struct hook_job *hookqueue_take(struct hookqueue *queue)
{
    if (queue->running >= HOOKQUEUE_RUNNING_MAX)
        return NULL;
    struct hook_job *job = hookqueue_shift(&queue->streams);
    if (job == NULL && queue->segments_running < HOOKQUEUE_SEGMENTS_RUNNING_MAX)
        job = hookqueue_shift(&queue->segments);
    if (job == NULL)
        return NULL;
    queue->running++;
    queue->segments_running += job->kind == HOOK_SEGMENT;
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
