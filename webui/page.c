// The page and its assets. See page.h.
#include "webui/page.h"

#include <string.h>

#include "webui/etag.h"
#include "webui/page_assets.h"

void page_handle(struct worker *worker, const struct request *request, struct reply *reply)
{
    (void)worker;
    for (size_t i = 0; i < page_asset_count; i++) {
        const struct page_asset *asset = &page_assets[i];
        if (strcmp(asset->path, request->path) != 0)
            continue;
        struct etag etag;
        etag_init(&etag);
        etag_add(&etag, asset->data, asset->size);
        etag_format(&etag, reply->etag, sizeof(reply->etag));
        reply->status = 200;
        reply->content_type = asset->content_type;
        reply->fixed = asset->data;
        reply->fixed_size = asset->size;
        return;
    }
    reply_error(reply, 404, "not_found", NULL, "there is nothing at this address");
}
