// What a stream's next start does otherwise. See adapt.h.
#include "supervisor/adapt.h"

#include <stddef.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/timeutil.h"

// Connecting and probing take five seconds at most where all is well.
#define ADAPT_PATIENCE_US (8 * US_PER_SECOND)

enum {
    ADAPT_HEADER = 1 << 0,      // the container does not take what it should hold
    ADAPT_VIDEO = 1 << 1,       // because of the video
    ADAPT_AUDIO = 1 << 2,       // because of the audio
    ADAPT_SILENT = 1 << 3,      // announced audio never came
    ADAPT_UNSUPPORTED = 1 << 4, // the camera does not offer the transport
};

// Output stream 0 is always the video, 1 the audio. ffmpeg decodes and encodes nothing but audio.
static const struct {
    const char *text, *and;
    unsigned hint;
} adapt_table[] = {
    {"Could not write header for output file", "Invalid argument", ADAPT_HEADER},
    {"Could not find tag for codec", "in stream #0,", ADAPT_VIDEO},
    {"Tag hvc1 incompatible with output codec", NULL, ADAPT_VIDEO},
    {"dimensions not set", NULL, ADAPT_VIDEO},
    {"Could not find tag for codec", "in stream #1,", ADAPT_AUDIO},
    {"Unknown encoder", NULL, ADAPT_AUDIO},
    {"encoder for output stream", NULL, ADAPT_AUDIO},
    {"not found for input stream", NULL, ADAPT_AUDIO},
    {"decoder for input stream", NULL, ADAPT_AUDIO},
    {"Error reinitializing filters", NULL, ADAPT_AUDIO},
    {"Cannot determine format of input stream", NULL, ADAPT_AUDIO},
    {"Finishing stream 0:1 without any data written to it", NULL, ADAPT_SILENT},
    {"Too many packets buffered for output stream", NULL, ADAPT_SILENT},
    {"461 ", "SETUP failed", ADAPT_UNSUPPORTED},
};

static void adapt_choose_first(struct adapt *adapt, const struct config_recording *recording)
{
    adapt->way.is_substitute = false;
    adapt->way.audio = recording->audio == CONFIG_AUDIO_OFF   ? FFMPEG_AUDIO_NONE
                       : recording->audio == CONFIG_AUDIO_AAC ? FFMPEG_AUDIO_AAC
                                                              : FFMPEG_AUDIO_COPY;
}

void adapt_reset(struct adapt *adapt, const struct config_recording *recording)
{
    *adapt = (struct adapt){.way.is_udp = recording->transport == CONFIG_TRANSPORT_UDP};
    adapt_choose_first(adapt, recording);
}

void adapt_line(struct adapt *adapt, const char *line)
{
    for (size_t i = 0; i < ARRAY_LENGTH(adapt_table); i++) {
        const char *and = adapt_table[i].and;
        if (strstr(line, adapt_table[i].text) != NULL && (and == NULL || strstr(line, and) != NULL))
            adapt->hints |= adapt_table[i].hint;
    }
}

void adapt_begin(struct adapt *adapt)
{
    adapt->hints = 0;
    adapt->has_frames = adapt->is_overdue = false;
}

void adapt_frame(struct adapt *adapt)
{
    adapt->has_frames = true;
}

bool adapt_is_overdue(struct adapt *adapt, int64_t age_us)
{
    if (adapt->way.audio == FFMPEG_AUDIO_AAC && !adapt->is_patient && age_us > ADAPT_PATIENCE_US)
        adapt->is_overdue = true;
    return adapt->is_overdue;
}

static bool adapt_leave_audio_out(struct adapt *adapt, const char *why, char **news)
{
    adapt->way.audio = FFMPEG_AUDIO_NONE;
    *news = xasprintf("%s; it is recorded without audio from now on", why);
    return true;
}

// The next thing to try where the audio can not be recorded as it was.
static bool adapt_change_audio(
    struct adapt *adapt, const struct config_recording *recording, char **news)
{
    if (adapt->way.audio == FFMPEG_AUDIO_AAC)
        return adapt_leave_audio_out(adapt, "the camera's audio can not be encoded", news);
    if (recording->audio == CONFIG_AUDIO_COPY)
        return adapt_leave_audio_out(
            adapt, "MP4 does not take the camera's audio, and audio is set to copy", news);
    adapt->way.audio = FFMPEG_AUDIO_AAC;
    adapt->way.is_substitute = true;
    *news =
        xasprintf("MP4 does not take the camera's audio; the audio alone is encoded from now on");
    return true;
}

// Whether nothing but the audio comes to mind as what ended a run before its first frame.
static bool adapt_suspects_audio(const struct adapt *adapt, enum reason reason)
{
    bool is_odd = reason == REASON_UNKNOWN || reason == REASON_CODEC;
    bool is_unexplained = (adapt->hints & (ADAPT_HEADER | ADAPT_VIDEO)) == ADAPT_HEADER;
    return is_odd && is_unexplained && !adapt->is_audio_cleared;
}

static bool adapt_end_audio(
    struct adapt *adapt, const struct config_recording *recording, enum reason reason, char **news)
{
    if (adapt->way.audio == FFMPEG_AUDIO_NONE) {
        if (adapt->is_suspicion && (adapt->hints & ADAPT_HEADER)) {
            adapt->is_suspicion = false;
            adapt->is_audio_cleared = true;
            adapt_choose_first(adapt, recording);
        }
        return false;
    }
    if (adapt->way.audio == FFMPEG_AUDIO_AAC && (adapt->hints & ADAPT_SILENT) != 0)
        return adapt_leave_audio_out(
            adapt, "the camera announces audio and sends none, which holds the video back", news);
    if (adapt->hints & ADAPT_AUDIO)
        return adapt_change_audio(adapt, recording, news);
    if (!adapt_suspects_audio(adapt, reason))
        return false;
    adapt->is_suspicion = true;
    return adapt_change_audio(adapt, recording, news);
}

// Whether another transport may help a run that ended so, without a frame.
static bool adapt_may_cross(enum reason reason, unsigned hints)
{
    switch (reason) {
    case REASON_TIMEOUT:
    case REASON_STALLED:
    case REASON_NO_FRAMES:
    case REASON_CLOSED:
    case REASON_UNKNOWN:
        return true;
    default:
        return (hints & ADAPT_UNSUPPORTED) != 0;
    }
}

static bool adapt_end_transport(struct adapt *adapt, char **news)
{
    bool is_first = !adapt->has_crossed;
    if (adapt->hints & ADAPT_UNSUPPORTED && !adapt->way.is_udp)
        adapt->is_tcp_refused = true;
    adapt->has_crossed = true;
    adapt->way.is_udp = !adapt->way.is_udp;
    if (is_first)
        *news = xasprintf("no video came over %s; %s is tried", adapt->way.is_udp ? "TCP" : "UDP",
            adapt->way.is_udp ? "UDP" : "TCP");
    return is_first;
}

bool adapt_end(
    struct adapt *adapt, const struct config_recording *recording, enum reason reason, char **news)
{
    *news = NULL;
    if (adapt->has_frames) {
        adapt->has_crossed = adapt->is_audio_cleared = false;
        if (recording->transport == CONFIG_TRANSPORT_AUTO && !adapt->is_tcp_refused)
            adapt->way.is_udp = false;
        return false;
    }
    if (adapt_end_audio(adapt, recording, reason, news))
        return true;
    if (adapt->is_overdue)
        adapt->is_patient = true;
    if (recording->transport == CONFIG_TRANSPORT_AUTO && adapt_may_cross(reason, adapt->hints))
        return adapt_end_transport(adapt, news);
    return false;
}

bool adapt_is_unused_news(struct adapt *adapt, const char *line)
{
    if (adapt->has_told_unused || strstr(line, "Unused options for") == NULL)
        return false;
    adapt->has_told_unused = true;
    return true;
}
