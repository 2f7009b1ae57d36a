// Entity tags. See etag.h.
#include "webui/etag.h"

#include <stdint.h>
#include <stdio.h>

static void etag_mix(struct etag *etag, const uint8_t *data, size_t size)
{
    const unsigned __int128 prime = ((unsigned __int128)1 << 88) + 0x13b;
    for (size_t i = 0; i < size; i++)
        etag->hash = (etag->hash ^ data[i]) * prime;
}

void etag_init(struct etag *etag)
{
    etag->hash =
        ((unsigned __int128)UINT64_C(0x6c62272e07bb0142) << 64) | UINT64_C(0x62b821756295c58d);
}

void etag_add(struct etag *etag, const void *data, size_t size)
{
    const uint64_t length = size;
    etag_mix(etag, (const uint8_t *)&length, sizeof(length));
    etag_mix(etag, data, size);
}

void etag_format(const struct etag *etag, char *text, size_t size)
{
    snprintf(text, size, "\"%016llx%016llx\"", (unsigned long long)(etag->hash >> 64),
        (unsigned long long)etag->hash);
}
