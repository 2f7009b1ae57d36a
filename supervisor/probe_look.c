// A short look at a stream. See probe_look.h.
#include "supervisor/probe_look.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ev.h>

#include "lib/core/alloc.h"
#include "lib/core/timeutil.h"
#include "supervisor/child.h"
#include "supervisor/clue.h"
#include "supervisor/ffmpeg.h"
#include "supervisor/mask.h"
#include "supervisor/probe_clock.h"

enum {
    PROBE_LOOK_OOM_SCORE = 300, // as a recorder
};

#define PROBE_LOOK_US (5 * US_PER_SECOND)
#define PROBE_LOOK_KEYS_US (12 * US_PER_SECOND) // until two key frames were seen
#define PROBE_LOOK_END_US US_PER_SECOND         // from SIGTERM to SIGKILL

#define PROBE_LOOK_SIZE_MAX "134217728" // bytes of the MP4, which lives in memory

struct look {
    struct ev_loop *loop;
    struct child *child;
    struct mask *mask;
    struct probe_look *found;
    ev_timer tick;
    int64_t patience_us; // until the first frame
    int64_t deadline_us;
    int64_t first_us; // monotonic, of the first frame; 0 before
    int64_t end_us;   // monotonic, when it was told to end; 0 before
    struct clue clue;
    char *words; // its first error, masked
};

char **probe_look_args(const struct probe_target *target, const char *clock_path)
{
    // Every frame is a fragment with its own `prft`, so that they can be counted alike in both. The
    // first one has no presentation time, which would spoil all that follow.
    static const char *const common[] = {"-nostdin", "-hide_banner", "-nostats", "-loglevel",
        "level+info", "-f", "concat", "-safe", "0", "-protocol_whitelist", "", "-i", "pipe:3",
        "-map", "0:v:0", "-map", "0:a:0?", "-c", "copy", "-max_interleave_delta", "500000",
        "-flush_packets", "1", "-f", "framecrc", "pipe:4"};
    static const char *const clock[] = {"-map", "0:v:0", "-c", "copy", "-bsf:v", "setts=pts=DTS",
        "-fs", PROBE_LOOK_SIZE_MAX, "-f", "mp4", "-movflags",
        "+frag_every_frame+empty_moov+skip_trailer", "-write_prft", "wallclock", "-flush_packets",
        "1", "-video_track_timescale", "90000", "-y"};
    bool is_tls = strncmp(target->stream.url, "rtsps:", 6) == 0;
    char **args = xcalloc(ARRAY_LENGTH(common) + ARRAY_LENGTH(clock) + 3, sizeof(char *));
    size_t count = 0;
    args[count++] = xstrdup(target->config.ffmpeg.path);
    for (size_t i = 0; i < ARRAY_LENGTH(common); i++)
        args[count++] = xstrdup(*common[i] ? common[i]
                                : is_tls   ? "pipe,rtsp,rtp,udp,tcp,tls"
                                           : "pipe,rtsp,rtp,udp,tcp");
    for (size_t i = 0; clock_path != NULL && i < ARRAY_LENGTH(clock); i++)
        args[count++] = xstrdup(clock[i]);
    if (clock_path != NULL)
        args[count++] = xstrdup(clock_path);
    return args;
}

char *probe_look_script(const struct probe_target *target, enum probe_transport transport)
{
    // The sound is looked at even where it is not recorded.
    const struct ffmpeg_way way = {
        .audio = FFMPEG_AUDIO_COPY, .is_udp = transport == PROBE_TRANSPORT_UDP};
    return ffmpeg_script(&target->config, &target->stream, &way);
}

static void look_end(struct look *look, int64_t now_us)
{
    if (look->end_us == 0) {
        look->end_us = now_us;
        child_signal(look->child, SIGTERM);
    } else if (now_us - look->end_us >= PROBE_LOOK_END_US) {
        child_signal(look->child, SIGKILL);
    }
}

// Whether enough was seen.
static bool look_is_over(const struct look *look, int64_t now_us)
{
    if (now_us >= look->deadline_us)
        return true;
    if (look->first_us == 0)
        return now_us >= look->patience_us;
    int64_t seen_us = now_us - look->first_us;
    uint64_t keys = look->found->stats.tracks[0].keys;
    return seen_us >= PROBE_LOOK_KEYS_US || (seen_us >= PROBE_LOOK_US && keys > 1);
}

static void look_tick_cb(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct look *look = timer->data;
    int64_t now_us = time_monotonic_us();
    (void)loop;
    (void)events;
    if (look->end_us != 0 || look_is_over(look, now_us))
        look_end(look, now_us);
}

static void look_frame_cb(void *arg, const char *line)
{
    struct look *look = arg;
    probe_stats_line(&look->found->stats, line, time_now_us());
    if (look->first_us == 0 && look->found->stats.tracks[0].frames > 0)
        look->first_us = time_monotonic_us();
}

static void look_error_cb(void *arg, const char *line)
{
    struct look *look = arg;
    probe_stats_describe(&look->found->stats, line);
    if (look->end_us != 0)
        return; // the complaints of one who is told to end
    char *masked = mask_text(line, look->mask);
    clue_take(&look->clue, masked, time_monotonic_us());
    if (look->words == NULL && strstr(line, "[error]") != NULL)
        look->words = xstrdup(masked);
    free(masked);
}

static void look_end_cb(void *arg, int status)
{
    struct look *look = arg;
    (void)status;
    look->child = NULL;
    ev_break(look->loop, EVBREAK_ALL);
}

// A file in memory, named so that ffmpeg can open it. Returns -1 where that is not possible.
static int look_open_clock(char **path)
{
    // Another process may only look into one that is dumpable.
    int fd = prctl(PR_GET_DUMPABLE) == 1 ? memfd_create("clock", MFD_CLOEXEC) : -1;
    *path = fd >= 0 ? xasprintf("/proc/%d/fd/%d", (int)getpid(), fd) : NULL;
    return fd;
}

static void look_read_clock(struct probe_look *found, int fd)
{
    struct stat info;
    if (fd < 0 || fstat(fd, &info) < 0 || info.st_size <= 0)
        return;
    size_t size = (size_t)info.st_size;
    void *data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED)
        return;
    found->has_skew = probe_clock_skew(data, size, &found->stats, &found->skew_us);
    munmap(data, size);
}

static void look_watch(struct look *look, char *const *args, const char *script)
{
    char *cause = NULL;
    const struct child_spec spec = {
        .argv = args,
        .death_signal = SIGKILL,
        .oom_score = PROBE_LOOK_OOM_SCORE,
        .input = script,
        .progress = look_frame_cb,
        .error = look_error_cb,
        .end = look_end_cb,
        .arg = look,
    };
    look->child = child_start(look->loop, &spec, &cause);
    if (look->child == NULL) {
        look->found->reason = reason_name(REASON_START_FAILED);
        look->found->words = cause;
        return;
    }
    ev_timer_init(&look->tick, look_tick_cb, .1, .1);
    look->tick.data = look;
    ev_timer_start(look->loop, &look->tick);
    ev_run(look->loop, 0);
    ev_timer_stop(look->loop, &look->tick);
}

// The line without who says it and how loud: "[rtsp @ 0x55] [error] …".
static const char *look_bare(const char *line)
{
    for (const char *end; *line == '[' && (end = strstr(line, "] ")) != NULL;)
        line = end + 2;
    return line;
}

// Why no frame came.
static void look_explain(struct look *look)
{
    enum reason reason = look->clue.reason;
    if (reason == REASON_NONE)
        reason = look->end_us != 0 ? REASON_NO_FRAMES
                 : look->words     ? REASON_UNKNOWN
                                   : REASON_CLOSED;
    const char *words = look->clue.words ? look->clue.words : look->words;
    look->found->reason = reason_name(reason);
    look->found->words = words ? xstrdup(look_bare(words)) : NULL;
}

struct probe_look *probe_look_run(const struct probe_target *target, enum probe_transport transport,
    int64_t patience_us, int64_t deadline_us)
{
    struct probe_look *found = xcalloc(1, sizeof(*found));
    struct look look = {
        .loop = ev_default_loop(EVFLAG_AUTO),
        .mask = mask_new(target->stream.url, target->stream.password),
        .found = found,
        .patience_us = patience_us,
        .deadline_us = deadline_us,
    };
    char *clock_path;
    int clock_fd = look_open_clock(&clock_path);
    char **args = probe_look_args(target, clock_path);
    char *script = probe_look_script(target, transport);
    look_watch(&look, args, script);
    look_read_clock(found, clock_fd);
    if (look.first_us == 0 && found->reason == NULL)
        look_explain(&look);
    clue_fini(&look.clue);
    free(look.words);
    free(script);
    ffmpeg_args_free(args);
    free(clock_path);
    if (clock_fd >= 0)
        close(clock_fd);
    mask_free(look.mask);
    return found;
}

void probe_look_free(struct probe_look *look)
{
    if (look == NULL)
        return;
    free(look->words);
    free(look);
}
