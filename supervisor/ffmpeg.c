// The ffmpeg command of one stream. See ffmpeg.h. The reasons for its options are in
// docs/decisions/0007-ffmpeg-command.md.
#include "supervisor/ffmpeg.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/buf.h"
#include "lib/core/percent.h"
#include "lib/core/timeutil.h"

#define FFMPEG_MOVFLAGS                                                                            \
    "movflags=+frag_keyframe+empty_moov+default_base_moof+frag_discont+negative_cts_offsets"       \
    "+skip_trailer:write_prft=wallclock:flush_packets=1:frag_duration=500000"                      \
    ":video_track_timescale=90000"

// RTSP gives the first access unit no timestamps, and ffmpeg guesses the decoding times of the next
// ones wrongly where there are B-frames. The first filter lowers a guess that lies behind its
// successor, so that the second can see from the next packet when the first one is shown. The exact
// duration keeps the muxer from guessing where a fragment ends.
#define FFMPEG_GUESS_IS_LATE "lt(N,4)*lt(NEXT_DTS,DTS)*not(eq(NEXT_DTS,NOPTS))"
#define FFMPEG_NO_B_FRAMES "eq(NEXT_PTS,NEXT_DTS)"
#define FFMPEG_TWO_GUESSES "lt(NEXT_PTS-NEXT_DTS,1.5*DURATION)"
#define FFMPEG_SETTS                                                                               \
    "setts=pts=PTS:dts='if(" FFMPEG_GUESS_IS_LATE ",NEXT_DTS-DURATION,DTS)',"                      \
    "setts=pts='if(eq(PTS,NOPTS),if(" FFMPEG_NO_B_FRAMES ",NEXT_PTS-DURATION,"                     \
    "if(" FFMPEG_TWO_GUESSES ",NEXT_PTS-4*DURATION,NEXT_DTS)),PTS)'"                               \
    ":dts='if(eq(N,0),if(" FFMPEG_NO_B_FRAMES ",NEXT_PTS-DURATION,"                                \
    "if(" FFMPEG_TWO_GUESSES ",NEXT_PTS-8*DURATION,NEXT_DTS-DURATION)),"                           \
    "if(" FFMPEG_GUESS_IS_LATE ",NEXT_DTS-DURATION,DTS))'"                                         \
    ":duration='if(gt(NEXT_DTS,DTS),NEXT_DTS-DTS,DURATION)'"

// All that the encoder makes of 8 kHz mono.
#define FFMPEG_SUBSTITUTE_BITRATE "48k"

// A key frame arrives faster than it is read: room for the largest ones. The kernel grants what
// net.core.rmem_max allows.
enum {
    FFMPEG_UDP_BUFFER_BYTES = 4 << 20,
};

struct ffmpeg_list {
    char **items;
    size_t count, capacity;
};

static void ffmpeg_list_take(struct ffmpeg_list *list, char *item)
{
    ARRAY_RESERVE(list->items, list->count, list->capacity);
    list->items[list->count++] = item;
}

// Adds copies of the arguments, up to a NULL.
static void ffmpeg_list_add(struct ffmpeg_list *list, ...)
{
    va_list args;
    va_start(args, list);
    for (const char *item; (item = va_arg(args, const char *)) != NULL;)
        ffmpeg_list_take(list, xstrdup(item));
    va_end(args);
}

static bool ffmpeg_is_tls(const struct config_stream *stream)
{
    return strncmp(stream->url, "rtsps:", 6) == 0;
}

static void ffmpeg_args_input(struct ffmpeg_list *list, const struct config_stream *stream)
{
    ffmpeg_list_add(list, "-nostdin", "-hide_banner", "-loglevel", "level+warning", "-stats_period",
        "1", "-progress", NULL);
    ffmpeg_list_take(list, xasprintf("pipe:%d", FFMPEG_PROGRESS_FD));
    ffmpeg_list_add(list, "-f", "concat", "-safe", "0", "-protocol_whitelist",
        ffmpeg_is_tls(stream) ? "pipe,rtsp,rtp,udp,tcp,tls" : "pipe,rtsp,rtp,udp,tcp", "-i", NULL);
    ffmpeg_list_take(list, xasprintf("pipe:%d", FFMPEG_SCRIPT_FD));
}

static void ffmpeg_args_audio(struct ffmpeg_list *list, const struct ffmpeg_way *way)
{
    if (way->audio == FFMPEG_AUDIO_NONE)
        return;
    ffmpeg_list_add(list, "-c:a", way->audio == FFMPEG_AUDIO_AAC ? "aac" : "copy", NULL);
    if (way->is_substitute)
        ffmpeg_list_add(list, "-b:a", FFMPEG_SUBSTITUTE_BITRATE, NULL);
}

static void ffmpeg_args_codecs(struct ffmpeg_list *list, const struct ffmpeg_way *way)
{
    ffmpeg_list_add(list, "-map", "0:v:0", NULL);
    if (way->audio != FFMPEG_AUDIO_NONE)
        ffmpeg_list_add(list, "-map", "0:a:0?", NULL);
    // The segment muxer drops the tag where the video is not H.265.
    ffmpeg_list_add(list, "-c:v", "copy", "-tag:v", "hvc1", NULL);
    ffmpeg_args_audio(list, way);
    ffmpeg_list_add(list, "-bsf:v", FFMPEG_SETTS, "-max_interleave_delta", "500000", NULL);
}

// The pattern of the files; a '%' in the directory is none of the pattern's.
static char *ffmpeg_pattern(const char *directory, int64_t run)
{
    struct buf pattern = BUF_INIT;
    for (; *directory != '\0'; directory++)
        buf_printf(&pattern, *directory == '%' ? "%%%%" : "%c", *directory);
    buf_printf(&pattern, "/%" PRId64 "-%%06d.mp4", run);
    return buf_string(&pattern);
}

char **ffmpeg_args(const struct config *config, const struct config_stream *stream,
    const struct ffmpeg_way *way, const char *directory, int64_t run)
{
    struct ffmpeg_list list = {0};
    ffmpeg_list_add(&list, config->ffmpeg.path, NULL);
    ffmpeg_args_input(&list, stream);
    ffmpeg_args_codecs(&list, way);
    for (size_t i = 0; i < config->ffmpeg.output_options.count; i++)
        ffmpeg_list_add(&list, config->ffmpeg.output_options.items[i], NULL);
    ffmpeg_list_add(&list, "-f", "segment", "-segment_time", NULL);
    ffmpeg_list_take(
        &list, xasprintf("%" PRId64 ".%03" PRId64, stream->recording.segment_us / US_PER_SECOND,
                   stream->recording.segment_us % US_PER_SECOND / 1000));
    ffmpeg_list_add(
        &list, "-segment_format", "mp4", "-segment_format_options", FFMPEG_MOVFLAGS, NULL);
    ffmpeg_list_take(&list, ffmpeg_pattern(directory, run));
    ffmpeg_list_take(&list, NULL);
    return list.items;
}

void ffmpeg_args_free(char **args)
{
    for (char **arg = args; arg != NULL && *arg != NULL; arg++)
        free(*arg);
    free(args);
}

static void ffmpeg_put_encoded(struct buf *out, const char *text)
{
    for (; *text != '\0'; text++)
        buf_printf(out, percent_is_plain(*text) ? "%c" : "%%%02X", (unsigned char)*text);
}

// Quotes a word of the script: all is literal between single quotes.
static void ffmpeg_put_quoted(struct buf *out, const char *text)
{
    buf_put_u8(out, '\'');
    for (; *text != '\0'; text++) {
        if (*text == '\'')
            buf_printf(out, "'\\''");
        else
            buf_put_u8(out, (uint8_t)*text);
    }
    buf_printf(out, "'\n");
}

static char *ffmpeg_url(const struct config_stream *stream)
{
    struct buf url = BUF_INIT;
    const char *host = strstr(stream->url, "://") + 3;
    buf_put(&url, stream->url, (size_t)(host - stream->url));
    if (stream->username != NULL) {
        ffmpeg_put_encoded(&url, stream->username);
        if (stream->password != NULL) {
            buf_put_u8(&url, ':');
            ffmpeg_put_encoded(&url, stream->password);
        }
        buf_put_u8(&url, '@');
    }
    buf_printf(&url, "%s", host);
    return buf_string(&url);
}

char *ffmpeg_script(
    const struct config *config, const struct config_stream *stream, const struct ffmpeg_way *way)
{
    struct buf script = BUF_INIT;
    char *url = ffmpeg_url(stream);
    buf_printf(&script, "ffconcat version 1.0\nfile ");
    ffmpeg_put_quoted(&script, url);
    free(url);
    buf_printf(&script, "option rtsp_transport %s\noption timeout %" PRId64 "\n",
        way->is_udp ? "udp" : "tcp", stream->recording.timeout_us);
    buf_printf(&script, "option allowed_media_types %s\n",
        way->audio == FFMPEG_AUDIO_NONE ? "video" : "video+audio");
    if (way->is_udp)
        buf_printf(&script, "option buffer_size %d\n", FFMPEG_UDP_BUFFER_BYTES);
    const struct config_list *options = &config->ffmpeg.input_options;
    for (size_t i = 0; i + 1 < options->count; i += 2) {
        const char *name = options->items[i];
        buf_printf(&script, "option %s ", name + (*name == '-'));
        ffmpeg_put_quoted(&script, options->items[i + 1]);
    }
    return buf_string(&script);
}

int ffmpeg_version_check(const char *output, char **cause)
{
    static const char head[] = "ffmpeg version ";
    if (strncmp(output, head, sizeof(head) - 1) != 0) {
        *cause = xstrdup("it does not answer -version as ffmpeg does");
        return -1;
    }
    const char *version = output + sizeof(head) - 1;
    int length = (int)strcspn(version, " \n");
    const char *number = version + (*version == 'n');
    if (!isdigit((unsigned char)*number))
        return 0;
    char *end;
    long major = strtol(number, &end, 10);
    long minor = *end == '.' ? strtol(end + 1, NULL, 10) : 0;
    if (major > 5 || (major == 5 && minor >= 1))
        return 0;
    *cause = xasprintf("it is version %.*s, but 5.1 or later is needed", length, version);
    return -1;
}
