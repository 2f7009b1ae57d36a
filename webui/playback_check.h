// Whether footage can stand in one file as it was asked for.
#pragma once

#include "webui/layout.h"

// Returns false with the reply filled: 404 without footage, 409 for gaps (where they shall fail)
// and for a change of codec, both with the ranges concerned.
bool playback_check(
    const struct footage *footage, const struct layout_key *key, struct reply *reply);
