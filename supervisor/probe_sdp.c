// What a camera announces. See probe_sdp.h.
#include "supervisor/probe_sdp.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"

enum {
    PROBE_SDP_LINE_SIZE = 2048, // a longer line is cut
};

// Copies what is left of a line, cut if need be; nothing when control characters stand in it.
static void probe_sdp_copy(char *to, size_t size, const char *from)
{
    size_t length = strnlen(from, size - 1);
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)from[i] < 0x20 || from[i] == 0x7f)
            return;
    }
    memcpy(to, from, length);
    to[length] = '\0';
}

static int probe_sdp_number(const char **text, int fallback)
{
    char *end;
    long value = strtol(*text, &end, 10);
    bool is_good = end != *text && value >= 0 && value <= 1000000000;
    *text = end;
    return is_good ? (int)value : fallback;
}

// The name of a payload type that needs no rtpmap (RFC 3551, 6), or "".
static const char *probe_sdp_static_name(int payload)
{
    static const struct {
        int payload;
        const char *name;
    } table[] = {
        {0, "PCMU"},
        {3, "GSM"},
        {4, "G723"},
        {8, "PCMA"},
        {9, "G722"},
        {14, "MPA"},
        {26, "JPEG"},
        {31, "H261"},
        {32, "MPV"},
        {33, "MP2T"},
        {34, "H263"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        if (table[i].payload == payload)
            return table[i].name;
    }
    return "";
}

// "m=video 0 RTP/AVP 96": begins a medium. Returns it, or NULL when it is none of ours.
static struct probe_sdp_media *probe_sdp_begin(struct probe_sdp *sdp, const char *text)
{
    struct probe_sdp_media *media = NULL;
    if (strncmp(text, "video ", 6) == 0)
        media = &sdp->video;
    else if (strncmp(text, "audio ", 6) == 0)
        media = &sdp->audio;
    if (media == NULL || media->is_there)
        return NULL;
    media->is_there = true;
    const char *at = text;
    for (int i = 0; i < 3 && at != NULL; i++) {
        at = strchr(at, ' ');
        at = at ? at + 1 : NULL;
    }
    media->payload = at ? probe_sdp_number(&at, -1) : -1;
    probe_sdp_copy(media->encoding, sizeof(media->encoding), probe_sdp_static_name(media->payload));
    return media;
}

// "a=rtpmap:96 H264/90000"
static void probe_sdp_map(struct probe_sdp_media *media, const char *text)
{
    int payload = probe_sdp_number(&text, -1);
    if (payload != media->payload || payload < 0 || *text != ' ')
        return;
    text++;
    char name[PROBE_SDP_NAME_SIZE];
    size_t length = strcspn(text, "/");
    if (length >= sizeof(name) || media->is_named)
        return;
    memcpy(name, text, length);
    name[length] = '\0';
    probe_sdp_copy(media->encoding, sizeof(media->encoding), name);
    media->is_named = true;
    if (text[length] == '/') {
        text += length + 1;
        media->clock_rate = probe_sdp_number(&text, 0);
    }
}

static void probe_sdp_rate(struct probe_sdp_media *media, const char *text)
{
    double rate = strtod(text, NULL);
    if (isfinite(rate) && rate > 0 && rate < 10000)
        media->framerate = rate;
}

// The text behind `name` and its colon in an attribute, or NULL when it is another one.
static const char *probe_sdp_value(const char *attribute, const char *name)
{
    size_t length = strlen(name);
    if (strncmp(attribute, name, length) != 0 || attribute[length] != ':')
        return NULL;
    attribute += length + 1;
    return attribute + strspn(attribute, " ");
}

static void probe_sdp_attribute(
    struct probe_sdp *sdp, struct probe_sdp_media *media, bool in_session, const char *text)
{
    const char *value;
    if ((value = probe_sdp_value(text, "control")) != NULL) {
        if (media != NULL)
            probe_sdp_copy(media->control, sizeof(media->control), value);
        else if (in_session)
            probe_sdp_copy(sdp->control, sizeof(sdp->control), value);
    } else if (media != NULL && (value = probe_sdp_value(text, "rtpmap")) != NULL) {
        probe_sdp_map(media, value);
    } else if (media != NULL && ((value = probe_sdp_value(text, "framerate")) != NULL ||
                                    (value = probe_sdp_value(text, "x-framerate")) != NULL)) {
        probe_sdp_rate(media, value);
    }
}

bool probe_sdp_parse(const char *text, size_t size, struct probe_sdp *sdp)
{
    *sdp = (struct probe_sdp){.video.payload = -1, .audio.payload = -1};
    const char *end = text + (size < PROBE_SDP_SIZE_MAX ? size : PROBE_SDP_SIZE_MAX);
    struct probe_sdp_media *media = NULL;
    bool is_sdp = false, in_session = true;
    while (text < end) {
        char line[PROBE_SDP_LINE_SIZE];
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        size_t length = (size_t)((newline ? newline : end) - text);
        size_t kept = length < sizeof(line) ? length : sizeof(line) - 1;
        memcpy(line, text, kept);
        line[kept] = '\0';
        line[strcspn(line, "\r")] = '\0';
        text += newline ? length + 1 : length;
        if (strncmp(line, "v=", 2) == 0) {
            is_sdp = true;
        } else if (strncmp(line, "m=", 2) == 0) {
            in_session = false;
            media = probe_sdp_begin(sdp, line + 2);
        } else if (strncmp(line, "a=", 2) == 0) {
            probe_sdp_attribute(sdp, media, in_session, line + 2);
        }
    }
    return is_sdp;
}

char *probe_sdp_address(const char *base, const char *control)
{
    if (*control == '\0' || strcmp(control, "*") == 0)
        return xstrdup(base);
    if (strncasecmp(control, "rtsp://", 7) == 0 || strncasecmp(control, "rtsps://", 8) == 0)
        return xstrdup(control);
    size_t length = strlen(base);
    bool has_slash = length > 0 && base[length - 1] == '/';
    return xasprintf("%s%s%s", base, has_slash || *control == '/' ? "" : "/", control);
}
