// A clip as RTP packets (RFC 6184, packetisation mode 1: single NAL units and FU-A), interleaved
// (RFC 2326, 10.12). See crowdcam.h.
#include "tests/tools/crowdcam.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"

enum {
    NAL_KEY = 5,
    NAL_SPS = 7,
    NAL_PPS = 8,
    NAL_DELIMITER = 9,
    NAL_FU_A = 28,
    RTP_TYPE = 96,
    INTERLEAVED_HEADER = 4,
    RTP_HEADER = 12,
    PAYLOAD_MAX = 1400,
};

static struct clip_unit *clip_last(struct clip *clip)
{
    return clip->count > 0 ? &clip->units[clip->count - 1] : NULL;
}

static void clip_add_unit(struct clip *clip)
{
    ARRAY_RESERVE(clip->units, clip->count, clip->capacity);
    clip->units[clip->count++] = (struct clip_unit){.packets = BUF_INIT};
}

static void clip_put_header(struct buf *out, size_t payload_size)
{
    buf_put_u8(out, '$');
    buf_put_u8(out, CROWDCAM_RTP_CHANNEL);
    buf_put_u16(out, (uint16_t)(RTP_HEADER + payload_size));
    buf_put_u8(out, 0x80); // version 2
    buf_put_u8(out, RTP_TYPE);
    buf_put_zeros(out, RTP_HEADER - 2);
}

static void clip_put_fragments(struct buf *out, const uint8_t *nal, size_t size)
{
    const uint8_t indicator = (uint8_t)((nal[0] & 0xE0) | NAL_FU_A), type = nal[0] & 0x1F;
    for (size_t at = 1; at < size;) {
        size_t piece = size - at < PAYLOAD_MAX - 2 ? size - at : PAYLOAD_MAX - 2;
        uint8_t edges = (uint8_t)((at == 1 ? 0x80 : 0) | (at + piece == size ? 0x40 : 0));
        clip_put_header(out, 2 + piece);
        buf_put_u8(out, indicator);
        buf_put_u8(out, edges | type);
        buf_put(out, nal + at, piece);
        at += piece;
    }
}

// The last packet of a picture is marked.
static void clip_mark_last(struct clip_unit *unit)
{
    uint8_t *data = unit->packets.data, *last = NULL;
    for (size_t at = 0; at < unit->packets.size;
         at += INTERLEAVED_HEADER + ((size_t)data[at + 2] << 8 | data[at + 3]))
        last = data + at;
    if (last != NULL)
        last[INTERLEAVED_HEADER + 1] |= 0x80;
}

static void clip_put_base64(struct buf *out, const uint8_t *data, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t at = 0; at < size; at += 3) {
        size_t left = size - at;
        uint32_t bits = (uint32_t)data[at] << 16 | (left > 1 ? (uint32_t)data[at + 1] << 8 : 0) |
                        (left > 2 ? data[at + 2] : 0u);
        buf_put_u8(out, (uint8_t)digits[bits >> 18]);
        buf_put_u8(out, (uint8_t)digits[bits >> 12 & 63]);
        buf_put_u8(out, left > 1 ? (uint8_t)digits[bits >> 6 & 63] : '=');
        buf_put_u8(out, left > 2 ? (uint8_t)digits[bits & 63] : '=');
    }
}

static void clip_take_nal(struct clip *clip, struct buf *format, const uint8_t *nal, size_t size)
{
    unsigned type = nal[0] & 0x1F;
    if (type == NAL_DELIMITER || clip->count == 0) {
        clip_add_unit(clip);
        if (type == NAL_DELIMITER)
            return;
    }
    struct clip_unit *unit = clip_last(clip);
    if (type == NAL_KEY)
        unit->is_key = true;
    if (type == NAL_SPS && clip->count == 1 && size >= 4) {
        buf_printf(
            format, "profile-level-id=%02X%02X%02X;sprop-parameter-sets=", nal[1], nal[2], nal[3]);
        clip_put_base64(format, nal, size);
    }
    if (type == NAL_PPS && clip->count == 1) {
        buf_put_u8(format, ',');
        clip_put_base64(format, nal, size);
    }
    if (size > PAYLOAD_MAX) {
        clip_put_fragments(&unit->packets, nal, size);
    } else {
        clip_put_header(&unit->packets, size);
        buf_put(&unit->packets, nal, size);
    }
}

// Where the next start code (00 00 01) begins, from `at` on; `size` when there is none.
static size_t clip_find_start(const uint8_t *data, size_t size, size_t at)
{
    for (; at + 3 <= size; at++)
        if (data[at] == 0 && data[at + 1] == 0 && data[at + 2] == 1)
            return at;
    return size;
}

static void clip_parse(struct clip *clip, struct buf *format, const uint8_t *data, size_t size)
{
    size_t start = clip_find_start(data, size, 0);
    while (start < size) {
        size_t nal = start + 3, next = clip_find_start(data, size, nal), end = next;
        while (end > nal && data[end - 1] == 0) // zeros behind a NAL unit, or the next one's
            end--;
        if (end > nal)
            clip_take_nal(clip, format, data + nal, end - nal);
        start = next;
    }
    for (size_t i = 0; i < clip->count; i++)
        clip_mark_last(&clip->units[i]);
}

static int clip_load(const char *path, struct buf *content, char **cause)
{
    uint8_t piece[65536];
    size_t got;
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        *cause = xasprintf("%s: %s", path, strerror(errno));
        return -1;
    }
    while ((got = fread(piece, 1, sizeof(piece), file)) > 0)
        buf_put(content, piece, got);
    fclose(file);
    return 0;
}

struct clip *clip_read(const char *path, char **cause)
{
    struct buf content = BUF_INIT, format = BUF_INIT;
    if (clip_load(path, &content, cause) < 0)
        return NULL;
    struct clip *clip = xcalloc(1, sizeof(*clip));
    clip_parse(clip, &format, content.data, content.size);
    buf_fini(&content);
    clip->format = buf_string(&format);
    if (clip->count > 0 && clip->units[0].is_key && *clip->format != '\0')
        return clip;
    *cause = xasprintf("%s: it does not begin with a key frame of H.264", path);
    clip_free(clip);
    return NULL;
}

void clip_free(struct clip *clip)
{
    if (clip == NULL)
        return;
    for (size_t i = 0; i < clip->count; i++)
        buf_fini(&clip->units[i].packets);
    free(clip->units);
    free(clip->format);
    free(clip);
}

static void clip_set_u32(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> (24 - 8 * i));
}

unsigned clip_put_unit(
    const struct clip_unit *unit, struct rtp_place *place, struct buf *out, uint32_t *octets)
{
    unsigned packets = 0;
    size_t size = unit->packets.size, length;
    uint8_t *copy = buf_extend(out, size);
    memcpy(copy, unit->packets.data, size);
    for (uint8_t *at = copy; at < copy + size; at += INTERLEAVED_HEADER + length) {
        uint8_t *rtp = at + INTERLEAVED_HEADER;
        length = (size_t)at[2] << 8 | at[3];
        rtp[2] = (uint8_t)(place->sequence >> 8);
        rtp[3] = (uint8_t)place->sequence;
        clip_set_u32(rtp + 4, place->timestamp);
        clip_set_u32(rtp + 8, place->ssrc);
        place->sequence++;
        packets++;
        *octets += (uint32_t)(length - RTP_HEADER);
    }
    return packets;
}
