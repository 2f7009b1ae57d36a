// What a probe has found, as JSON. See probe_report.h.
#include "supervisor/probe_report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/buf.h"
#include "lib/core/timeutil.h"
#include "supervisor/mask.h"
#include "supervisor/probe_stanza.h"

// Skew and rates beyond these are worth a word.
#define REPORT_SKEW_US (2 * US_PER_SECOND)
#define REPORT_RATE_SHARE 0.1
#define REPORT_KEY_SECONDS 10.

static const char *report_transport_name(enum probe_transport transport)
{
    return transport == PROBE_TRANSPORT_UDP ? "udp" : "tcp";
}

static json_t *report_number(double value)
{
    // Three decimals are more than what was measured.
    return value > 0 ? json_real(round(value * 1000) / 1000) : json_null();
}

static json_t *report_string(const char *text)
{
    return text && *text ? probe_fault_text(text) : json_null();
}

static double report_declared_fps(const struct probe_findings *findings)
{
    if (findings->rtsp != NULL && findings->rtsp->sdp.video.framerate > 0)
        return findings->rtsp->sdp.video.framerate;
    return findings->look->stats.tracks[0].declared_fps;
}

static json_t *report_video(const struct probe_findings *findings)
{
    const struct probe_track *track = &findings->look->stats.tracks[0];
    return json_pack("{s:o, s:o, s:i, s:i, s:o, s:o, s:o, s:I, s:I, s:o, s:o, s:b}", "codec",
        report_string(track->codec), "profile", report_string(track->profile), "width",
        track->width, "height", track->height, "declared_fps",
        report_number(report_declared_fps(findings)), "fps", report_number(probe_track_fps(track)),
        "bits_per_second", report_number(round(probe_track_bitrate(track))), "frames",
        (json_int_t)track->frames, "key_frames", (json_int_t)track->keys, "key_frame_seconds",
        report_number(probe_track_key_seconds(track)), "key_frame_frames",
        report_number(probe_track_key_frames(track)), "reordered", track->is_reordered);
}

// Whether MP4 takes the sound as it is.
static bool report_audio_fits(const struct probe_track *track)
{
    static const char *const codecs[] = {"aac", "opus", "mp3", "mp2", "ac3", "eac3"};
    for (size_t i = 0; i < ARRAY_LENGTH(codecs); i++) {
        if (strcmp(track->codec, codecs[i]) == 0)
            return true;
    }
    return false;
}

// What a recording would make of it.
static const char *report_audio_plan(const struct probe_findings *findings, bool fits)
{
    switch (findings->target->stream.recording.audio) {
    case CONFIG_AUDIO_OFF:
        return "off";
    case CONFIG_AUDIO_AAC:
        return "aac";
    case CONFIG_AUDIO_COPY:
        return fits ? "copy" : "off";
    case CONFIG_AUDIO_AUTO:
        break;
    }
    return fits ? "copy" : "aac";
}

static json_t *report_audio(const struct probe_findings *findings)
{
    const struct probe_track *track = &findings->look->stats.tracks[1];
    bool fits = report_audio_fits(track);
    if (!track->is_there)
        return json_null();
    return json_pack("{s:o, s:o, s:i, s:o, s:o, s:I, s:b, s:s}", "codec",
        report_string(track->codec), "profile", report_string(track->profile), "sample_rate",
        track->sample_rate, "channels", report_string(track->layout), "bits_per_second",
        report_number(round(probe_track_bitrate(track))), "packets", (json_int_t)track->frames,
        "fits_mp4", fits, "recorded_as", report_audio_plan(findings, fits));
}

static void report_warn(json_t *warnings, char *text)
{
    json_array_append_new(warnings, probe_fault_text(text));
    free(text);
}

static void report_warn_video(const struct probe_findings *findings, json_t *warnings)
{
    const struct probe_track *track = &findings->look->stats.tracks[0];
    double declared = report_declared_fps(findings), fps = probe_track_fps(track);
    double seconds = probe_track_key_seconds(track);
    if (declared > 0 && fps > 0 && fabs(fps - declared) > declared * REPORT_RATE_SHARE)
        report_warn(warnings,
            xasprintf("the camera announces %.4g frames a second and sends %.4g", declared, fps));
    if (track->keys < 2)
        report_warn(warnings,
            xasprintf(
                "no two key frames came within %.0f s: files can only be cut, and viewing can "
                "only begin, at key frames; 1 to 4 s between them are usual",
                probe_track_span(track)));
    else if (seconds > REPORT_KEY_SECONDS)
        report_warn(warnings,
            xasprintf("%.0f s from key frame to key frame are long: 1 to 4 s are usual", seconds));
    if (strcmp(track->codec, "h264") != 0 && strcmp(track->codec, "hevc") != 0)
        report_warn(
            warnings, xasprintf("browsers do not play %s: choose H.264 or H.265", track->codec));
}

static void report_warn_audio(const struct probe_findings *findings, json_t *warnings)
{
    const struct probe_track *track = &findings->look->stats.tracks[1];
    enum config_audio audio = findings->target->stream.recording.audio;
    bool is_announced = findings->rtsp != NULL && findings->rtsp->sdp.audio.is_there;
    if ((is_announced || track->is_there) && track->frames == 0)
        report_warn(warnings, xstrdup("sound is announced, but none came"));
    if (track->is_there && audio == CONFIG_AUDIO_COPY && !report_audio_fits(track))
        report_warn(
            warnings, xasprintf("audio: copy can not work: MP4 does not take %s; auto would "
                                "record it as AAC",
                          track->codec));
}

static json_t *report_warnings(const struct probe_findings *findings)
{
    json_t *warnings = json_array();
    if (findings->rtsp != NULL && findings->rtsp->schemes != NULL &&
        strcmp(findings->rtsp->schemes, "Basic") == 0)
        report_warn(warnings, xstrdup("the login is Basic: the password travels readable"));
    bool is_auto = findings->target->stream.recording.transport == CONFIG_TRANSPORT_AUTO;
    if (findings->used != findings->wanted && !is_auto)
        report_warn(warnings,
            xasprintf("%s does not work with this camera, but %s does",
                report_transport_name(findings->wanted), report_transport_name(findings->used)));
    if (findings->look == NULL)
        return warnings;
    report_warn_video(findings, warnings);
    report_warn_audio(findings, warnings);
    if (findings->look->has_skew && llabs(findings->look->skew_us) > REPORT_SKEW_US)
        report_warn(
            warnings, xstrdup("the camera's clock is wrong: let it ask a time server (NTP); "
                              "Keepframe goes by this machine's clock"));
    return warnings;
}

static json_t *report_stanza(const struct probe_findings *findings)
{
    const struct probe_target *target = findings->target;
    struct buf text = BUF_INIT;
    // Whoever gave the address has it; of a configured one, nobody needs to see more.
    struct mask *mask = mask_new(target->stream.url, NULL);
    char *masked = mask_text(target->stream.url, mask);
    // TCP goes without saying, unless the configuration says otherwise.
    bool is_told = findings->used == PROBE_TRANSPORT_UDP || findings->used != findings->wanted;
    const struct probe_stanza stanza = {
        .camera = target->stream.camera,
        .stream = target->stream.name,
        .url = target->stream.camera ? masked : target->stream.url,
        .username = target->stream.username,
        .has_password = target->stream.password != NULL,
        .password_file = target->password_file,
        .transport = is_told ? report_transport_name(findings->used) : NULL,
    };
    probe_stanza_put(&text, &stanza);
    json_t *json = probe_fault_text(buf_string(&text));
    buf_fini(&text);
    free(masked);
    mask_free(mask);
    return json;
}

json_t *probe_report_json(const struct probe_findings *findings)
{
    const struct probe_look *look = findings->look;
    const struct config_stream *stream = &findings->target->stream;
    struct mask *mask = mask_new(stream->url, stream->password);
    char *url = mask_text(stream->url, mask);
    json_t *skew = json_null();
    if (look != NULL && look->has_skew)
        skew = json_real(round((double)look->skew_us / 1000) / 1000);
    json_t *report = json_pack("{s:b, s:s?, s:s?, s:o, s:o, s:o, s:o, s:s, s:s}", "ok",
        findings->fault.code == NULL, "camera", stream->camera, "stream", stream->name, "url",
        report_string(url), "error", probe_fault_json(&findings->fault), "server",
        report_string(findings->rtsp ? findings->rtsp->server : NULL), "login",
        report_string(findings->rtsp ? findings->rtsp->schemes : NULL), "transport_wanted",
        report_transport_name(findings->wanted), "transport",
        report_transport_name(findings->used));
    json_object_set_new(report, "seconds",
        look ? report_number(probe_track_span(&look->stats.tracks[0])) : json_null());
    json_object_set_new(report, "video", look ? report_video(findings) : json_null());
    json_object_set_new(report, "audio", look ? report_audio(findings) : json_null());
    json_object_set_new(report, "clock_skew_seconds", skew);
    json_object_set_new(report, "warnings", report_warnings(findings));
    json_object_set_new(report, "stanza", look ? report_stanza(findings) : json_null());
    free(url);
    mask_free(mask);
    return report;
}

json_t *probe_report_failure(const char *code, const char *message)
{
    return json_pack("{s:b, s:{s:s, s:o}}", "ok", 0, "error", "code", code, "message",
        probe_fault_text(message));
}
