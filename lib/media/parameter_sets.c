// Parameter sets out of sample entries. See parameter_sets.h.
#include "lib/media/parameter_sets.h"

#include "lib/media/mp4_reader.h"

enum {
    SETS_ENTRY_FIELDS = 78, // of a VisualSampleEntry before its boxes (ISO/IEC 14496-12, 12.1.3)
    SETS_H265_VPS = 32,
    SETS_H265_PPS = 34,
    SETS_OBU_SEQUENCE = 1,
    SETS_OBU_BYTES_MAX = 8, // of a size (AV1, 4.10.5)
};

// One unit behind its length. What does not fit its length field makes the whole useless.
static bool sets_put_unit(
    struct mp4_reader *config, size_t unit_size, unsigned length_size, struct buf *out)
{
    const uint8_t *unit = mp4_reader_take(config, unit_size);
    if (unit == NULL || unit_size == 0 || (uint64_t)unit_size >> 8 * length_size != 0)
        return false;
    for (unsigned i = length_size; i-- > 0;)
        buf_put_u8(out, (uint8_t)(unit_size >> 8 * i));
    buf_put(out, unit, unit_size);
    return true;
}

static bool sets_put_avc(struct mp4_reader config, struct buf *out)
{
    mp4_reader_take(&config, 4); // version, profile, constraints, level
    unsigned length_size = (mp4_reader_u8(&config) & 3U) + 1;
    for (int kind = 0; kind < 2; kind++) {
        unsigned count = mp4_reader_u8(&config) & (kind == 0 ? 0x1fU : 0xffU);
        for (; count > 0; count--)
            if (!sets_put_unit(&config, mp4_reader_u16(&config), length_size, out))
                return false;
    }
    return !config.failed;
}

static bool sets_put_hevc(struct mp4_reader config, struct buf *out)
{
    mp4_reader_take(&config, 21);
    unsigned length_size = (mp4_reader_u8(&config) & 3U) + 1;
    unsigned arrays = mp4_reader_u8(&config);
    for (; arrays > 0; arrays--) {
        unsigned type = mp4_reader_u8(&config) & 0x3fU;
        unsigned count = mp4_reader_u16(&config);
        for (; count > 0 && !config.failed; count--) {
            size_t size = mp4_reader_u16(&config);
            if (type < SETS_H265_VPS || type > SETS_H265_PPS)
                mp4_reader_take(&config, size);
            else if (!sets_put_unit(&config, size, length_size, out))
                return false;
        }
    }
    return !config.failed;
}

// The sequence header among the open bitstream units behind the record's four bytes, each of which
// says its size (AV1, 5.3).
static bool sets_put_av1(struct mp4_reader config, struct buf *out)
{
    mp4_reader_take(&config, 4);
    while (config.left > 0) {
        const uint8_t *start = config.at;
        uint8_t head = mp4_reader_u8(&config), byte = 0x80;
        uint64_t size = 0;
        if (head & 4)
            mp4_reader_u8(&config);
        if (!(head & 2))
            return false;
        for (unsigned i = 0; i < SETS_OBU_BYTES_MAX && byte & 0x80; i++) {
            byte = mp4_reader_u8(&config);
            size |= (uint64_t)(byte & 0x7f) << 7 * i;
        }
        if (mp4_reader_take(&config, size) == NULL)
            return false;
        if ((head >> 3 & 0xf) == SETS_OBU_SEQUENCE)
            buf_put(out, start, (size_t)(config.at - start));
    }
    return !config.failed;
}

void parameter_sets_make(const uint8_t *entry, size_t entry_size, struct buf *out)
{
    static const struct {
        uint32_t type;
        bool (*put)(struct mp4_reader config, struct buf *out);
    } codecs[] = {
        {MP4_TYPE('a', 'v', 'c', 'C'), sets_put_avc},
        {MP4_TYPE('h', 'v', 'c', 'C'), sets_put_hevc},
        {MP4_TYPE('a', 'v', '1', 'C'), sets_put_av1},
    };
    struct mp4_reader reader = mp4_reader_init(entry, entry_size);
    struct mp4_box box, config;
    size_t before = out->size;
    if (!mp4_box_next(&reader, &box) || mp4_reader_take(&box.body, SETS_ENTRY_FIELDS) == NULL)
        return;
    for (size_t i = 0; i < sizeof(codecs) / sizeof(codecs[0]); i++) {
        if (!mp4_box_find(&box.body, codecs[i].type, &config))
            continue;
        if (!codecs[i].put(config.body, out) || out->size - before > PARAMETER_SETS_SIZE_MAX)
            out->size = before;
        return;
    }
}
