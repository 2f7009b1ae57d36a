// Why nothing comes from a stream that is watched. See live_silence.h.
#include "webui/live_silence.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "webui/io.h"
#include "webui/live.h"
#include "webui/peers.h"
#include "webui/worker.h"

struct live_silence {
    struct io_job job;
    struct live *live;
    struct io *io;
    atomic_bool is_asked; // the job is under way
};

// Whether a stream is not to be recorded: it is off, or no longer configured.
static bool live_silence_is_off(void *arg, const char *camera, const char *stream)
{
    struct worker *worker = arg;
    if (conf_find(worker->conf, camera, stream) == NULL)
        return true;
    return strcmp(peers_stream_state(worker->peers, worker->conf, camera, stream), "off") == 0;
}

static void live_silence_run(struct io_job *job, void *context)
{
    struct live_silence *silence = (struct live_silence *)job;
    live_ask_silent(silence->live, live_silence_is_off, context);
}

static void live_silence_done(struct io_job *job, bool expired)
{
    (void)expired;
    atomic_store(&((struct live_silence *)job)->is_asked, false);
}

struct live_silence *live_silence_new(struct live *live, struct io *io)
{
    struct live_silence *silence = xcalloc(1, sizeof(*silence));
    silence->job.run = live_silence_run;
    silence->job.done = live_silence_done;
    silence->live = live;
    silence->io = io;
    return silence;
}

void live_silence_tick(struct live_silence *silence)
{
    if (!live_has_silent(silence->live) || atomic_exchange(&silence->is_asked, true))
        return;
    io_submit(silence->io, &silence->job);
}

void live_silence_free(struct live_silence *silence)
{
    free(silence);
}
