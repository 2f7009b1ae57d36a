// Entity tags: a 128-bit FNV-1a hash of what a representation is made from. It tells versions
// apart; it is no protection against forgery.
#pragma once

#include <stddef.h>

struct etag {
    unsigned __int128 hash;
};

void etag_init(struct etag *etag);

// Every piece is told apart from its neighbours by its length.
void etag_add(struct etag *etag, const void *data, size_t size);

// Writes it as a strong entity tag, its quotes included; `size` of at least 40.
void etag_format(const struct etag *etag, char *text, size_t size);
