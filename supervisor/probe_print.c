// What a probe has found, for people. See probe_report.h.
#include <math.h>
#include <string.h>

#include "supervisor/probe_report.h"

static const char *print_string(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

// 0 where there is none.
static double print_number(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

static void print_bitrate(FILE *file, double bits)
{
    if (bits >= 1e6)
        fprintf(file, ", %.2f Mbit/s", bits / 1e6);
    else if (bits > 0)
        fprintf(file, ", %.0f kbit/s", bits / 1e3);
}

static void print_video(FILE *file, const json_t *video)
{
    const char *profile = print_string(video, "profile");
    double declared = print_number(video, "declared_fps"), keys = print_number(video, "key_frames");
    fprintf(file, "  video       %s%s%s, %.0f×%.0f, %.4g frames/s", print_string(video, "codec"),
        *profile ? " " : "", profile, print_number(video, "width"), print_number(video, "height"),
        print_number(video, "fps"));
    if (declared > 0)
        fprintf(file, " (announced: %.4g)", declared);
    print_bitrate(file, print_number(video, "bits_per_second"));
    if (keys > 1)
        fprintf(file, "\n  key frames  every %.4g s, %.4g frames\n",
            print_number(video, "key_frame_seconds"), print_number(video, "key_frame_frames"));
    else
        fprintf(file, "\n  key frames  %.0f seen: the interval is unknown\n", keys);
    fprintf(file, "  B-frames    %s\n",
        json_is_true(json_object_get(video, "reordered")) ? "yes" : "no");
}

static void print_audio(FILE *file, const json_t *audio)
{
    const char *plan = print_string(audio, "recorded_as");
    if (!json_is_object(audio)) {
        fprintf(file, "  audio       none\n");
        return;
    }
    fprintf(file, "  audio       %s, %.0f Hz, %s", print_string(audio, "codec"),
        print_number(audio, "sample_rate"), print_string(audio, "channels"));
    print_bitrate(file, print_number(audio, "bits_per_second"));
    if (strcmp(plan, "off") == 0)
        fprintf(file, "; not recorded\n");
    else if (strcmp(plan, "copy") == 0)
        fprintf(file, "; recorded as it is\n");
    else
        fprintf(file, "; %s, recorded as AAC\n",
            json_is_true(json_object_get(audio, "fits_mp4")) ? "MP4 takes it"
                                                             : "MP4 does not take it");
}

static void print_clock(FILE *file, const json_t *report)
{
    const json_t *skew = json_object_get(report, "clock_skew_seconds");
    double seconds = json_number_value(skew);
    if (json_is_number(skew))
        fprintf(file, "  clock       %.2f s %s this machine's, delay of the picture included\n",
            fabs(seconds), seconds < 0 ? "behind" : "ahead of");
    else
        fprintf(file, "  clock       unknown: the camera did not tell its time meanwhile\n");
}

void probe_report_print(FILE *file, const json_t *report)
{
    const json_t *error = json_object_get(report, "error"), *warning;
    const char *stanza = print_string(report, "stanza");
    size_t index;
    fprintf(file, "%s\n", print_string(report, "url"));
    if (*print_string(report, "server"))
        fprintf(file, "  server      %s\n", print_string(report, "server"));
    if (*print_string(report, "login"))
        fprintf(file, "  login       %s\n", print_string(report, "login"));
    if (json_is_object(json_object_get(report, "video"))) {
        fprintf(file, "  transport   %s\n", print_string(report, "transport"));
        print_video(file, json_object_get(report, "video"));
        print_audio(file, json_object_get(report, "audio"));
        print_clock(file, report);
    }
    json_array_foreach(json_object_get(report, "warnings"), index, warning)
        fprintf(file, "  note: %s\n", json_string_value(warning));
    if (json_is_object(error))
        fprintf(file, "  FAILED (%s): %s\n", print_string(error, "code"),
            print_string(error, "message"));
    if (*stanza)
        fprintf(file, "\nTo record it:\n\n%s", stanza);
}
