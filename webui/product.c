// What virtual files have in common. See product.h.
#include "webui/product.h"

#include <string.h>

#include "lib/core/log.h"

enum {
    PRODUCT_FIRST_SOUND = 5, // of product_codecs: before it those of video
    PRODUCT_LASTS_S = 3600,  // for how long a client may rely on a range that is settled
};

// So long after its end, no more footage comes into a range whose segments are all filed.
#define PRODUCT_SETTLED_US (3600 * US_PER_SECOND)

const char *const product_codecs[] = {
    "any", "h264", "h265", "av1", "mjpeg", "aac", "opus", "mp3", NULL};

bool product_read_range(const struct request *request, const struct query_value *end,
    const struct query_value *duration, struct layout_key *key, struct reply *reply)
{
    const char *field = duration->given ? "duration" : "end";
    memcpy(key->camera, request->names[0], sizeof(key->camera));
    memcpy(key->stream, request->names[1], sizeof(key->stream));
    key->end_us = end->number;
    if (duration->given == end->given) {
        reply_error(reply, 400, end->given ? "bad_parameter" : "missing_parameter", field,
            "one of \"end\" and \"duration\" must be given");
        return false;
    }
    if (duration->given && __builtin_add_overflow(key->start_us, duration->number, &key->end_us))
        key->end_us = INT64_MAX;
    if (key->end_us <= key->start_us) {
        reply_error(reply, 400, "bad_parameter", field, "\"end\" must be later than \"start\"");
        return false;
    }
    // What lies in the future is no footage, so it does not count.
    int64_t now_us = time_now_us();
    int64_t end_us = key->end_us < now_us ? key->end_us : now_us;
    if (end_us - key->start_us > PRODUCT_DAYS_MAX * US_PER_DAY) {
        reply_error(reply, 400, "range_too_long", field,
            "a file holds %d days at most; ask for a part of the range", PRODUCT_DAYS_MAX);
        return false;
    }
    return true;
}

bool product_load_failed(struct reply *reply, const char *camera, const char *stream,
    enum catalog_status status, const char *cause)
{
    if (status == CATALOG_BUSY)
        reply_busy(reply);
    else if (status == CATALOG_NONE)
        reply_error(
            reply, 404, "stream_not_found", NULL, "there is no stream \"%s/%s\"", camera, stream);
    else if (status == CATALOG_ERROR)
        reply_error(reply, 503, "catalog_unreadable", NULL, "%s", cause);
    return status != CATALOG_OK;
}

void product_refuse(struct reply *reply, const struct layout_key *key, bool busy, const char *cause)
{
    if (busy) {
        reply_busy(reply);
        return;
    }
    log_warn("%s/%s: a range can not be laid out: %s", key->camera, key->stream, cause);
    reply_error(reply, 500, "unplayable", NULL, "this range can not be played: %s", cause);
}

void product_choose_codec(struct footage *footage, int codec)
{
    const char *family = product_codecs[codec];
    int kind = codec >= PRODUCT_FIRST_SOUND ? VFILE_AUDIO : VFILE_VIDEO;
    for (size_t i = 0; codec > 0 && i < footage->count; i++) {
        struct footage_segment *segment = &footage->segments[i];
        uint32_t own = segment->codecs[kind];
        if (own != 0 && strcmp(footage->codecs[own - 1].info.family, family) == 0)
            continue;
        // Without its picture a segment is no footage, and its sound is of no account.
        for (int left_out = kind; left_out < MEDIA_TRACKS_MAX; left_out++) {
            segment->tracks[left_out] = (struct track_summary){0};
            segment->codecs[left_out] = 0;
        }
    }
}

void product_describe(const struct footage *footage, struct vfile_segment *segments)
{
    for (size_t i = 0; i < footage->count; i++) {
        const struct footage_segment *from = &footage->segments[i];
        segments[i] = (struct vfile_segment){
            .run = from->run,
            .number = from->number,
            .start_us = from->start_us,
            .end_us = from->end_us,
            .media_offset = from->media_offset,
            .media_end = from->media_end,
        };
        for (int kind = 0; kind < MEDIA_TRACKS_MAX; kind++)
            segments[i].tracks[kind] = from->tracks[kind];
    }
}

void product_lasts(struct reply *reply, const struct layout *layout)
{
    if (layout->modified_s != 0 && layout->key.end_us < time_now_us() - PRODUCT_SETTLED_US)
        reply->lasts_s = PRODUCT_LASTS_S;
}

void product_file_time(int64_t time_us, char text[TIME_TEXT_SIZE])
{
    time_format_utc(time_us, text);
    text[10] = '_';
    text[13] = text[16] = '-';
    text[19] = '\0';
}
