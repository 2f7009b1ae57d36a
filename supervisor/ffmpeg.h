// The ffmpeg command of one stream. Pure: strings in, strings out. The secrets stand in the script
// alone, which goes over a pipe.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/core/config.h"

// The descriptors that the command expects, beside stdin (/dev/null) and stderr.
enum {
    FFMPEG_SCRIPT_FD = 3,
    FFMPEG_PROGRESS_FD = 4,
};

enum ffmpeg_audio {
    FFMPEG_AUDIO_COPY,
    FFMPEG_AUDIO_AAC,
    FFMPEG_AUDIO_NONE,
};

// What a command does otherwise at one start than at another.
struct ffmpeg_way {
    enum ffmpeg_audio audio;
    bool is_substitute; // AAC in place of what MP4 does not take: the sound of a telephone
    bool is_udp;
};

// The arguments, argv[0] being the program. `directory` is where the files go. Release with
// ffmpeg_args_free().
char **ffmpeg_args(const struct config *config, const struct config_stream *stream,
    const struct ffmpeg_way *way, const char *directory, int64_t run);
void ffmpeg_args_free(char **args);

// The ffconcat script with the URL and its credentials. The caller owns it.
char *ffmpeg_script(
    const struct config *config, const struct config_stream *stream, const struct ffmpeg_way *way);

// Takes the first line of `ffmpeg -version`. Returns 0 when it is 5.1 or later (or a development
// build, which has no number), or -1 with *cause set.
int ffmpeg_version_check(const char *output, char **cause);
