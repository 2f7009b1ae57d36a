// Whether an ffmpeg is alive. See vitality.h.
#include "supervisor/vitality.h"

#include "lib/core/timeutil.h"

#define VITALITY_GRACE_US (2 * US_PER_SECOND)
#define VITALITY_PROBE_US (10 * US_PER_SECOND)
#define VITALITY_NO_FRAMES_US (60 * US_PER_SECOND)
#define VITALITY_NO_FIRST_FRAME_US (300 * US_PER_SECOND)
#define VITALITY_FILE_AGE_MAX_US (3600 * US_PER_SECOND)
#define VITALITY_FILE_SIZE_MAX (INT64_C(4) << 30)

void vitality_begin(struct vitality *vitality, int64_t now_us)
{
    *vitality = (struct vitality){.sign_us = now_us, .frame_us = now_us};
}

void vitality_block(struct vitality *vitality, int64_t frames, int64_t now_us)
{
    vitality->sign_us = vitality->block_us = now_us;
    if (frames > vitality->frames)
        vitality->frame_us = now_us;
    vitality->frames = frames;
}

void vitality_file(struct vitality *vitality, int64_t number, int64_t size, int64_t now_us)
{
    if (number != vitality->file_number || vitality->file_us == 0) {
        vitality->file_us = now_us;
        vitality->file_size = 0;
        vitality->file_number = number;
    }
    if (size > vitality->file_size)
        vitality->sign_us = now_us;
    vitality->file_size = size;
}

void vitality_forgive(struct vitality *vitality, int64_t now_us)
{
    vitality->sign_us = vitality->frame_us = now_us;
}

static int64_t vitality_max(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

enum reason vitality_judge(
    const struct vitality *vitality, int64_t timeout_us, int64_t segment_us, int64_t now_us)
{
    // Before the first block it resolves, connects (each step may take the timeout) and probes.
    int64_t silence_us = vitality->block_us != 0 ? 2 * timeout_us + VITALITY_GRACE_US
                                                 : 4 * timeout_us + VITALITY_PROBE_US;
    if (now_us - vitality->sign_us > silence_us)
        return REASON_STALLED;
    // The first frame is a key frame, and a camera may send one in a long while only.
    int64_t patience_us = vitality->frames > 0 ? VITALITY_NO_FRAMES_US : VITALITY_NO_FIRST_FRAME_US;
    if (now_us - vitality->frame_us > vitality_max(4 * timeout_us, patience_us))
        return REASON_NO_FRAMES;
    int64_t age_max_us = vitality_max(2 * segment_us, VITALITY_FILE_AGE_MAX_US);
    if (vitality->file_us != 0 &&
        (now_us - vitality->file_us > age_max_us || vitality->file_size > VITALITY_FILE_SIZE_MAX))
        return REASON_NO_KEYFRAME;
    return REASON_NONE;
}
