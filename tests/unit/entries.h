// Sample entries made by hand, for tests: nothing in them matters but the decoder's configuration.
#pragma once

#include <string.h>

#include "lib/core/buf.h"
#include "lib/media/mp4_write.h"

// One of video with a box of that type and those bytes.
static inline struct buf entry_video(
    const char *type, const char *box, const uint8_t *config, size_t size)
{
    struct buf entry = BUF_INIT;
    size_t outer = mp4_box_begin(&entry, type);
    buf_put_zeros(&entry, 78);
    size_t inner = mp4_box_begin(&entry, box);
    buf_put(&entry, config, size);
    mp4_box_end(&entry, inner);
    mp4_box_end(&entry, outer);
    return entry;
}

static inline void entry_put_sound(struct buf *entry, uint32_t rate)
{
    buf_put_zeros(entry, 24);
    buf_put_u32(entry, rate << 16);
}

// mp4a with an AudioSpecificConfig.
static inline struct buf entry_aac(const uint8_t *config, size_t size)
{
    struct buf entry = BUF_INIT;
    size_t outer = mp4_box_begin(&entry, "mp4a");
    entry_put_sound(&entry, 16000);
    size_t esds = mp4_full_box_begin(&entry, "esds", 0, 0);
    const uint8_t head[] = {3, (uint8_t)(20 + size), 0, 0, 0, 4, (uint8_t)(15 + size), 0x40, 0x15};
    buf_put(&entry, head, sizeof(head));
    buf_put_zeros(&entry, 11);
    buf_put_u8(&entry, 5);
    buf_put_u8(&entry, (uint8_t)size);
    buf_put(&entry, config, size);
    mp4_box_end(&entry, esds);
    mp4_box_end(&entry, outer);
    return entry;
}

static inline struct buf entry_opus(uint8_t channels, uint8_t family)
{
    const uint8_t config[] = {0, channels, 1, 56, 0, 0, 0xbb, 0x80, 0, 0, family};
    struct buf entry = BUF_INIT;
    size_t outer = mp4_box_begin(&entry, "Opus");
    entry_put_sound(&entry, 48000);
    size_t box = mp4_box_begin(&entry, "dOps");
    buf_put(&entry, config, sizeof(config));
    mp4_box_end(&entry, box);
    mp4_box_end(&entry, outer);
    return entry;
}
