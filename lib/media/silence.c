// Frames of silence. See silence.h.
#include "lib/media/silence.h"

#include <string.h>

#include "lib/media/codec.h"
#include "lib/media/mp4_reader.h"

enum {
    AAC_OBJECT_LC = 2,
    AAC_FRAME = 1024,
    AAC_GAIN = 100, // of zeros; what decoders were tried with

    AAC_SCE = 0, // elements of a raw_data_block (ISO/IEC 14496-3, table 4.85)
    AAC_CPE = 1,
    AAC_LFE = 3,
    AAC_END = 7,
    AAC_ELEMENTS_MAX = 5,

    OPUS_RATE = 48000,
    OPUS_FRAME = 960,        // 20 ms
    OPUS_CHANNELS_MAX = 2,   // of one stream
    OPUS_FIELDS_TO_MAP = 10, // of dOps before its channel mapping family
};

// --- AAC ---

struct silence_bits {
    struct silence *silence;
    unsigned count;
};

static void silence_put(struct silence_bits *bits, uint32_t value, unsigned count)
{
    for (unsigned i = count; i-- > 0; bits->count++)
        bits->silence->data[bits->count / 8] |=
            (uint8_t)((value >> i & 1) << (7 - bits->count % 8));
}

// ics_info: one long window, of whose bands one is there.
static void silence_put_window(struct silence_bits *bits)
{
    silence_put(bits, 0, 1 + 2 + 1);
    silence_put(bits, 1, 6);
    silence_put(bits, 0, 1);
}

// individual_channel_stream: its one band has the code book of zeros; no pulses, no noise shaping,
// no gain control.
static void silence_put_channel(struct silence_bits *bits, bool window)
{
    silence_put(bits, AAC_GAIN, 8);
    if (window)
        silence_put_window(bits);
    silence_put(bits, 0, 4);
    silence_put(bits, 1, 5);
    silence_put(bits, 0, 1 + 1 + 1);
}

static void silence_put_element(struct silence_bits *bits, unsigned type, unsigned tag)
{
    silence_put(bits, type, 3);
    silence_put(bits, tag, 4);
    if (type != AAC_CPE) {
        silence_put_channel(bits, true);
        return;
    }
    silence_put(bits, 1, 1); // a common window
    silence_put_window(bits);
    silence_put(bits, 1, 2); // whether middle and side: band by band, and not in this one
    silence_put(bits, 0, 1);
    silence_put_channel(bits, false);
    silence_put_channel(bits, false);
}

static bool silence_make_aac(
    const uint8_t *config, size_t size, uint32_t timescale, struct silence *silence)
{
    // By channelConfiguration (1.6.3.5); 0 is one that the entry describes itself.
    static const uint8_t elements[][AAC_ELEMENTS_MAX + 1] = {
        [1] = {AAC_SCE, AAC_END},
        [2] = {AAC_CPE, AAC_END},
        [3] = {AAC_SCE, AAC_CPE, AAC_END},
        [4] = {AAC_SCE, AAC_CPE, AAC_SCE, AAC_END},
        [5] = {AAC_SCE, AAC_CPE, AAC_CPE, AAC_END},
        [6] = {AAC_SCE, AAC_CPE, AAC_CPE, AAC_LFE, AAC_END},
        [7] = {AAC_SCE, AAC_CPE, AAC_CPE, AAC_CPE, AAC_LFE, AAC_END},
    };
    struct codec_aac aac;
    if (!codec_read_aac(config, size, &aac) || aac.object != AAC_OBJECT_LC || aac.high_band ||
        aac.short_frames || aac.layout == 0 ||
        aac.layout >= sizeof(elements) / sizeof(elements[0]) || aac.sample_rate == 0)
        return false;
    struct silence_bits bits = {.silence = silence};
    unsigned tags[AAC_END] = {0};
    const uint8_t *element = elements[aac.layout];
    for (; *element != AAC_END; element++)
        silence_put_element(&bits, *element, tags[*element]++);
    silence_put(&bits, AAC_END, 3);
    silence->size = (bits.count + 7) / 8;
    silence->duration = (uint32_t)((uint64_t)AAC_FRAME * timescale / aac.sample_rate);
    return silence->duration > 0;
}

// --- Opus ---

// Several streams in a packet (a mapping family of their own) have lengths between them.
static bool silence_make_opus(
    const uint8_t *config, size_t size, uint32_t timescale, struct silence *silence)
{
    static const uint8_t packet[] = {0xf8, 0xff, 0xfe}; // CELT, 20 ms, nothing but silence
    if (size <= OPUS_FIELDS_TO_MAP || config[OPUS_FIELDS_TO_MAP] != 0 || config[1] == 0 ||
        config[1] > OPUS_CHANNELS_MAX)
        return false;
    memcpy(silence->data, packet, sizeof(packet));
    silence->size = sizeof(packet);
    silence->duration = (uint32_t)((uint64_t)OPUS_FRAME * timescale / OPUS_RATE);
    return silence->duration > 0;
}

bool silence_make(
    const uint8_t *entry, size_t entry_size, uint32_t timescale, struct silence *silence)
{
    const uint8_t *config;
    size_t size;
    *silence = (struct silence){0};
    switch (codec_sound_config(entry, entry_size, &config, &size)) {
    case CODEC_SOUND_AAC:
        return silence_make_aac(config, size, timescale, silence);
    case CODEC_SOUND_OPUS:
        return silence_make_opus(config, size, timescale, silence);
    case CODEC_SOUND_OTHER:
        break;
    }
    return false;
}
