// testcam: an RTSP camera for tests. It plays drawn pictures and a tone that were encoded once, in
// endless loops, to any number of clients on any number of mounts, on the loopback alone.
//
//   testcam [--port N] [--port-file FILE] [--cache DIR] [--user NAME --password-file FILE]
//           MOUNT[,key=value...]...
//
// Commands come on its standard input, one a line: see testcam_fault.c.
//
// It prints "testcam: listening on rtsp://127.0.0.1:PORT/" when clients may come, and ends at
// once, with 0, on SIGTERM or SIGINT.
#include "tests/tools/testcam.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <glib/gstdio.h>

#define ROLE_USER "user"

static const char mount_help[] =
    "Each MOUNT is a name, then keys (defaults in brackets):\n"
    "  codec=h264|h265|vp8|none [h264]   bframes=N [0]   audio=aac|alaw|ulaw|opus|none [none]\n"
    "  width=N [640]            height=N [360]          fps=N [25]\n"
    "  gop=FRAMES [25]          bitrate=KBIT/S [500]    length=S of the loop [24]\n"
    "                           (gop=10000: one key frame, and none again for long)\n"
    "  rtcp=MS between sender reports [the server's default, 5000]\n"
    "  audio_late=MS [0]        audio begins so long after video\n"
    "  report=MS [0]            no sender report comes earlier in a session, and\n"
    "                           no RTP-Info\n"
    "  reporter=any|video|audio [any]    whose report comes first, by 3 s\n"
    "  transport=tcp|udp|both [tcp]      what clients may ask for\n"
    "  join=0|1 [0]             clients come in the middle of a group of pictures\n"
    "  mute=0|1 [0]             audio is announced and never sent\n"
    "  udp_lost=0|1 [0]         UDP is agreed upon, and nothing ever arrives\n"
    "  clock=media|wall [media] the loop begins when a client comes, or the picture shows\n"
    "                           UTC modulo the loop's length\n";

struct options {
    int port;
    char *port_file;
    char *cache;
    char *user;
    char *password_file;
    char **mounts;
};

static void end_cb(int signo)
{
    (void)signo;
    _exit(0);
}

static bool options_parse(struct options *o, int argc, char **argv, char **cause)
{
    const GOptionEntry entries[] = {
        {"port", 0, 0, G_OPTION_ARG_INT, &o->port, "Port; 0, the default: the kernel's choice",
            "N"},
        {"port-file", 0, 0, G_OPTION_ARG_FILENAME, &o->port_file, "Gets the port's number", "FILE"},
        {"cache", 0, 0, G_OPTION_ARG_FILENAME, &o->cache, "Where encoded content is kept", "DIR"},
        {"user", 0, 0, G_OPTION_ARG_STRING, &o->user, "Ask for Digest authentication", "NAME"},
        {"password-file", 0, 0, G_OPTION_ARG_FILENAME, &o->password_file, "Its password", "FILE"},
        {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_STRING_ARRAY, &o->mounts, NULL, "MOUNT..."},
        {0},
    };
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);
    g_autoptr(GError) error = NULL;

    g_option_context_set_description(context, mount_help);
    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &error))
        *cause = g_strdup(error->message);
    else if (!o->mounts)
        *cause = g_strdup("no mount is given");
    else if (!o->user != !o->password_file)
        *cause = g_strdup("--user and --password-file go together");
    if (!o->cache)
        o->cache = g_build_filename(g_get_user_cache_dir(), "keepframe-testcam", NULL);
    return *cause == NULL;
}

// Digest for all mounts.
static bool auth_add(GstRTSPServer *server, const struct options *o, char **cause)
{
    g_autofree char *password = NULL;
    g_autoptr(GError) error = NULL;
    GstRTSPAuth *auth;
    GstRTSPToken *token;
    gsize length;

    if (!g_file_get_contents(o->password_file, &password, &length, &error)) {
        *cause = g_strdup(error->message);
        return false;
    }
    if (length > 0 && password[length - 1] == '\n')
        password[length - 1] = '\0';
    auth = gst_rtsp_auth_new();
    gst_rtsp_auth_set_supported_methods(auth, GST_RTSP_AUTH_DIGEST);
    token = gst_rtsp_token_new(GST_RTSP_TOKEN_MEDIA_FACTORY_ROLE, G_TYPE_STRING, ROLE_USER, NULL);
    gst_rtsp_auth_add_digest(auth, o->user, password, token);
    gst_rtsp_token_unref(token);
    gst_rtsp_server_set_auth(server, auth);
    g_object_unref(auth);
    return true;
}

static bool mount_add(
    GstRTSPServer *server, const char *text, const struct options *o, char **cause)
{
    GstRTSPMountPoints *points = gst_rtsp_server_get_mount_points(server);
    struct mount *m = mount_parse(text, cause);
    const struct track *video = NULL, *audio = NULL;
    bool added = m != NULL;

    if (added && m->video != VIDEO_NONE)
        added = (video = content_video(m, o->cache, cause)) != NULL;
    if (added && m->audio != AUDIO_NONE)
        added = (audio = content_audio(m->audio, o->cache, cause)) != NULL;

    if (added) {
        g_autofree char *path = g_strconcat("/", m->name, NULL);
        GstRTSPMediaFactory *factory = media_factory_new(m, video, audio);

        gst_rtsp_media_factory_add_role(factory, ROLE_USER, GST_RTSP_PERM_MEDIA_FACTORY_ACCESS,
            G_TYPE_BOOLEAN, TRUE, GST_RTSP_PERM_MEDIA_FACTORY_CONSTRUCT, G_TYPE_BOOLEAN, TRUE,
            NULL);
        gst_rtsp_mount_points_add_factory(points, path, factory);
    }
    mount_free(m);
    g_object_unref(points);
    return added;
}

static bool port_write(const char *path, int port, char **cause)
{
    g_autofree char *text = g_strdup_printf("%d\n", port);
    g_autoptr(GError) error = NULL;

    // Writes a temporary file and renames it.
    if (g_file_set_contents(path, text, -1, &error))
        return true;
    *cause = g_strdup(error->message);
    return false;
}

// A command of whoever started the camera; it may have none to give, and no input.
static gboolean command_cb(GIOChannel *input, GIOCondition condition, gpointer server)
{
    g_autofree char *line = NULL, *cause = NULL;

    (void)condition;
    if (g_io_channel_read_line(input, &line, NULL, NULL, NULL) != G_IO_STATUS_NORMAL)
        return G_SOURCE_REMOVE;
    g_strstrip(line);
    if (fault_command(server, line, &cause))
        printf("testcam: done: %s\n", line);
    else
        printf("testcam: %s: %s\n", line, cause);
    fflush(stdout);
    return G_SOURCE_CONTINUE;
}

static bool serve(GstRTSPServer *server, const struct options *o, char **cause)
{
    g_autofree char *service = g_strdup_printf("%d", o->port);
    GstRTSPThreadPool *pool = gst_rtsp_server_get_thread_pool(server);
    int port;

    // A thread for each client: none waits while another's media is prepared.
    gst_rtsp_thread_pool_set_max_threads(pool, -1);
    g_object_unref(pool);
    fault_watch(server);
    gst_rtsp_server_set_address(server, "127.0.0.1");
    gst_rtsp_server_set_service(server, service);
    if (gst_rtsp_server_attach(server, NULL) == 0) {
        *cause = g_strdup_printf("can not listen on 127.0.0.1:%d", o->port);
        return false;
    }
    port = gst_rtsp_server_get_bound_port(server);
    if (o->port_file && !port_write(o->port_file, port, cause))
        return false;
    printf("testcam: listening on rtsp://127.0.0.1:%d/\n", port);
    fflush(stdout);
    return true;
}

int main(int argc, char **argv)
{
    struct options o = {0};
    g_autoptr(GMainLoop) loop = NULL;
    GstRTSPServer *server;
    GIOChannel *input;
    char *cause = NULL;
    bool good;

    signal(SIGTERM, end_cb);
    signal(SIGINT, end_cb);
    signal(SIGPIPE, SIG_IGN);
    if (!options_parse(&o, argc, argv, &cause)) {
        fprintf(stderr, "testcam: %s\n", cause);
        return 64;
    }
    gst_init(NULL, NULL);
    loop = g_main_loop_new(NULL, FALSE);
    server = gst_rtsp_server_new();
    good = g_mkdir_with_parents(o.cache, 0777) == 0;
    if (!good)
        cause = g_strdup_printf("%s: can not be made", o.cache);
    good = good && (!o.user || auth_add(server, &o, &cause));
    for (char **mount = o.mounts; good && *mount; mount++)
        good = mount_add(server, *mount, &o, &cause);
    if (!good || !serve(server, &o, &cause)) {
        fprintf(stderr, "testcam: %s\n", cause);
        return 1;
    }
    input = g_io_channel_unix_new(STDIN_FILENO);
    g_io_add_watch(input, G_IO_IN | G_IO_HUP, command_cb, server);
    g_main_loop_run(loop);
    return 0;
}
