// What a sample entry says of its codec: the RFC 6381 name that browsers ask for, the picture's
// size.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/media/media.h"

struct codec_info {
    enum media_kind kind; // 0 for a codec that is not known
    char name[64];        // RFC 6381, as "avc1.64001f", "av01.0.04M.08", "mp4a.40.2"
    char family[8];    // "h264", "h265", "av1", "mjpeg", "aac", "opus", "mp3", else four characters
    uint32_t width;    // video
    uint32_t height;   // video
    uint32_t channels; // audio
    uint32_t sample_rate; // audio
};

// Reads a sample entry box (ISO/IEC 14496-12, 8.5.2; 14496-15 for avcC and hvcC; 14496-14 for
// esds; AV1 and Opus in ISOBMFF for av1C and dOps; QuickTime's sound descriptions). Returns 0, or
// -1 with *cause set when the bytes are not such a box; a codec that is not known gets its four
// characters as name, made fit for any text ('_' for what is not a letter, digit or hyphen).
int codec_describe(const uint8_t *entry, size_t entry_size, struct codec_info *info, char **cause);

enum codec_sound {
    CODEC_SOUND_OTHER,
    CODEC_SOUND_AAC,
    CODEC_SOUND_OPUS,
};

// Finds what a sound's decoder is configured with in its sample entry: of AAC the
// AudioSpecificConfig, of Opus the body of dOps. It points into the entry.
enum codec_sound codec_sound_config(
    const uint8_t *entry, size_t entry_size, const uint8_t **config, size_t *size);

// What an AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1) says.
struct codec_aac {
    unsigned object;      // audioObjectType, of the core where there is a high band
    unsigned layout;      // channelConfiguration
    uint32_t sample_rate; // of the core; 0: not a known one
    bool high_band;       // HE-AAC
    bool short_frames;    // of 960 samples
};

// Returns false for a torn one.
bool codec_read_aac(const uint8_t *config, size_t size, struct codec_aac *aac);
