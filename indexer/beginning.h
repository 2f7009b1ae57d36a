// The first seconds of a run, over the files that begin in them: whether, and how, their times have
// to be mended (mend.h). It blocks: for the volume's worker.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/media/mend.h"

enum {
    BEGINNING_FILES_MAX = 8, // after the first one
};

// Looks for what is to be mended in a run whose first file is `first`; `paths` name those that come
// after it, as far as they are there, `over` says that no more will come. Returns false, with
// nothing decided, when more of the run has to be awaited.
bool beginning_find(const struct media_segment *first, char *const *paths, size_t count, bool over,
    struct mend *mend);
