// Figures from ffmpeg's output. See probe_stats.h.
#include "supervisor/probe_stats.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"

enum {
    PROBE_STATS_DIMENSION_MAX = 65536,
    PROBE_STATS_PRFT_SIZE = 16, // of libavcodec's struct AVProducerReferenceTime
};

// Times and sizes beyond this come from no camera.
#define PROBE_STATS_TIME_MAX (INT64_C(1) << 60)

// Copies a word or more, with what is not printable ASCII left out.
static void probe_stats_copy(char name[PROBE_STATS_NAME_SIZE], const char *text, size_t length)
{
    size_t used = 0;
    for (size_t i = 0; i < length && used < PROBE_STATS_NAME_SIZE - 1; i++) {
        if (isprint((unsigned char)text[i]))
            name[used++] = text[i];
    }
    name[used] = '\0';
}

static int64_t probe_stats_number(const char **text, int64_t min, int64_t max, int64_t fallback)
{
    char *end;
    long long value = strtoll(*text, &end, 10);
    bool is_good = end != *text && value >= min && value <= max;
    *text = end;
    return is_good ? value : fallback;
}

// "#codec_id 0: h264", "#tb 1: 1/48000", "#dimensions 0: 320x180" …
static void probe_stats_header(struct probe_stats *stats, const char *line)
{
    const char *text = line + 1 + strcspn(line + 1, " ");
    size_t length = (size_t)(text - line);
    int64_t index = probe_stats_number(&text, 0, PROBE_STATS_TRACKS - 1, -1);
    if (index < 0 || strncmp(text, ": ", 2) != 0)
        return;
    text += 2;
    struct probe_track *track = &stats->tracks[index];
    if (strncmp(line, "#codec_id", length) == 0) {
        track->is_there = true;
        probe_stats_copy(track->codec, text, strlen(text));
    } else if (strncmp(line, "#tb", length) == 0) {
        track->tick_num = probe_stats_number(&text, 1, INT32_MAX, 0);
        text += *text == '/';
        track->tick_den = probe_stats_number(&text, 1, INT32_MAX, 0);
    } else if (strncmp(line, "#dimensions", length) == 0) {
        track->width = (int)probe_stats_number(&text, 1, PROBE_STATS_DIMENSION_MAX, 0);
        text += *text == 'x';
        track->height = (int)probe_stats_number(&text, 1, PROBE_STATS_DIMENSION_MAX, 0);
    } else if (strncmp(line, "#sample_rate", length) == 0) {
        track->sample_rate = (int)probe_stats_number(&text, 1, INT32_MAX, 0);
    } else if (strncmp(line, "#channel_layout_name", length) == 0) {
        probe_stats_copy(track->layout, text, strlen(text));
    }
}

static void probe_stats_frame(
    struct probe_track *track, int64_t dts, int64_t pts, int64_t size, bool is_key)
{
    if (is_key) {
        track->first_key = track->keys == 0 ? track->frames : track->first_key;
        track->last_key = track->frames;
        track->keys++;
    }
    track->bytes += (uint64_t)size;
    // ffmpeg gives the first frame no time, or one that is a tick before the next one's.
    if (track->frames++ == 0 || pts == INT64_MIN)
        return;
    if (track->timed_frames == 0)
        track->first_dts = dts;
    else
        track->is_reordered = track->is_reordered || pts < track->highest_pts;
    if (track->timed_frames == 0 || pts > track->highest_pts)
        track->highest_pts = pts;
    track->last_dts = dts;
    track->timed_frames++;
    track->timed_bytes += (uint64_t)size;
}

// "0,  3600,  7200,  3600,  4837, 0x09825ce3, F=0x0, S=1,  16": stream, decoding and presentation
// time, duration, size, checksum, flags where it is no key frame, sizes of side data.
void probe_stats_line(struct probe_stats *stats, const char *line, int64_t now_us)
{
    if (*line == '#') {
        probe_stats_header(stats, line);
        return;
    }
    const char *text = line;
    int64_t index = probe_stats_number(&text, 0, PROBE_STATS_TRACKS - 1, -1);
    int64_t values[4]; // dts, pts, duration, size
    for (size_t i = 0; i < ARRAY_LENGTH(values); i++) {
        if (*text++ != ',')
            return;
        values[i] =
            probe_stats_number(&text, -PROBE_STATS_TIME_MAX, PROBE_STATS_TIME_MAX, INT64_MIN);
    }
    if (index < 0 || values[0] == INT64_MIN || values[3] < 0)
        return;
    struct probe_track *track = &stats->tracks[index];
    const char *flags = strstr(text, "F=0x");
    bool is_key = flags == NULL || strtoul(flags + 2, NULL, 16) & 1;
    if (index == 0 && track->frames < PROBE_STATS_FRAMES_MAX) {
        const char *side = strstr(text, "S=");
        side = side ? strchr(side, ',') : NULL;
        stats->arrival_us[track->frames] = now_us;
        stats->is_timed[track->frames] =
            side != NULL && strtol(side + 1, NULL, 10) == PROBE_STATS_PRFT_SIZE;
    }
    probe_stats_frame(track, values[0], values[1], values[3], is_key);
}

// The number that stands before `unit` in a list with commas, or 0.
static double probe_stats_before(const char *text, const char *unit)
{
    const char *at = strstr(text, unit);
    if (at == NULL)
        return 0;
    const char *start = at;
    while (start > text && (isdigit((unsigned char)start[-1]) || start[-1] == '.'))
        start--;
    double value = strtod(start, NULL);
    return start < at && isfinite(value) && value > 0 && value < 10000 ? value : 0;
}

void probe_stats_describe(struct probe_stats *stats, const char *line)
{
    const char *video = strstr(line, ": Video: "), *audio = strstr(line, ": Audio: ");
    const char *text = video ? video : audio;
    if (strstr(line, "Stream #") == NULL || text == NULL)
        return;
    struct probe_track *track = &stats->tracks[video ? 0 : 1];
    text += strlen(": Video: ");
    text += strcspn(text, " ,");
    if (strncmp(text, " (", 2) == 0) {
        const char *profile = text + 2;
        size_t length = strcspn(profile, ")");
        // The container's tag stands in such brackets too: "(avc1 / 0x31637661)".
        if (memchr(profile, '/', length) == NULL && track->profile[0] == '\0')
            probe_stats_copy(track->profile, profile, length);
    }
    if (video != NULL && track->declared_fps <= 0)
        track->declared_fps = probe_stats_before(text, " fps");
}

double probe_track_span(const struct probe_track *track)
{
    if (track->tick_den == 0 || track->last_dts <= track->first_dts)
        return 0;
    return ((double)track->last_dts - (double)track->first_dts) * (double)track->tick_num /
           (double)track->tick_den;
}

double probe_track_fps(const struct probe_track *track)
{
    double span = probe_track_span(track);
    return span > 0 ? (double)(track->timed_frames - 1) / span : 0;
}

double probe_track_bitrate(const struct probe_track *track)
{
    return track->timed_frames > 0 ? (double)track->timed_bytes * 8 / (double)track->timed_frames *
                                         probe_track_fps(track)
                                   : 0;
}

double probe_track_key_frames(const struct probe_track *track)
{
    return track->keys > 1
               ? (double)(track->last_key - track->first_key) / (double)(track->keys - 1)
               : 0;
}

double probe_track_key_seconds(const struct probe_track *track)
{
    double fps = probe_track_fps(track);
    return fps > 0 ? probe_track_key_frames(track) / fps : 0;
}
