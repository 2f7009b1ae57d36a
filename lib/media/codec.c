// What a sample entry box says of its codec. See codec.h.
#include "lib/media/codec.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/media/mp4_reader.h"

enum {
    ESDS_DESCRIPTOR = 3, // ES_DescrTag (ISO/IEC 14496-1, 7.2.2.1)
    ESDS_DECODER_CONFIG = 4,
    ESDS_DECODER_SPECIFIC = 5,
    OBJECT_TYPE_MPEG4 = 0x20,   // ISO/IEC 14496-2 video
    OBJECT_TYPE_AAC = 0x40,     // ISO/IEC 14496-3 audio
    OBJECT_TYPE_MP3_LOW = 0x69, // ISO/IEC 13818-3
    OBJECT_TYPE_MP3 = 0x6b,     // ISO/IEC 11172-3
    OBJECT_TYPE_JPEG = 0x6c,
    AAC_OBJECT_SBR = 5, // HE-AAC (ISO/IEC 14496-3, table 1.17)
    AAC_OBJECT_PS = 29, // HE-AAC v2
    AAC_SYNC_EXTENSION = 0x2b7,
};

// A four-character code as text; what is not a letter, digit or hyphen becomes '_'.
static void codec_type_text(uint32_t type, char text[5])
{
    for (int i = 0; i < 4; i++) {
        unsigned char byte = (unsigned char)(type >> (24 - 8 * i));
        text[i] = isalnum(byte) || byte == '-' ? (char)byte : '_';
    }
    text[4] = '\0';
}

// avc1 or avc3: profile, constraints and level in hexadecimal (RFC 6381, 3.3).
static bool codec_read_avc(struct mp4_reader config, const char *type, struct codec_info *info)
{
    mp4_reader_u8(&config); // configurationVersion
    uint8_t profile = mp4_reader_u8(&config);
    uint8_t constraints = mp4_reader_u8(&config);
    uint8_t level = mp4_reader_u8(&config);
    snprintf(info->name, sizeof(info->name), "%s.%02x%02x%02x", type, profile, constraints, level);
    snprintf(info->family, sizeof(info->family), "h264");
    return !config.failed;
}

static uint32_t codec_reverse_bits(uint32_t value)
{
    uint32_t reversed = 0;
    for (int i = 0; i < 32; i++)
        reversed |= (value >> i & 1) << (31 - i);
    return reversed;
}

// hvc1 or hev1: profile space and profile, compatibility flags in reverse bit order, tier and
// level, constraint bytes without trailing zero bytes (ISO/IEC 14496-15, annex E.3).
static bool codec_read_hevc(struct mp4_reader config, const char *type, struct codec_info *info)
{
    static const char *const spaces[] = {"", "A", "B", "C"};
    mp4_reader_u8(&config); // configurationVersion
    uint8_t profile = mp4_reader_u8(&config);
    uint32_t compatibility = mp4_reader_u32(&config);
    const uint8_t *constraints = mp4_reader_take(&config, 6);
    uint8_t level = mp4_reader_u8(&config);
    if (config.failed)
        return false;
    int used =
        snprintf(info->name, sizeof(info->name), "%s.%s%u.%X.%c%u", type, spaces[profile >> 6],
            profile & 0x1f, codec_reverse_bits(compatibility), profile & 0x20 ? 'H' : 'L', level);
    int count = 6;
    while (count > 0 && constraints[count - 1] == 0)
        count--;
    for (int i = 0; i < count; i++)
        used +=
            snprintf(info->name + used, sizeof(info->name) - (size_t)used, ".%X", constraints[i]);
    snprintf(info->family, sizeof(info->family), "h265");
    return true;
}

// av01: profile, level and tier, bits a sample (AV1 Codec ISO Media File Format Binding, 2.3 and
// 5).
static bool codec_read_av1(struct mp4_reader config, struct codec_info *info)
{
    mp4_reader_u8(&config); // marker, version
    uint8_t profile = mp4_reader_u8(&config);
    uint8_t flags = mp4_reader_u8(&config);
    bool high = flags & 0x40, twelve = flags & 0x20;
    unsigned depth = !high ? 8 : profile >> 5 == 2 && twelve ? 12 : 10;
    snprintf(info->name, sizeof(info->name), "av01.%u.%02u%c.%02u", profile >> 5, profile & 0x1f,
        flags & 0x80 ? 'H' : 'M', depth);
    snprintf(info->family, sizeof(info->family), "av1");
    return !config.failed;
}

// Steps into the next descriptor, which must have this tag (ISO/IEC 14496-1, 8.3.3). Its bytes
// become the reader's end.
static bool codec_enter_descriptor(struct mp4_reader *reader, uint8_t tag)
{
    if (mp4_reader_u8(reader) != tag)
        return false;
    uint32_t size = 0;
    uint8_t byte = 0x80;
    for (int i = 0; i < 4 && byte & 0x80; i++) {
        byte = mp4_reader_u8(reader);
        size = size << 7 | (byte & 0x7f);
    }
    const uint8_t *data = mp4_reader_take(reader, size);
    if (data == NULL)
        return false;
    *reader = mp4_reader_init(data, size);
    return true;
}

// Bits from the highest on; behind the end there are zeros, and `failed`.
struct codec_bits {
    const uint8_t *data;
    size_t size;
    size_t at;
    bool failed;
};

static uint32_t codec_bits(struct codec_bits *bits, unsigned count)
{
    uint32_t value = 0;
    for (; count > 0; count--, bits->at++) {
        bits->failed |= bits->at / 8 >= bits->size;
        value =
            value << 1 | (bits->failed ? 0 : bits->data[bits->at / 8] >> (7 - bits->at % 8) & 1U);
    }
    return value;
}

static unsigned codec_bits_object(struct codec_bits *bits)
{
    unsigned object = codec_bits(bits, 5);
    return object == 31 ? 32 + codec_bits(bits, 6) : object;
}

static uint32_t codec_bits_rate(struct codec_bits *bits)
{
    static const uint32_t rates[] = {
        96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350};
    unsigned index = codec_bits(bits, 4);
    if (index == 15)
        return codec_bits(bits, 24);
    return index < ARRAY_LENGTH(rates) ? rates[index] : 0;
}

bool codec_read_aac(const uint8_t *config, size_t size, struct codec_aac *aac)
{
    struct codec_bits bits = {.data = config, .size = size};
    *aac = (struct codec_aac){.object = codec_bits_object(&bits)};
    aac->sample_rate = codec_bits_rate(&bits);
    aac->layout = codec_bits(&bits, 4);
    if (aac->object == AAC_OBJECT_SBR || aac->object == AAC_OBJECT_PS) {
        aac->high_band = true;
        codec_bits_rate(&bits);
        aac->object = codec_bits_object(&bits);
    }
    bool torn = bits.failed;
    aac->short_frames = codec_bits(&bits, 1);
    if (codec_bits(&bits, 1))
        codec_bits(&bits, 14); // coreCoderDelay
    codec_bits(&bits, 1);
    // Behind it an extension may tell of a high band (1.6.5.3).
    if (codec_bits(&bits, 11) == AAC_SYNC_EXTENSION && codec_bits_object(&bits) == AAC_OBJECT_SBR)
        aac->high_band |= codec_bits(&bits, 1);
    return !torn;
}

// Object type, sample rate and channels, as the file names them.
static bool codec_read_audio_config(struct mp4_reader config, struct codec_info *info)
{
    static const uint8_t channels[] = {0, 1, 2, 3, 4, 5, 6, 8};
    struct codec_bits bits = {.data = config.at, .size = config.left};
    if (config.left < 2)
        return false;
    unsigned object = codec_bits_object(&bits);
    uint32_t rate = codec_bits_rate(&bits);
    unsigned layout = codec_bits(&bits, 4);
    if (rate > 0)
        info->sample_rate = rate;
    if (layout > 0 && layout < ARRAY_LENGTH(channels))
        info->channels = channels[layout];
    snprintf(info->name, sizeof(info->name), "mp4a.40.%u", object);
    snprintf(info->family, sizeof(info->family), "aac");
    return true;
}

// esds (ISO/IEC 14496-14, 5.6): steps up to what is specific to the decoder. Returns false where it
// is torn.
static bool codec_enter_esds(struct mp4_reader *esds, uint8_t *object)
{
    mp4_reader_u32(esds); // version, flags
    if (!codec_enter_descriptor(esds, ESDS_DESCRIPTOR))
        return false;
    mp4_reader_u16(esds); // ES_ID
    uint8_t flags = mp4_reader_u8(esds);
    if (flags & 0x80)
        mp4_reader_u16(esds); // dependsOn_ES_ID
    if (flags & 0x40)
        mp4_reader_take(esds, mp4_reader_u8(esds)); // URL
    if (flags & 0x20)
        mp4_reader_u16(esds); // OCR_ES_Id
    if (!codec_enter_descriptor(esds, ESDS_DECODER_CONFIG))
        return false;
    *object = mp4_reader_u8(esds);
    mp4_reader_take(esds, 12); // stream type, buffer size, bit rates
    return !esds->failed;
}

// The object type, and for AAC its AudioSpecificConfig.
static bool codec_read_esds(struct mp4_reader esds, const char *type, struct codec_info *info)
{
    uint8_t object;
    if (!codec_enter_esds(&esds, &object))
        return false;
    snprintf(info->name, sizeof(info->name), "%s.%02x", type, object);
    switch (object) {
    case OBJECT_TYPE_AAC:
        return codec_enter_descriptor(&esds, ESDS_DECODER_SPECIFIC) &&
               codec_read_audio_config(esds, info);
    case OBJECT_TYPE_MP3:
    case OBJECT_TYPE_MP3_LOW:
        snprintf(info->family, sizeof(info->family), "mp3");
        return true;
    case OBJECT_TYPE_JPEG:
        snprintf(info->family, sizeof(info->family), "mjpeg");
        return true;
    case OBJECT_TYPE_MPEG4:
        snprintf(info->family, sizeof(info->family), "mpeg4");
        return true;
    default:
        return true;
    }
}

// The fields of a VisualSampleEntry (ISO/IEC 14496-12, 12.1.3), then its configuration box.
static bool codec_read_video(
    struct mp4_reader entry, uint32_t type, const char *text, struct codec_info *info)
{
    struct mp4_box box;
    mp4_reader_take(&entry, 24);
    info->width = mp4_reader_u16(&entry);
    info->height = mp4_reader_u16(&entry);
    mp4_reader_take(&entry, 50);
    if (entry.failed)
        return false;
    switch (type) {
    case MP4_TYPE('a', 'v', 'c', '1'):
    case MP4_TYPE('a', 'v', 'c', '3'):
        return mp4_box_find(&entry, MP4_TYPE('a', 'v', 'c', 'C'), &box) &&
               codec_read_avc(box.body, text, info);
    case MP4_TYPE('h', 'v', 'c', '1'):
    case MP4_TYPE('h', 'e', 'v', '1'):
        return mp4_box_find(&entry, MP4_TYPE('h', 'v', 'c', 'C'), &box) &&
               codec_read_hevc(box.body, text, info);
    case MP4_TYPE('a', 'v', '0', '1'):
        return mp4_box_find(&entry, MP4_TYPE('a', 'v', '1', 'C'), &box) &&
               codec_read_av1(box.body, info);
    case MP4_TYPE('m', 'p', '4', 'v'):
        return mp4_box_find(&entry, MP4_TYPE('e', 's', 'd', 's'), &box) &&
               codec_read_esds(box.body, text, info);
    case MP4_TYPE('j', 'p', 'e', 'g'):
    case MP4_TYPE('m', 'j', 'p', 'a'):
    case MP4_TYPE('m', 'j', 'p', 'b'):
        snprintf(info->family, sizeof(info->family), "mjpeg");
        return true;
    default:
        return true;
    }
}

// Finds a box of an AudioSampleEntry: behind its fields; behind those of QuickTime's versions 1 and
// 2; or in QuickTime's wave box.
static bool codec_find_audio_box(
    const struct mp4_reader *entry, uint16_t version, uint32_t type, struct mp4_box *box)
{
    struct mp4_reader boxes = *entry;
    struct mp4_box wave;
    if (mp4_box_find(&boxes, type, box))
        return true;
    if (version == 1)
        mp4_reader_take(&boxes, 16);
    else if (version == 2)
        mp4_reader_take(&boxes, 36);
    return mp4_box_find(&boxes, type, box) ||
           (mp4_box_find(&boxes, MP4_TYPE('w', 'a', 'v', 'e'), &wave) &&
               mp4_box_find(&wave.body, type, box));
}

// dOps (Encapsulation of Opus in ISO Base Media File Format, 4.3.2). Opus is decoded at 48 kHz.
static bool codec_read_opus(struct mp4_reader config, struct codec_info *info)
{
    mp4_reader_u8(&config); // version
    info->channels = mp4_reader_u8(&config);
    mp4_reader_take(&config, 9); // pre-skip, input rate, gain, mapping
    info->sample_rate = 48000;
    return !config.failed;
}

// The fields of an AudioSampleEntry (ISO/IEC 14496-12, 12.2.3), then its configuration box.
static bool codec_read_audio(struct mp4_reader entry, uint32_t type, struct codec_info *info)
{
    struct mp4_box box;
    mp4_reader_take(&entry, 8);
    uint16_t version = mp4_reader_u16(&entry);
    mp4_reader_take(&entry, 6);
    info->channels = mp4_reader_u16(&entry);
    mp4_reader_take(&entry, 6);
    info->sample_rate = mp4_reader_u32(&entry) >> 16;
    if (entry.failed)
        return false;
    switch (type) {
    case MP4_TYPE('m', 'p', '4', 'a'):
        return codec_find_audio_box(&entry, version, MP4_TYPE('e', 's', 'd', 's'), &box) &&
               codec_read_esds(box.body, "mp4a", info);
    case MP4_TYPE('O', 'p', 'u', 's'):
        snprintf(info->family, sizeof(info->family), "opus");
        return codec_find_audio_box(&entry, version, MP4_TYPE('d', 'O', 'p', 's'), &box) &&
               codec_read_opus(box.body, info);
    case MP4_TYPE('.', 'm', 'p', '3'):
        snprintf(info->name, sizeof(info->name), "mp3");
        snprintf(info->family, sizeof(info->family), "mp3");
        return true;
    default:
        return true;
    }
}

// Whether a sample entry of this type is video or audio; 0 when that is not known.
static enum media_kind codec_kind(uint32_t type)
{
    static const struct {
        uint32_t type;
        enum media_kind kind;
    } kinds[] = {
        {MP4_TYPE('a', 'v', 'c', '1'), MEDIA_VIDEO},
        {MP4_TYPE('a', 'v', 'c', '3'), MEDIA_VIDEO},
        {MP4_TYPE('h', 'v', 'c', '1'), MEDIA_VIDEO},
        {MP4_TYPE('h', 'e', 'v', '1'), MEDIA_VIDEO},
        {MP4_TYPE('a', 'v', '0', '1'), MEDIA_VIDEO},
        {MP4_TYPE('v', 'p', '0', '9'), MEDIA_VIDEO},
        {MP4_TYPE('m', 'p', '4', 'v'), MEDIA_VIDEO},
        {MP4_TYPE('j', 'p', 'e', 'g'), MEDIA_VIDEO},
        {MP4_TYPE('m', 'j', 'p', 'a'), MEDIA_VIDEO},
        {MP4_TYPE('m', 'j', 'p', 'b'), MEDIA_VIDEO},
        {MP4_TYPE('m', 'p', '4', 'a'), MEDIA_AUDIO},
        {MP4_TYPE('O', 'p', 'u', 's'), MEDIA_AUDIO},
        {MP4_TYPE('.', 'm', 'p', '3'), MEDIA_AUDIO},
        {MP4_TYPE('f', 'L', 'a', 'C'), MEDIA_AUDIO},
        {MP4_TYPE('a', 'l', 'a', 'w'), MEDIA_AUDIO},
        {MP4_TYPE('u', 'l', 'a', 'w'), MEDIA_AUDIO},
        {MP4_TYPE('a', 'c', '-', '3'), MEDIA_AUDIO},
        {MP4_TYPE('e', 'c', '-', '3'), MEDIA_AUDIO},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
        if (kinds[i].type == type)
            return kinds[i].kind;
    }
    return 0;
}

int codec_describe(const uint8_t *entry, size_t entry_size, struct codec_info *info, char **cause)
{
    struct mp4_reader reader = mp4_reader_init(entry, entry_size);
    struct mp4_box box;
    char type[5];
    *info = (struct codec_info){0};
    if (!mp4_box_next(&reader, &box) || reader.left > 0) {
        *cause = xasprintf("a sample entry of %zu bytes is not one box", entry_size);
        return -1;
    }
    codec_type_text(box.type, type);
    snprintf(info->name, sizeof(info->name), "%s", type);
    snprintf(info->family, sizeof(info->family), "%s", type);
    info->kind = codec_kind(box.type);
    bool sound = info->kind == 0 ||
                 (info->kind == MEDIA_VIDEO ? codec_read_video(box.body, box.type, type, info)
                                            : codec_read_audio(box.body, box.type, info));
    if (sound)
        return 0;
    *cause = xasprintf("the sample entry %s is torn or contradicts itself", type);
    return -1;
}

enum codec_sound codec_sound_config(
    const uint8_t *entry, size_t entry_size, const uint8_t **config, size_t *size)
{
    struct mp4_reader reader = mp4_reader_init(entry, entry_size);
    struct mp4_box sound, box;
    uint8_t object;
    if (!mp4_box_next(&reader, &sound) || codec_kind(sound.type) != MEDIA_AUDIO)
        return CODEC_SOUND_OTHER;
    mp4_reader_take(&sound.body, 8);
    uint16_t version = mp4_reader_u16(&sound.body);
    mp4_reader_take(&sound.body, 18);
    enum codec_sound codec = CODEC_SOUND_OTHER;
    if (sound.type == MP4_TYPE('m', 'p', '4', 'a') &&
        codec_find_audio_box(&sound.body, version, MP4_TYPE('e', 's', 'd', 's'), &box) &&
        codec_enter_esds(&box.body, &object) && object == OBJECT_TYPE_AAC &&
        codec_enter_descriptor(&box.body, ESDS_DECODER_SPECIFIC))
        codec = CODEC_SOUND_AAC;
    else if (sound.type == MP4_TYPE('O', 'p', 'u', 's') &&
             codec_find_audio_box(&sound.body, version, MP4_TYPE('d', 'O', 'p', 's'), &box))
        codec = CODEC_SOUND_OPUS;
    if (codec != CODEC_SOUND_OTHER) {
        *config = box.body.at;
        *size = box.body.left;
    }
    return codec;
}
