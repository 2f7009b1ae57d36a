// New identities. See uuid.h.
#include "lib/core/uuid.h"

#include <assert.h>
#include <stdio.h>
#include <sys/random.h>

enum {
    UUID_BYTES = 16,
    UUID_TIME_BYTES = 6,
};

void uuid_make(int64_t now_us, char text[UUID_TEXT_SIZE])
{
    uint8_t bytes[UUID_BYTES];
    // So few bytes come at once or, before the kernel has gathered randomness, a little later.
    ssize_t got = getrandom(bytes, sizeof(bytes), 0);
    assert(got == sizeof(bytes));
    uint64_t time_ms = (uint64_t)now_us / 1000;
    for (int i = 0; i < UUID_TIME_BYTES; i++)
        bytes[i] = (uint8_t)(time_ms >> (8 * (UUID_TIME_BYTES - 1 - i)));
    bytes[6] = 0x70 | (bytes[6] & 0x0f); // version
    bytes[8] = 0x80 | (bytes[8] & 0x3f); // variant
    for (int i = 0, at = 0; i < UUID_BYTES; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            text[at++] = '-';
        at += snprintf(text + at, 3, "%02x", bytes[i]);
    }
}
