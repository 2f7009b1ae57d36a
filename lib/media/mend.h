// Mends what the first RTCP sender report does to a run: the recorder begins each track at an
// origin of its own, and moves one of them by their true distance when that report comes, seconds
// later. Moved ahead, one sample lasts too long; moved back, samples are squeezed to a tick each
// until their time has caught up. The samples before it move by the same distance, squeezed ones
// get their spacing back: both tracks are then continuous and in step from the first sample.
//
// Pure functions of the fragments' own times. What was found is written into the sealed file, so
// that whoever reads its fragments comes to the same times.
#pragma once

#include "lib/media/media.h"

enum {
    MEND_TEXT_SIZE = 128,
};

// What is to be mended in a run, in ticks of the track as the fragments have them. Zeroed: nothing.
struct mend {
    enum media_kind kind; // of the track that moved; 0: none did
    int64_t at;           // decode time of the first sample whose spacing is wrong,
    int64_t end;          // and of the first one behind them, which stands right
    uint32_t count;       // samples from `at` on: one that is too long, or many squeezed ones
    uint32_t usual;       // the spacing they get
    int32_t composition;  // and the composition offset of squeezed ones: their own are lost
};

// Whether so much of a run is there, in the files from its first one on, that a jump would show.
bool mend_ready(const struct media_segment *segments, size_t count);

// Looks for a jump of 0.1 to 5 s of one track, while the other runs on, in the first 12 s. Returns
// whether there is one.
bool mend_find(const struct media_segment *segments, size_t count, struct mend *mend);

// Gives a file of the run its mended times. Returns false, with nothing changed, where the mending
// does not concern its samples, or does not fit them.
bool mend_apply(const struct mend *mend, struct media_segment *segment);

// Samples of the file, as its fragments have it, whose order of presentation is lost.
uint32_t mend_lost(const struct mend *mend, const struct media_segment *segment);

// As text, empty for none; reading it back returns false for anything else.
void mend_format(const struct mend *mend, char text[MEND_TEXT_SIZE]);
bool mend_parse(const char *text, struct mend *mend);
