// The camera's clock. See probe_clock.h.
#include "supervisor/probe_clock.h"

#include <string.h>

#include "lib/core/timeutil.h"

enum {
    PROBE_CLOCK_PRFT_SIZE = 24, // up to the end of the NTP time
    PROBE_CLOCK_NTP_OFFSET = 16,
};

// From NTP's epoch, 1900, to ours (RFC 5905, 6).
#define PROBE_CLOCK_NTP_EPOCH_S INT64_C(2208988800)

static uint64_t probe_clock_read(const uint8_t *data, int bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++)
        value = value << 8 | data[i];
    return value;
}

static int64_t probe_clock_ntp_us(uint64_t ntp)
{
    int64_t seconds = (int64_t)(ntp >> 32) - PROBE_CLOCK_NTP_EPOCH_S;
    int64_t fraction_us = (int64_t)(((ntp & 0xffffffff) * (uint64_t)US_PER_SECOND) >> 32);
    return seconds * US_PER_SECOND + fraction_us;
}

bool probe_clock_skew(
    const uint8_t *data, size_t size, const struct probe_stats *stats, int64_t *skew_us)
{
    size_t frame = 0; // of the next fragment
    uint64_t ntp = 0; // of its `prft`
    bool is_found = false;
    size_t seen = stats->tracks[0].frames < PROBE_STATS_FRAMES_MAX ? stats->tracks[0].frames
                                                                   : PROBE_STATS_FRAMES_MAX;
    for (size_t offset = 0; size - offset >= 8 && frame < seen;) {
        const uint8_t *box = data + offset;
        uint64_t box_size = probe_clock_read(box, 4);
        if (box_size < 8 || box_size > size - offset)
            break;
        if (memcmp(box + 4, "prft", 4) == 0 && box_size >= PROBE_CLOCK_PRFT_SIZE) {
            ntp = probe_clock_read(box + PROBE_CLOCK_NTP_OFFSET, 8);
        } else if (memcmp(box + 4, "moof", 4) == 0) {
            int64_t ahead_us = probe_clock_ntp_us(ntp) - stats->arrival_us[frame];
            if (ntp != 0 && stats->is_timed[frame] && (!is_found || ahead_us > *skew_us)) {
                *skew_us = ahead_us;
                is_found = true;
            }
            ntp = 0;
            frame++;
        }
        offset += box_size;
    }
    return is_found;
}
