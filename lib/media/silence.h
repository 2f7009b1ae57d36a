// A frame of silence in the coding of a sound track, for the holes in it. Pure.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SILENCE_SIZE_MAX = 40,
};

struct silence {
    uint8_t data[SILENCE_SIZE_MAX];
    uint32_t size;
    uint32_t duration; // ticks of the track
};

// Makes it for a sample entry whose track has this time scale: of AAC-LC in frames of 1,024 samples
// with any sample rate and channel configuration (ISO/IEC 14496-3, 4.4.2.1: all spectra zero), and
// of Opus with one stream. Returns false for what has none: other codecs, other kinds of AAC (with
// a high band, with frames of 960), channels that the entry describes one by one, a torn entry.
bool silence_make(
    const uint8_t *entry, size_t entry_size, uint32_t timescale, struct silence *silence);
