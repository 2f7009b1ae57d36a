// Serves tracks from memory: an appsrc for each, fed one access unit whenever the one before has
// gone, with timestamps that are counted and never come from the content. The server's sinks pace
// them in real time.
//
// Timestamps grow for ever, over each wrap of the loop, without a hole or an overlap. The one
// exception is a camera that was stopped (SIGSTOP) for longer than LATE_MAX: then it goes on with
// the newest group of pictures, its timestamps moved by the time that it slept, as a camera's whose
// network hung.
#include "tests/tools/testcam.h"

#include <string.h>

#include <gst/app/gstappsrc.h>

#define LATE_MAX GST_SECOND

// The server's media, but for its sender reports, which say when a frame was captured: by default
// they say when it passed on its way to the sink, which differs for each track and frame.
struct _TestcamMedia {
    GstRTSPMedia parent;
};

G_DECLARE_FINAL_TYPE(TestcamMedia, testcam_media, TESTCAM, MEDIA, GstRTSPMedia)
G_DEFINE_FINAL_TYPE(TestcamMedia, testcam_media, GST_TYPE_RTSP_MEDIA)

struct feed {
    const struct track *track;
    GstElement *src; // not owned; the feed dies with it
    struct session *session;
    uint64_t next; // number of the next unit, counted since time 0 of the session's axis
    bool started;
    bool is_mute;    // gives the first unit only, so that the media can be described
    int64_t late_ns; // begins so long after the session
};

// What one client is served.
struct session {
    GMutex lock; // the feeds of the two tracks start in threads of their own
    bool started;
    int64_t origin_ns; // running time of unit 0
    int64_t start_ns;  // where the tracks begin, from unit 0
    enum clock_mode clock;
    bool is_joined;     // begins in the middle of a group
    GstClockTime delay; // from the capture of a frame until its turn to be decoded
    struct feed video, audio;
};

static GstClockTime unit_time(const struct track *t, uint64_t n)
{
    return gst_util_uint64_scale(n, GST_SECOND * t->unit_num, t->unit_den);
}

// The first unit that begins at or after `time_ns` on the session's axis.
static uint64_t unit_after(const struct track *t, int64_t time_ns)
{
    if (time_ns <= 0)
        return 0;
    return gst_util_uint64_scale_ceil((uint64_t)time_ns, t->unit_den, GST_SECOND * t->unit_num);
}

// Sets the axis by the first feed that comes. Both tracks begin at the same instant (but for one
// that is told to be late), or ffmpeg would learn their true distance from the first sender report
// only, and move one of them then.
static void session_start(struct session *s, int64_t now_ns)
{
    const struct track *t = s->video.track ? s->video.track : s->audio.track;
    uint64_t first;

    g_mutex_lock(&s->lock);
    if (!s->started) {
        s->started = true;
        if (s->clock == CLOCK_WALL) {
            s->origin_ns = now_ns - g_get_real_time() * 1000;
            first = unit_after(t, now_ns + (int64_t)s->delay - s->origin_ns);
            first = (first + t->sync_every - 1) / t->sync_every * t->sync_every;
            s->start_ns = (int64_t)unit_time(t, first);
        } else {
            s->start_ns = s->is_joined ? (int64_t)unit_time(t, (uint64_t)t->sync_every / 2) : 0;
            s->origin_ns = now_ns + (int64_t)s->delay - s->start_ns;
        }
    }
    g_mutex_unlock(&s->lock);
}

// Chooses the first unit, and the one to go on with after a stop.
static void feed_follow(struct feed *f, int64_t now_ns)
{
    const struct track *t = f->track;
    int64_t now = now_ns - f->session->origin_ns;
    uint64_t sync;

    if (!f->started) {
        f->started = true;
        f->next = unit_after(t, f->session->start_ns + f->late_ns);
    } else if ((int64_t)unit_time(t, f->next) + (int64_t)LATE_MAX < now) {
        sync = unit_after(t, now) / t->sync_every * t->sync_every;
        f->next = MAX(f->next, sync);
    }
}

static void need_data_cb(GstAppSrc *src, guint length, gpointer arg)
{
    struct feed *f = arg;
    const struct track *t = f->track;
    int64_t now_ns = (int64_t)gst_element_get_current_running_time(GST_ELEMENT(src));
    uint64_t loop, index;
    GstBuffer *unit;
    int64_t dts;

    (void)length;
    if (f->is_mute && f->started)
        return;
    session_start(f->session, now_ns);
    feed_follow(f, now_ns);
    loop = f->next / t->units->len;
    index = f->next % t->units->len;
    unit = gst_buffer_copy(g_ptr_array_index(t->units, index));
    dts = f->session->origin_ns + (int64_t)unit_time(t, f->next) - (int64_t)unit_time(t, t->delay);
    GST_BUFFER_PTS(unit) =
        f->session->origin_ns + unit_time(t, loop * t->units->len + t->order[index]);
    GST_BUFFER_DTS(unit) = MAX(dts, 0);
    GST_BUFFER_DURATION(unit) = unit_time(t, 1);
    f->next++;
    gst_app_src_push_buffer(src, unit);
}

static void feed_connect(struct feed *f, struct session *s, GstElement *bin, const char *name)
{
    static GstAppSrcCallbacks callbacks = {.need_data = need_data_cb};
    GstElement *src = gst_bin_get_by_name(GST_BIN(bin), name);

    f->session = s;
    g_object_set(src, "caps", f->track->caps, "format", GST_FORMAT_TIME, "is-live", TRUE, NULL);
    gst_app_src_set_callbacks(GST_APP_SRC(src), &callbacks, f, NULL);
    gst_object_unref(src);
}

static void session_free_cb(gpointer arg)
{
    struct session *s = arg;

    g_mutex_clear(&s->lock);
    g_free(s);
}

static void media_prepared_cb(GstRTSPMedia *media, gpointer arg)
{
    GstClockTime interval = GPOINTER_TO_UINT(arg) * GST_MSECOND;

    for (guint i = 0; i < gst_rtsp_media_n_streams(media); i++) {
        GObject *rtp = gst_rtsp_stream_get_rtpsession(gst_rtsp_media_get_stream(media, i));

        g_object_set(rtp, "rtcp-min-interval", (guint64)interval, NULL);
        g_object_unref(rtp);
    }
}

static gboolean setup_rtpbin(GstRTSPMedia *media, GstElement *rtpbin)
{
    (void)media;
    g_object_set(rtpbin, "rtcp-sync-send-time", FALSE, NULL);
    return TRUE;
}

static void testcam_media_class_init(TestcamMediaClass *class)
{
    GST_RTSP_MEDIA_CLASS(class)->setup_rtpbin = setup_rtpbin;
}

static void testcam_media_init(TestcamMedia *media)
{
    (void)media;
}

// What a factory needs to configure each of its medias.
struct source {
    enum clock_mode clock;
    bool is_joined, is_mute;
    int rtcp_ms, audio_late_ms;
    const struct track *video, *audio;
    struct fault *fault;
};

static void media_configure_cb(GstRTSPMediaFactory *factory, GstRTSPMedia *media, gpointer arg)
{
    const struct source *source = arg;
    struct session *s = g_new0(struct session, 1);
    GstElement *bin = gst_rtsp_media_get_element(media);

    (void)factory;
    g_mutex_init(&s->lock);
    s->clock = source->clock;
    s->is_joined = source->is_joined;
    s->video.track = source->video;
    s->audio.track = source->audio;
    s->audio.is_mute = source->is_mute;
    s->audio.late_ns = source->audio_late_ms * (int64_t)GST_MSECOND;
    if (source->video) {
        s->delay = unit_time(source->video, source->video->delay);
        feed_connect(&s->video, s, bin, "video");
    }
    if (source->audio)
        feed_connect(&s->audio, s, bin, "audio");
    g_object_set_data_full(G_OBJECT(bin), "session", s, session_free_cb);
    gst_object_unref(bin);
    fault_attach(source->fault, media);
    if (source->rtcp_ms > 0)
        g_signal_connect(
            media, "prepared", G_CALLBACK(media_prepared_cb), GUINT_TO_POINTER(source->rtcp_ms));
}

static void source_free_cb(gpointer source, GClosure *closure)
{
    (void)closure;
    g_free(source);
}

static char *launch_text(const struct mount *m)
{
    static const char *const video[] = {[VIDEO_H264] = "rtph264pay config-interval=-1",
        [VIDEO_H265] = "rtph265pay config-interval=-1",
        [VIDEO_VP8] = "rtpvp8pay",
        [VIDEO_NONE] = NULL};
    static const char *const audio[] = {[AUDIO_NONE] = NULL,
        [AUDIO_AAC] = "rtpmp4gpay pt=97",
        [AUDIO_ALAW] = "rtppcmapay pt=8",
        [AUDIO_ULAW] = "rtppcmupay pt=0",
        [AUDIO_OPUS] = "rtpopuspay pt=97"};
    const char *eye = video[m->video], *ear = audio[m->audio];
    GString *text = g_string_new("( ");

    if (eye)
        g_string_append_printf(text, "appsrc name=video ! %s pt=96 name=pay0 ", eye);
    if (ear)
        g_string_append_printf(text, "appsrc name=audio ! %s name=pay%d ", ear, eye ? 1 : 0);
    g_string_append(text, ")");
    return g_string_free(text, FALSE);
}

GstRTSPMediaFactory *media_factory_new(
    const struct mount *m, const struct track *video, const struct track *audio)
{
    static const GstRTSPLowerTrans protocols[] = {[TRANSPORT_TCP] = GST_RTSP_LOWER_TRANS_TCP,
        [TRANSPORT_UDP] = GST_RTSP_LOWER_TRANS_UDP,
        [TRANSPORT_BOTH] = GST_RTSP_LOWER_TRANS_TCP | GST_RTSP_LOWER_TRANS_UDP};
    GstRTSPMediaFactory *factory = gst_rtsp_media_factory_new();
    struct source *source = g_new(struct source, 1);
    g_autofree char *launch = launch_text(m);

    *source = (struct source){m->clock, m->join != 0, m->mute != 0, m->rtcp_ms, m->audio_late_ms,
        video, audio, fault_new(m)};
    gst_rtsp_media_factory_set_media_gtype(factory, testcam_media_get_type());
    gst_rtsp_media_factory_set_launch(factory, launch);
    // Shared media would answer 503 to a client that wants audio beside one that does not.
    gst_rtsp_media_factory_set_shared(factory, FALSE);
    gst_rtsp_media_factory_set_protocols(factory, protocols[m->transport]);
    g_signal_connect_data(
        factory, "media-configure", G_CALLBACK(media_configure_cb), source, source_free_cb, 0);
    return factory;
}
