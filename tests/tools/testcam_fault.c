// What goes wrong between the camera and its clients, on command or from the beginning. It is done
// to finished RTP and RTCP packets, right before they are sent: the camera proper knows nothing of
// it, as one whose network is bad.
//
// Commands:
//
//   stall MOUNT SECONDS    the network hangs: nothing comes, for that long
//   freeze MOUNT SECONDS   the encoder hangs: no media comes, sender reports do
//   hush MOUNT SECONDS     the microphone hangs: no sound comes, for that long
//   jump MOUNT SECONDS     the camera's clock is set: RTP and NTP times move, by less than zero too
//   close MOUNT            the connections of all its clients are closed
#include "tests/tools/testcam.h"

#include <string.h>

#define RTCP_SR 200
#define RTCP_LAST 207
#define VIDEO_RATE 90000
#define VIDEO_PT 96
#define REPORTER_AHEAD_US (3 * G_USEC_PER_SEC)

struct fault {
    char *path; // with the leading slash
    bool is_mute, is_udp_lost;
    int audio_rate;
    int64_t report_us; // of a session's age
    enum reporter reporter;
    // Read by the threads that send.
    GMutex lock;
    int64_t stalled_until_us, frozen_until_us, hushed_until_us; // monotonic
    int32_t jump_s;
};

// One client's packets on their way.
struct tap {
    struct fault *fault;
    uint32_t video_ssrc; // 0: not seen yet
    int64_t since_us;    // monotonic
};

// What a packet meets at this moment.
struct weather {
    bool is_stalled, is_frozen, is_hushed;
    int32_t jump_s;
};

static GHashTable *fault_table; // by path

static uint32_t packet_u32(const uint8_t *at)
{
    return GST_READ_UINT32_BE(at);
}

static void packet_add(uint8_t *at, uint32_t more)
{
    GST_WRITE_UINT32_BE(at, packet_u32(at) + more);
}

static struct weather fault_weather(struct fault *f)
{
    int64_t now_us = g_get_monotonic_time();
    struct weather w;

    g_mutex_lock(&f->lock);
    w = (struct weather){now_us < f->stalled_until_us, now_us < f->frozen_until_us,
        now_us < f->hushed_until_us, f->jump_s};
    g_mutex_unlock(&f->lock);
    return w;
}

// Whether a sender report is held back: it is too early, or the other track's has to come first.
static bool tap_holds_report(const struct tap *tap, bool is_video)
{
    const struct fault *f = tap->fault;
    int64_t age_us = g_get_monotonic_time() - tap->since_us;
    bool is_first = f->reporter == REPORTER_ANY || is_video == (f->reporter == REPORTER_VIDEO);

    return age_us < f->report_us + (is_first ? 0 : REPORTER_AHEAD_US);
}

// Works on one packet in place. Returns whether it shall be sent.
static bool tap_packet(struct tap *tap, const struct weather *w, uint8_t *packet, size_t size)
{
    bool is_report = size >= 8 && packet[1] >= RTCP_SR && packet[1] <= RTCP_LAST;
    bool is_video;
    uint32_t rate;

    if (size < 12 && !is_report)
        return !w->is_stalled;
    if (!is_report && (packet[1] & 0x7f) == VIDEO_PT)
        tap->video_ssrc = packet_u32(packet + 8);
    is_video = packet_u32(packet + (is_report ? 4 : 8)) == tap->video_ssrc;
    rate = is_video ? VIDEO_RATE : (uint32_t)tap->fault->audio_rate;
    if (!is_report) {
        packet_add(packet + 4, (uint32_t)w->jump_s * rate);
    } else if (packet[1] == RTCP_SR && tap->fault->report_us > 0 &&
               tap_holds_report(tap, is_video)) {
        return false;
    } else if (packet[1] == RTCP_SR && size >= 28) {
        packet_add(packet + 8, (uint32_t)w->jump_s);
        packet_add(packet + 16, (uint32_t)w->jump_s * rate);
    }
    return !w->is_stalled && !(w->is_frozen && !is_report) &&
           (is_video || !(tap->fault->is_mute || w->is_hushed));
}

static bool tap_buffer(struct tap *tap, const struct weather *w, GstBuffer *buffer)
{
    uint8_t head[28];
    size_t size = gst_buffer_extract(buffer, 0, head, sizeof(head));
    bool is_sent = tap_packet(tap, w, head, size);

    gst_buffer_fill(buffer, 0, head, size);
    return is_sent;
}

static GstPadProbeReturn tap_cb(GstPad *pad, GstPadProbeInfo *info, gpointer arg)
{
    struct tap *tap = arg;
    struct weather w = fault_weather(tap->fault);

    (void)pad;
    if (info->type & GST_PAD_PROBE_TYPE_BUFFER_LIST) {
        GstBufferList *list = gst_buffer_list_make_writable(info->data);

        for (guint i = gst_buffer_list_length(list); i-- > 0;)
            if (!tap_buffer(tap, &w, gst_buffer_list_get_writable(list, i)))
                gst_buffer_list_remove(list, i, 1);
        info->data = list;
        return gst_buffer_list_length(list) > 0 ? GST_PAD_PROBE_OK : GST_PAD_PROBE_DROP;
    }
    info->data = gst_buffer_make_writable(info->data);
    return tap_buffer(tap, &w, info->data) ? GST_PAD_PROBE_OK : GST_PAD_PROBE_DROP;
}

static GstPadProbeReturn lost_cb(GstPad *pad, GstPadProbeInfo *info, gpointer arg)
{
    (void)pad;
    (void)info;
    (void)arg;
    return GST_PAD_PROBE_DROP;
}

// The server's elements that send are added when a client has chosen its transport.
static void element_added_cb(GstBin *bin, GstBin *parent, GstElement *element, gpointer arg)
{
    struct tap *tap = arg;
    GstElementFactory *factory = gst_element_get_factory(element);
    const char *kind = factory ? GST_OBJECT_NAME(factory) : "";
    bool is_udp = strcmp(kind, "multiudpsink") == 0;
    GstPad *pad;

    (void)bin;
    (void)parent;
    if (!is_udp && strcmp(kind, "appsink") != 0)
        return;
    pad = gst_element_get_static_pad(element, "sink");
    gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_BUFFER | GST_PAD_PROBE_TYPE_BUFFER_LIST,
        is_udp && tap->fault->is_udp_lost ? lost_cb : tap_cb, tap, NULL);
    gst_object_unref(pad);
}

struct fault *fault_new(const struct mount *m)
{
    struct fault *f = g_new0(struct fault, 1);

    f->path = g_strconcat("/", m->name, NULL);
    f->is_mute = m->mute != 0;
    f->is_udp_lost = m->udp_lost != 0;
    f->report_us = m->report_ms * INT64_C(1000);
    f->reporter = m->reporter;
    f->audio_rate = m->audio == AUDIO_ALAW || m->audio == AUDIO_ULAW ? 8000 : 48000;
    g_mutex_init(&f->lock);
    if (!fault_table)
        fault_table = g_hash_table_new(g_str_hash, g_str_equal);
    g_hash_table_insert(fault_table, f->path, f);
    return f;
}

void fault_attach(struct fault *fault, GstRTSPMedia *media)
{
    GstElement *bin = gst_rtsp_media_get_element(media);
    GstObject *pipeline = gst_object_get_parent(GST_OBJECT(bin));
    struct tap *tap = g_new0(struct tap, 1);

    tap->fault = fault;
    tap->since_us = g_get_monotonic_time();
    g_object_set_data_full(G_OBJECT(pipeline), "tap", tap, g_free);
    g_signal_connect(pipeline, "deep-element-added", G_CALLBACK(element_added_cb), tap);
    gst_object_unref(pipeline);
    gst_object_unref(bin);
}

// Without RTP-Info nobody knows how far apart the tracks begin, until a sender report comes.
static void answer_cb(GstRTSPClient *client, GstRTSPSession *session, GstRTSPMessage *answer)
{
    char *info;
    GHashTableIter iter;
    gpointer path, fault;

    (void)client;
    (void)session;
    if (gst_rtsp_message_get_header(answer, GST_RTSP_HDR_RTP_INFO, &info, 0) != GST_RTSP_OK)
        return;
    g_hash_table_iter_init(&iter, fault_table);
    while (g_hash_table_iter_next(&iter, &path, &fault)) {
        g_autofree char *inside = g_strconcat(path, "/", NULL);

        if (((struct fault *)fault)->report_us > 0 && strstr(info, inside)) {
            gst_rtsp_message_remove_header(answer, GST_RTSP_HDR_RTP_INFO, -1);
            return;
        }
    }
}

static void client_connected_cb(GstRTSPServer *server, GstRTSPClient *client)
{
    (void)server;
    g_signal_connect(client, "send-message", G_CALLBACK(answer_cb), NULL);
}

void fault_watch(GstRTSPServer *server)
{
    g_signal_connect(server, "client-connected", G_CALLBACK(client_connected_cb), NULL);
}

static GstRTSPFilterResult media_of_path(
    GstRTSPSession *session, GstRTSPSessionMedia *media, gpointer path)
{
    int matched;

    (void)session;
    return gst_rtsp_session_media_matches(media, path, &matched) ? GST_RTSP_FILTER_REF
                                                                 : GST_RTSP_FILTER_KEEP;
}

static GstRTSPFilterResult session_of_path(
    GstRTSPClient *client, GstRTSPSession *session, gpointer path)
{
    GList *medias = gst_rtsp_session_filter(session, media_of_path, path);
    bool has = medias != NULL;

    (void)client;
    g_list_free_full(medias, g_object_unref);
    return has ? GST_RTSP_FILTER_REF : GST_RTSP_FILTER_KEEP;
}

static GstRTSPFilterResult close_of_path(
    GstRTSPServer *server, GstRTSPClient *client, gpointer path)
{
    GList *sessions = gst_rtsp_client_session_filter(client, session_of_path, path);
    bool has = sessions != NULL;

    (void)server;
    g_list_free_full(sessions, g_object_unref);
    return has ? GST_RTSP_FILTER_REMOVE : GST_RTSP_FILTER_KEEP;
}

// Sets what a command with a number says. False when there is no such command.
static bool fault_set(struct fault *f, const char *word, int64_t seconds)
{
    int64_t until_us = g_get_monotonic_time() + seconds * G_USEC_PER_SEC;
    bool is_known = true;

    g_mutex_lock(&f->lock);
    if (strcmp(word, "stall") == 0)
        f->stalled_until_us = until_us;
    else if (strcmp(word, "freeze") == 0)
        f->frozen_until_us = until_us;
    else if (strcmp(word, "hush") == 0)
        f->hushed_until_us = until_us;
    else if (strcmp(word, "jump") == 0)
        f->jump_s += (int32_t)seconds;
    else
        is_known = false;
    g_mutex_unlock(&f->lock);
    return is_known;
}

bool fault_command(GstRTSPServer *server, const char *line, char **cause)
{
    g_auto(GStrv) words = g_strsplit(line, " ", -1);
    guint count = g_strv_length(words);
    g_autofree char *path = g_strconcat("/", count > 1 ? words[1] : "", NULL);
    struct fault *f = fault_table ? g_hash_table_lookup(fault_table, path) : NULL;
    gint64 seconds;

    if (!f)
        *cause = g_strdup("no such mount");
    else if (count == 2 && strcmp(words[0], "close") == 0)
        g_list_free_full(
            gst_rtsp_server_client_filter(server, close_of_path, path), g_object_unref);
    else if (count != 3 || !g_ascii_string_to_signed(words[2], 10, -3600, 3600, &seconds, NULL) ||
             !fault_set(f, words[0], seconds))
        *cause = g_strdup("not a command");
    return *cause == NULL;
}
