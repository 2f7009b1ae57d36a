// What the files of the test camera share. The camera is a program of the tests: it stands on GLib
// and GStreamer alone and uses nothing of lib/, so that it shares no bug with what it tests.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <gst/gst.h>
#include <gst/rtsp-server/rtsp-server.h>

// The time axis that frame 0 of the loop stands on.
enum clock_mode {
    CLOCK_MEDIA, // frame 0 when a client comes, at once
    CLOCK_WALL,  // frame n at UTC time n / fps since the epoch, modulo the loop
};

enum video_codec {
    VIDEO_H264,
    VIDEO_H265,
    VIDEO_VP8,
    VIDEO_NONE,
};

enum audio_codec {
    AUDIO_NONE,
    AUDIO_AAC,
    AUDIO_ALAW,
    AUDIO_ULAW,
    AUDIO_OPUS,
};

// What a client may ask for; others are answered 461.
enum transport {
    TRANSPORT_TCP,
    TRANSPORT_UDP,
    TRANSPORT_BOTH,
};

// Whose sender reports come first.
enum reporter {
    REPORTER_ANY,
    REPORTER_VIDEO,
    REPORTER_AUDIO,
};

// The settings of one mount, as the command line gives them.
struct mount {
    char *name; // without the leading slash
    enum video_codec video;
    enum audio_codec audio;
    enum transport transport;
    enum clock_mode clock;
    int join;     // a client comes in the middle of a group of pictures
    int mute;     // audio is announced and never sent
    int udp_lost; // UDP is agreed upon, and no packet ever arrives
    int bframes;
    int width, height;
    int fps;
    int gop_frames;
    int bitrate_kbps;
    int length_s;
    int rtcp_ms;       // 0: the server's own default, 5 s
    int audio_late_ms; // audio begins so long after video
    int report_ms;     // no sender report comes before, nor RTP-Info at all; 0: both at once
    enum reporter reporter;
};

// Parses "NAME[,key=value...]" (testcam.c lists the keys) into a mount that mount_free() releases.
// NULL and *cause (g_free) on a bad one.
struct mount *mount_parse(const char *text, char **cause);
void mount_free(struct mount *m);

// Frames in one loop of the mount: its length, rounded up to whole groups of pictures.
int mount_frames(const struct mount *m);

// Bytes of one raw picture of the mount, planar YUV 4:2:0.
size_t picture_size_bytes(const struct mount *m);

// Draws frame `number` of the loop into `yuv`, which has picture_size_bytes().
void picture_draw(const struct mount *m, int number, uint8_t *yuv);

// One encoded track in memory: access units in decoding order, which loop for ever. Unit i lasts
// unit_num / unit_den seconds, exactly.
struct track {
    GstCaps *caps;
    GPtrArray *units; // of GstBuffer *
    int *order;       // place of each unit in presentation order, 0 … units - 1
    int delay;        // how many units a unit is decoded at most before it is shown
    int sync_every;   // a loop can be entered at each multiple of this
    uint64_t unit_num, unit_den;
};

// Makes sure that the mount's video, or the audio that all mounts share, is in the cache folder
// `dir`, and loads it. Tracks live until the program ends; the same one is returned for the same
// content. NULL and *cause (g_free) on failure.
const struct track *content_video(const struct mount *m, const char *dir, char **cause);
const struct track *content_audio(enum audio_codec codec, const char *dir, char **cause);

// A media factory that serves the tracks (one may be NULL) to each client for ever, on its own.
// The tracks must outlive it; the mount is copied as far as it is needed.
GstRTSPMediaFactory *media_factory_new(
    const struct mount *m, const struct track *video, const struct track *audio);

// What goes wrong with a mount's packets on their way to the clients; testcam_fault.c lists the
// commands. It lives until the program ends.
struct fault *fault_new(const struct mount *m);

// Lets the fault at all packets of a media; call it before the media is prepared.
void fault_attach(struct fault *fault, GstRTSPMedia *media);

// Lets the faults of all mounts at the server's answers.
void fault_watch(GstRTSPServer *server);

// Carries out a command line. False and *cause (g_free) when it can not be understood.
bool fault_command(GstRTSPServer *server, const char *line, char **cause);
