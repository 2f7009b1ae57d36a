// What ffmpeg's framecrc output and its description of the streams say about a camera. Pure: lines
// in, figures out.
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
    PROBE_STATS_TRACKS = 2, // 0 the video, 1 the audio, in the order of the command's maps
    PROBE_STATS_NAME_SIZE = 48,
    PROBE_STATS_FRAMES_MAX = 4096, // video frames whose arrival is remembered
};

struct probe_track {
    bool is_there;
    char codec[PROBE_STATS_NAME_SIZE];   // ffmpeg's name, as "h264"
    char profile[PROBE_STATS_NAME_SIZE]; // as "High"; empty when not told
    int64_t tick_num, tick_den;          // the unit of times, in seconds
    int width, height;
    int sample_rate;
    char layout[PROBE_STATS_NAME_SIZE]; // of the channels, as "mono"
    double declared_fps;                // what ffmpeg read out of the stream; 0 when not told

    uint64_t frames;
    uint64_t bytes;
    uint64_t keys;                // key frames
    uint64_t first_key, last_key; // their numbers
    bool is_reordered;            // frames are shown in another order than they come
    // Without the first frame, whose time ffmpeg does not know.
    uint64_t timed_frames;
    uint64_t timed_bytes;
    int64_t first_dts, last_dts; // ticks
    int64_t highest_pts;
};

struct probe_stats {
    struct probe_track tracks[PROBE_STATS_TRACKS];
    // Of each video frame: when its line came in UTC, and whether the camera's clock was known.
    int64_t arrival_us[PROBE_STATS_FRAMES_MAX];
    bool is_timed[PROBE_STATS_FRAMES_MAX];
};

// Takes a line of the framecrc output, read at `now_us`.
void probe_stats_line(struct probe_stats *stats, const char *line, int64_t now_us);

// Takes a line of ffmpeg's stderr: "Stream #0:0: Video: h264 (High), …".
void probe_stats_describe(struct probe_stats *stats, const char *line);

// Seconds between the first and the last frame of a track whose times are known.
double probe_track_span(const struct probe_track *track);

// 0 where too little was seen.
double probe_track_fps(const struct probe_track *track);
double probe_track_bitrate(const struct probe_track *track);     // bits a second
double probe_track_key_frames(const struct probe_track *track);  // frames from key to key
double probe_track_key_seconds(const struct probe_track *track); // seconds from key to key
