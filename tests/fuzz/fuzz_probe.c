// links: kf-supervisor
// Any bytes as what a camera announces, and as what ffmpeg says of it.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "supervisor/probe_clock.h"
#include "supervisor/probe_sdp.h"
#include "supervisor/probe_stats.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_sdp(const char *text, size_t size)
{
    struct probe_sdp sdp;
    probe_sdp_parse(text, size, &sdp);
    const struct probe_sdp_media *media[] = {&sdp.video, &sdp.audio};
    for (size_t i = 0; i < ARRAY_LENGTH(media); i++) {
        if (strlen(media[i]->encoding) >= PROBE_SDP_NAME_SIZE || media[i]->clock_rate < 0 ||
            !(media[i]->framerate >= 0))
            abort();
        free(probe_sdp_address(sdp.control, media[i]->control));
    }
}

static void check_stats(const uint8_t *data, size_t size)
{
    static struct probe_stats stats;
    char *text = xstrndup((const char *)data, size), *at = text;
    int64_t skew_us;
    memset(&stats, 0, sizeof(stats));
    while (*at != '\0') {
        size_t length = strcspn(at, "\n");
        char *line = xstrndup(at, length);
        probe_stats_line(&stats, line, 1);
        probe_stats_describe(&stats, line);
        free(line);
        at += length + (at[length] == '\n');
    }
    for (int i = 0; i < PROBE_STATS_TRACKS; i++) {
        if (!(probe_track_fps(&stats.tracks[i]) >= 0) ||
            !(probe_track_bitrate(&stats.tracks[i]) >= 0) ||
            !(probe_track_key_seconds(&stats.tracks[i]) >= 0))
            abort();
    }
    probe_clock_skew(data, size, &stats, &skew_us);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_sdp((const char *)data, size);
    check_stats(data, size);
    return 0;
}
