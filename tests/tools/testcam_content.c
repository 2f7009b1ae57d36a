// The content of the loops: made once with ffmpeg, kept in a cache folder under a name that says
// its settings, and loaded as access units in memory.
//
// Several cameras may start at once over the same folder: a lock file for each content lets one
// make it while the others wait, and the finished file is renamed into place.
#include "tests/tools/testcam.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <gio/gio.h>
#include <glib/gstdio.h>
#include <gst/app/gstappsink.h>

// Part of each name: content of another version is made anew.
#define CONTENT_VERSION "v1"

// The audio loop is 8 s, in whole units, so neither its tone nor its beep at each full second
// breaks where it wraps.
#define AUDIO_LOOP_S 8

struct sound {
    const char *name; // of its content
    const char *args; // of the encoder
    int rate;
    int unit;   // samples
    int primes; // units at the beginning that only prime the decoder
};

static const struct sound sound_table[] = {
    [AUDIO_AAC] = {"aac-mono-48k", "-c:a aac -b:a 64k", 48000, 1024, 1},
    [AUDIO_ALAW] = {"alaw-mono-8k", "-af asetnsamples=160 -c:a pcm_alaw", 8000, 160, 0},
    [AUDIO_ULAW] = {"ulaw-mono-8k", "-af asetnsamples=160 -c:a pcm_mulaw", 8000, 160, 0},
    [AUDIO_OPUS] = {"opus-mono-48k", "-c:a libopus -b:a 48k -frame_duration 20", 48000, 960, 1},
};

// A function that gives ffmpeg its standard input. False on failure, which ffmpeg's end explains.
typedef bool (*feed_fn)(GOutputStream *in, const struct mount *m);

static void child_setup_cb(gpointer arg)
{
    (void)arg;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static bool feed_pictures(GOutputStream *in, const struct mount *m)
{
    size_t size = picture_size_bytes(m);
    uint8_t *yuv = g_malloc(size);
    bool fed = true;

    for (int i = 0; fed && i < mount_frames(m); i++) {
        picture_draw(m, i, yuv);
        fed = g_output_stream_write_all(in, yuv, size, NULL, NULL, NULL);
    }
    g_free(yuv);
    return fed;
}

// Runs ffmpeg with `args` and the content made by `feed` (may be NULL) on its standard input.
static bool encode(const GPtrArray *args, const struct mount *m, feed_fn feed, char **cause)
{
    GSubprocessFlags flags = feed ? G_SUBPROCESS_FLAGS_STDIN_PIPE : G_SUBPROCESS_FLAGS_NONE;
    g_autoptr(GSubprocessLauncher) launcher = g_subprocess_launcher_new(flags);
    g_autoptr(GError) error = NULL;
    g_autoptr(GSubprocess) child = NULL;
    bool fed = true;

    g_subprocess_launcher_set_child_setup(launcher, child_setup_cb, NULL, NULL);
    child = g_subprocess_launcher_spawnv(launcher, (const gchar *const *)args->pdata, &error);
    if (child && feed) {
        GOutputStream *in = g_subprocess_get_stdin_pipe(child);

        fed = feed(in, m) & g_output_stream_close(in, NULL, NULL);
    }
    if (child && g_subprocess_wait_check(child, NULL, &error) && fed)
        return true;
    *cause = g_strdup_printf("ffmpeg can not make the content: %s",
        error ? error->message : "it did not take all pictures");
    return false;
}

static void push_words(GPtrArray *args, const char *words)
{
    g_auto(GStrv) split = g_strsplit(words, " ", -1);

    for (char **word = split; *word; word++)
        g_ptr_array_add(args, g_strdup(*word));
}

static void push_format(GPtrArray *args, const char *format, ...) G_GNUC_PRINTF(2, 3);

static void push_format(GPtrArray *args, const char *format, ...)
{
    g_autofree char *words = NULL;
    va_list ap;

    va_start(ap, format);
    words = g_strdup_vprintf(format, ap);
    va_end(ap);
    push_words(args, words);
}

// Closed groups of pictures of one length, each beginning with an IDR picture, and a number of
// B-frames that is no decision of the encoder's.
static GPtrArray *video_args(const struct mount *m)
{
    GPtrArray *args = g_ptr_array_new_with_free_func(g_free);
    int kbps = m->bitrate_kbps, gop = m->gop_frames;

    push_words(
        args, "ffmpeg -nostdin -hide_banner -loglevel error -y -f rawvideo -pix_fmt yuv420p");
    push_format(args, "-video_size %dx%d -framerate %d -i pipe:0", m->width, m->height, m->fps);
    push_format(args, "-b:v %dk -maxrate %dk -bufsize %dk -g %d", kbps, kbps, 2 * kbps, gop);
    push_format(args, "-bf %d -pix_fmt yuv420p -fps_mode passthrough", m->bframes);
    if (m->video == VIDEO_VP8) {
        push_words(args, "-c:v libvpx -deadline realtime -cpu-used 8");
        push_format(args, "-keyint_min %d -auto-alt-ref 0 -error-resilient 0", gop);
    } else if (m->video == VIDEO_H265) {
        push_words(args, "-c:v libx265 -preset veryfast -x265-params");
        push_format(args,
            "log-level=error:keyint=%d:min-keyint=%d:scenecut=0:open-gop=0:bframes=%d:b-adapt=0:"
            "b-pyramid=0:no-info=1",
            gop, gop, m->bframes);
    } else {
        push_words(args, "-c:v libx264 -preset veryfast -x264-params");
        push_format(args,
            "keyint=%d:min-keyint=%d:scenecut=0:open-gop=0:bframes=%d:b-adapt=0:b-pyramid=none",
            gop, gop, m->bframes);
    }
    return args;
}

static GPtrArray *audio_args(const struct sound *sound)
{
    GPtrArray *args = g_ptr_array_new_with_free_func(g_free);

    push_words(args, "ffmpeg -nostdin -hide_banner -loglevel error -y -f lavfi -i");
    push_format(args, "sine=frequency=440:beep_factor=4:sample_rate=%d:duration=9", sound->rate);
    push_words(args, "-ac 1");
    push_words(args, sound->args);
    return args;
}

// Makes the content `path` unless it is there. `args` lacks the output and is released.
static bool make(
    const char *path, GPtrArray *args, const struct mount *m, feed_fn feed, char **cause)
{
    g_autofree char *lock_path = g_strconcat(path, ".lock", NULL);
    g_autofree char *tmp_path = g_strconcat(path, ".tmp", NULL);
    int lock_fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    bool made = false;

    push_words(args, "-f matroska");
    g_ptr_array_add(args, g_strdup(tmp_path));
    g_ptr_array_add(args, NULL);
    if (lock_fd < 0 || flock(lock_fd, LOCK_EX) < 0)
        *cause = g_strdup_printf("%s: %s", lock_path, g_strerror(errno));
    else if (access(path, R_OK) == 0)
        made = true;
    else if (encode(args, m, feed, cause)) {
        made = rename(tmp_path, path) == 0;
        if (!made)
            *cause = g_strdup_printf("%s: %s", path, g_strerror(errno));
    }
    if (lock_fd >= 0)
        close(lock_fd);
    g_ptr_array_unref(args);
    return made;
}

// Reads the only track of a Matroska file into t->caps and t->units.
static bool load(struct track *t, const char *path, char **cause)
{
    GstElement *pipeline =
        gst_parse_launch("filesrc name=in ! matroskademux ! appsink name=out sync=false", NULL);
    g_autoptr(GstElement) in = pipeline ? gst_bin_get_by_name(GST_BIN(pipeline), "in") : NULL;
    g_autoptr(GstElement) out = pipeline ? gst_bin_get_by_name(GST_BIN(pipeline), "out") : NULL;
    GstSample *sample;

    if (!in || !out) {
        *cause = g_strdup("GStreamer lacks filesrc, matroskademux or appsink");
        return false;
    }
    g_object_set(in, "location", path, NULL);
    gst_element_set_state(pipeline, GST_STATE_PLAYING);
    while ((sample = gst_app_sink_pull_sample(GST_APP_SINK(out)))) {
        if (!t->caps)
            t->caps = gst_caps_ref(gst_sample_get_caps(sample));
        g_ptr_array_add(t->units, gst_buffer_copy_deep(gst_sample_get_buffer(sample)));
        gst_sample_unref(sample);
    }
    gst_element_set_state(pipeline, GST_STATE_NULL);
    gst_object_unref(pipeline);
    if (t->units->len == 0)
        *cause = g_strdup_printf("%s: no content; remove the file", path);
    return t->units->len > 0;
}

static GstClockTime unit_pts(const struct track *t, int i)
{
    return GST_BUFFER_PTS((GstBuffer *)g_ptr_array_index(t->units, i));
}

static int by_pts(gconstpointer a, gconstpointer b, gpointer track)
{
    GstClockTime pts_a = unit_pts(track, *(const int *)a), pts_b = unit_pts(track, *(const int *)b);

    return (pts_a > pts_b) - (pts_a < pts_b);
}

// Fills t->order and t->delay from the units' presentation times.
static void find_order(struct track *t)
{
    int count = (int)t->units->len;
    g_autofree int *shown = g_new(int, count);

    t->order = g_new(int, count);
    for (int i = 0; i < count; i++)
        shown[i] = i;
    g_qsort_with_data(shown, count, sizeof(*shown), by_pts, t);
    for (int place = 0; place < count; place++) {
        t->order[shown[place]] = place;
        t->delay = MAX(t->delay, shown[place] - place);
    }
}

static char *cache_path(const char *dir, const char *name)
{
    g_autofree char *file = g_strconcat(name, "-" CONTENT_VERSION ".mkv", NULL);

    return g_build_filename(dir, file, NULL);
}

// The track of the content `path`, which lives as long as the program; a new one has no units yet.
static struct track *track_of(const char *path)
{
    static GHashTable *tracks;
    struct track *t;

    if (!tracks)
        tracks = g_hash_table_new(g_str_hash, g_str_equal);
    t = g_hash_table_lookup(tracks, path);
    if (!t) {
        t = g_new0(struct track, 1);
        t->units = g_ptr_array_new();
        g_hash_table_insert(tracks, g_strdup(path), t);
    }
    return t;
}

static const char *const video_names[] = {
    [VIDEO_H264] = "h264", [VIDEO_H265] = "h265", [VIDEO_VP8] = "vp8"};

const struct track *content_video(const struct mount *m, const char *dir, char **cause)
{
    g_autofree char *name =
        g_strdup_printf("%s-b%d-%dx%d-%dfps-gop%d-%dk-%df", video_names[m->video], m->bframes,
            m->width, m->height, m->fps, m->gop_frames, m->bitrate_kbps, mount_frames(m));
    g_autofree char *path = cache_path(dir, name);
    struct track *t = track_of(path);

    if (t->units->len > 0)
        return t;
    t->sync_every = m->gop_frames;
    t->unit_num = 1;
    t->unit_den = (uint64_t)m->fps;
    if (!make(path, video_args(m), m, feed_pictures, cause) || !load(t, path, cause))
        return NULL;
    if ((int)t->units->len != mount_frames(m)) {
        *cause = g_strdup_printf(
            "%s: %u frames instead of %d; remove the file", path, t->units->len, mount_frames(m));
        return NULL;
    }
    find_order(t);
    return t;
}

const struct track *content_audio(enum audio_codec codec, const char *dir, char **cause)
{
    const struct sound *sound = &sound_table[codec];
    g_autofree char *path = cache_path(dir, sound->name);
    struct track *t = track_of(path);
    guint units = (guint)(AUDIO_LOOP_S * sound->rate / sound->unit);

    if (t->units->len > 0)
        return t;
    t->sync_every = 1;
    t->unit_num = (uint64_t)sound->unit;
    t->unit_den = (uint64_t)sound->rate;
    if (!make(path, audio_args(sound), NULL, NULL, cause) || !load(t, path, cause))
        return NULL;
    if (t->units->len < units + (guint)sound->primes) {
        *cause = g_strdup_printf("%s: too short; remove the file", path);
        return NULL;
    }
    if (sound->primes > 0)
        g_ptr_array_remove_range(t->units, 0, (guint)sound->primes);
    g_ptr_array_set_size(t->units, (int)units);
    find_order(t);
    return t;
}
