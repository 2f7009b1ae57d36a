// SHA-256 of a filed segment, by libcrypto.
#pragma once

#include <stdint.h>

enum {
    HASH_SIZE = 32,
};

// Reads the open file whole. Returns 0, or -1 with *cause set.
int hash_file(int fd, uint8_t hash[HASH_SIZE], char **cause);
