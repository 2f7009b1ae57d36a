// The first units of key samples. See mp4_nal.h.
#include "lib/media/mp4_nal.h"

#include "lib/media/nal.h"

enum {
    NAL_KEYS_MAX = 1024,
    NAL_UNITS_MAX = 64, // before the first slice

    NAL_SPS = 1,
    NAL_PPS = 2,
    NAL_VPS = 4,
    NAL_SLICE = 8,

    OBU_SEQUENCE_HEADER = 1, // AV1, 6.2.2
    OBU_FRAME_HEADER = 3,
    OBU_FRAME = 6,
    OBU_HEAD_MAX = 2 + 8, // header, extension, size
};

// How NAL units stand in a track's samples.
struct nal_format {
    bool h265;
    bool av1;
    unsigned length_size;
    unsigned needed; // of the parameter sets
};

// Reads it out of a sample entry. Returns false for any other codec.
static bool nal_format_read(const struct media_track *track, struct nal_format *format)
{
    struct mp4_reader reader = mp4_reader_init(track->entry, track->entry_size);
    struct mp4_box entry;
    if (track->kind != MEDIA_VIDEO || !mp4_box_next(&reader, &entry))
        return false;
    bool h264 =
        entry.type == MP4_TYPE('a', 'v', 'c', '1') || entry.type == MP4_TYPE('a', 'v', 'c', '3');
    format->h265 =
        entry.type == MP4_TYPE('h', 'v', 'c', '1') || entry.type == MP4_TYPE('h', 'e', 'v', '1');
    format->av1 = entry.type == MP4_TYPE('a', 'v', '0', '1');
    if (format->av1)
        return true;
    format->length_size = nal_length_size(track->entry, track->entry_size);
    format->needed = NAL_SPS | NAL_PPS | (h264 ? 0U : NAL_VPS);
    return (h264 || format->h265) && format->length_size > 0;
}

// What kind a unit is, from its first byte.
static unsigned nal_kind(const struct nal_format *format, uint8_t byte)
{
    unsigned type = format->h265 ? byte >> 1 & 0x3fU : byte & 0x1fU;
    if (format->h265)
        return type < 32    ? NAL_SLICE
               : type == 32 ? NAL_VPS
               : type == 33 ? NAL_SPS
               : type == 34 ? NAL_PPS
                            : 0;
    return type >= 1 && type <= 5 ? NAL_SLICE : type == 7 ? NAL_SPS : type == 8 ? NAL_PPS : 0;
}

// Whether a sample carries all parameter sets before its first slice.
static bool nal_sample_complete(
    struct mp4_file *file, const struct nal_format *format, const struct media_sample *sample)
{
    uint64_t at = sample->offset;
    const uint64_t end = sample->offset + sample->size;
    unsigned found = 0;
    for (int i = 0; i < NAL_UNITS_MAX && end - at > format->length_size; i++) {
        const uint8_t *head = mp4_file_get(file, at, format->length_size + 1);
        if (head == NULL)
            return false;
        struct mp4_reader reader = mp4_reader_init(head, format->length_size + 1);
        uint64_t size = mp4_reader_uint(&reader, format->length_size);
        unsigned kind = size > 0 ? nal_kind(format, mp4_reader_u8(&reader)) : 0;
        if (kind == NAL_SLICE)
            break;
        found |= kind;
        at += format->length_size;
        if (size > end - at)
            return false;
        at += size;
    }
    return (found & format->needed) == format->needed;
}

// Whether a sample carries a sequence header before its first frame.
static bool obu_sample_complete(struct mp4_file *file, const struct media_sample *sample)
{
    uint64_t at = sample->offset;
    const uint64_t end = sample->offset + sample->size;
    for (int i = 0; i < NAL_UNITS_MAX && at < end; i++) {
        uint64_t want = end - at < OBU_HEAD_MAX ? end - at : OBU_HEAD_MAX;
        const uint8_t *head = mp4_file_get(file, at, want);
        if (head == NULL)
            return false;
        struct mp4_reader reader = mp4_reader_init(head, (size_t)want);
        uint8_t flags = mp4_reader_u8(&reader), byte = 0x80;
        unsigned type = flags >> 3 & 0xfU;
        if (type == OBU_SEQUENCE_HEADER)
            return true;
        if (type == OBU_FRAME_HEADER || type == OBU_FRAME || !(flags & 2))
            return false;
        if (flags & 4)
            mp4_reader_u8(&reader);
        uint64_t size = 0;
        for (unsigned shift = 0; byte & 0x80 && !reader.failed; shift += 7) {
            byte = mp4_reader_u8(&reader);
            size |= shift < 63 ? (uint64_t)(byte & 0x7f) << shift : 0;
        }
        at += want - reader.left;
        if (reader.failed || size > end - at)
            return false;
        at += size;
    }
    return false;
}

void mp4_find_parameter_sets(struct mp4_file *file, struct media_segment *segment)
{
    for (size_t i = 0; i < segment->track_count; i++) {
        struct media_track *track = &segment->tracks[i];
        struct nal_format format = {0};
        unsigned keys = 0;
        if (!nal_format_read(track, &format))
            continue;
        bool complete = true;
        for (size_t j = 0; j < track->sample_count && complete; j++) {
            if (track->samples[j].key)
                complete = ++keys <= NAL_KEYS_MAX &&
                           (format.av1 ? obu_sample_complete(file, &track->samples[j])
                                       : nal_sample_complete(file, &format, &track->samples[j]));
        }
        track->parameter_sets = complete && keys > 0;
    }
}
