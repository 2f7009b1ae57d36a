// HLS (RFC 8216): playlists of a range of the archive and of what is live, and the media segments
// that they name.
#pragma once

#include "webui/route.h"

extern const struct query_rule hls_master_rules[];
extern const struct query_rule hls_vod_rules[];
extern const struct query_rule hls_media_rules[];

void hls_master(struct worker *worker, const struct request *request, struct reply *reply);
void hls_vod(struct worker *worker, const struct request *request, struct reply *reply);

// In hls_media.c.
void hls_init(struct worker *worker, const struct request *request, struct reply *reply);
void hls_segment(struct worker *worker, const struct request *request, struct reply *reply);

// In hls_live.c.
extern const struct query_rule hls_live_rules[];
extern const struct query_rule hls_live_media_rules[];

void hls_live(struct worker *worker, const struct request *request, struct reply *reply);
void hls_live_init(struct worker *worker, const struct request *request, struct reply *reply);
void hls_live_segment(struct worker *worker, const struct request *request, struct reply *reply);
void hls_live_part(struct worker *worker, const struct request *request, struct reply *reply);
