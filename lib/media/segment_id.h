// A segment's identity, CAMERA/STREAM/RUN-NNNNNN, and the names that files get from it.
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
    SEGMENT_NAME_MAX = 64,   // of a camera or stream, its NUL included
    SEGMENT_TEXT_SIZE = 192, // fits an identity
    SEGMENT_KEY_SIZE = 256,  // fits a volume key
};

struct segment_id {
    char camera[SEGMENT_NAME_MAX];
    char stream[SEGMENT_NAME_MAX];
    int64_t run; // start of the run, epoch milliseconds
    uint32_t number;
};

// Whether a camera's or stream's name matches [a-z0-9][a-z0-9_-]{0,62}.
bool segment_name_valid(const char *name);

// "CAMERA/STREAM/RUN-NNNNNN". Parsing is strict: what it accepts is what formatting gives.
void segment_id_format(const struct segment_id *id, char text[SEGMENT_TEXT_SIZE]);
bool segment_id_parse(const char *text, struct segment_id *id);

// The name in the cache, "RUN-NNNNNN.mp4".
bool segment_file_parse(const char *name, int64_t *run, uint32_t *number);

// The key in a volume, "CAMERA/STREAM/YYYY-MM-DD/YYYY-MM-DD_HH-MM-SS.mmm+ZZZZ.mp4", in local time
// of the offset given (seconds east of UTC).
void segment_key_format(
    const struct segment_id *id, int64_t start_us, int utc_offset_s, char key[SEGMENT_KEY_SIZE]);
