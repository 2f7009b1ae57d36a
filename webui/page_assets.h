// The files of webui/static as the build has put them into the program.
#pragma once

#include <stddef.h>

struct page_asset {
    const char *path; // as it is asked for
    const char *content_type;
    const unsigned char *data;
    size_t size;
};

extern const struct page_asset page_assets[];
extern const size_t page_asset_count;
