// What the virtual files of recorded footage have in common, whatever they show of it: how a range
// is asked for, a codec chosen, and how long an answer lasts.
#pragma once

#include "lib/core/timeutil.h"
#include "webui/layout.h"
#include "webui/route.h"

enum {
    PRODUCT_DAYS_MAX = 31,
    PRODUCT_SEGMENTS_MAX = 100000,
};

// The families of codec.h that a segment may have, behind "any".
extern const char *const product_codecs[];

// Reads names and end of a range whose start is known. Returns false with the reply filled.
bool product_read_range(const struct request *request, const struct query_value *end,
    const struct query_value *duration, struct layout_key *key, struct reply *reply);

// Answers for footage that could not be loaded. Returns false when all is well.
bool product_load_failed(struct reply *reply, const char *camera, const char *stream,
    enum catalog_status status, const char *cause);

// Answers for what can not be laid out: later, when the catalog was busy.
void product_refuse(
    struct reply *reply, const struct layout_key *key, bool busy, const char *cause);

// Leaves tracks of that kind out which have another codec than was asked for.
void product_choose_codec(struct footage *footage, int codec);

// Fills the segments of a request, as many as the footage has, but for their sample entries.
void product_describe(const struct footage *footage, struct vfile_segment *segments);

// Says for how long a client may rely on the answer, when nothing can come into its range.
void product_lasts(struct reply *reply, const struct layout *layout);

// "2026-03-31_07-30-00", as names of files have it.
void product_file_time(int64_t time_us, char text[TIME_TEXT_SIZE]);
