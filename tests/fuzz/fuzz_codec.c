// Any bytes as a sample entry box: the name stays within letters that fit every text.
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/media/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char fit[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    struct codec_info info;
    char *cause = NULL;
    if (codec_describe(data, size, &info, &cause) != 0) {
        assert(cause != NULL);
        free(cause);
        return 0;
    }
    assert(strlen(info.name) > 0 && strspn(info.name, fit) == strlen(info.name));
    assert(strlen(info.family) > 0 && strspn(info.family, fit) == strlen(info.family));
    return 0;
}
