// New identities: UUIDs of version 7 (RFC 9562), which ascend with the time of their making.
#pragma once

#include <stdint.h>

enum {
    UUID_TEXT_SIZE = 37, // its NUL included
};

// A new UUID for that moment, as text in small letters.
void uuid_make(int64_t now_us, char text[UUID_TEXT_SIZE]);
