// Units in video samples. See nal.h.
#include "lib/media/nal.h"

#include "lib/media/mp4_reader.h"

enum {
    NAL_ENTRY_FIELDS = 78,   // of a VisualSampleEntry before its boxes (ISO/IEC 14496-12, 12.1.3)
    NAL_AVC_LENGTH_AT = 4,   // AVCDecoderConfigurationRecord (14496-15, 5.3.3.1)
    NAL_HEVC_LENGTH_AT = 21, // HEVCDecoderConfigurationRecord (8.3.3.1)
};

unsigned nal_length_size(const uint8_t *entry, size_t entry_size)
{
    struct mp4_reader reader = mp4_reader_init(entry, entry_size);
    struct mp4_box box, config;
    if (!mp4_box_next(&reader, &box) || mp4_reader_take(&box.body, NAL_ENTRY_FIELDS) == NULL)
        return 0;
    size_t at = 0;
    if (mp4_box_find(&box.body, MP4_TYPE('a', 'v', 'c', 'C'), &config))
        at = NAL_AVC_LENGTH_AT;
    else if (mp4_box_find(&box.body, MP4_TYPE('h', 'v', 'c', 'C'), &config))
        at = NAL_HEVC_LENGTH_AT;
    if (at == 0 || config.body.left <= at)
        return 0;
    return (config.body.at[at] & 3u) + 1;
}

bool nal_sample_whole(const uint8_t *sample, size_t size, unsigned length_size)
{
    struct mp4_reader reader = mp4_reader_init(sample, size);
    while (reader.left > 0) {
        uint64_t length = mp4_reader_uint(&reader, length_size);
        const uint8_t *unit = length > 0 ? mp4_reader_take(&reader, length) : NULL;
        if (unit == NULL || unit[0] & 0x80)
            return false;
    }
    return size > 0;
}
