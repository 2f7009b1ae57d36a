// The metadata of a sealed segment: QuickTime's mdta keys in moov/meta. Private to mp4_*.c.
#pragma once

#include "lib/core/buf.h"
#include "lib/media/mp4_read.h"

void mp4_put_tags(struct buf *buf, const struct mp4_tags *tags);
