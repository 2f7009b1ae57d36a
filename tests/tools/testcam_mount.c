// The settings of a mount: one table of keys, parsed from "NAME,key=value,…".
#include "tests/tools/testcam.h"

#include <stddef.h>
#include <string.h>

struct key {
    const char *name;
    size_t offset; // of an int in struct mount
    int min, max;
};

static const struct key key_table[] = {
    {"bframes", offsetof(struct mount, bframes), 0, 8},
    {"width", offsetof(struct mount, width), 160, 7680},
    {"height", offsetof(struct mount, height), 90, 4320},
    {"fps", offsetof(struct mount, fps), 1, 120},
    {"gop", offsetof(struct mount, gop_frames), 1, 10000},
    {"bitrate", offsetof(struct mount, bitrate_kbps), 20, 100000},
    {"length", offsetof(struct mount, length_s), 1, 600},
    {"rtcp", offsetof(struct mount, rtcp_ms), 0, 60000},
    {"audio_late", offsetof(struct mount, audio_late_ms), 0, 5000},
    {"report", offsetof(struct mount, report_ms), 0, 60000},
    {"join", offsetof(struct mount, join), 0, 1},
    {"mute", offsetof(struct mount, mute), 0, 1},
    {"udp_lost", offsetof(struct mount, udp_lost), 0, 1},
};

static bool set_number(struct mount *m, const struct key *k, const char *value, char **cause)
{
    gint64 n;

    if (!g_ascii_string_to_signed(value, 10, k->min, k->max, &n, NULL)) {
        *cause = g_strdup_printf("%s must be a number from %d to %d", k->name, k->min, k->max);
        return false;
    }
    *(int *)((char *)m + k->offset) = (int)n;
    return true;
}

struct choice {
    const char *name;
    size_t offset;         // of an enum or int in struct mount
    const char *values[6]; // each stands for its place
};

static const struct choice choice_table[] = {
    {"codec", offsetof(struct mount, video), {"h264", "h265", "vp8", "none"}},
    {"audio", offsetof(struct mount, audio), {"none", "aac", "alaw", "ulaw", "opus"}},
    {"transport", offsetof(struct mount, transport), {"tcp", "udp", "both"}},
    {"clock", offsetof(struct mount, clock), {"media", "wall"}},
    {"reporter", offsetof(struct mount, reporter), {"any", "video", "audio"}},
};

static bool set_choice(struct mount *m, const struct choice *c, const char *value, char **cause)
{
    g_autofree char *names = NULL;

    for (int i = 0; c->values[i]; i++) {
        if (strcmp(value, c->values[i]) == 0) {
            *(int *)((char *)m + c->offset) = i;
            return true;
        }
    }
    names = g_strjoinv(", ", (char **)c->values);
    *cause = g_strdup_printf("%s must be one of %s", c->name, names);
    return false;
}

static bool set_key(struct mount *m, const char *key, const char *value, char **cause)
{
    for (size_t i = 0; i < G_N_ELEMENTS(key_table); i++)
        if (strcmp(key, key_table[i].name) == 0)
            return set_number(m, &key_table[i], value, cause);
    for (size_t i = 0; i < G_N_ELEMENTS(choice_table); i++)
        if (strcmp(key, choice_table[i].name) == 0)
            return set_choice(m, &choice_table[i], value, cause);
    *cause = g_strdup_printf("unknown key %s", key);
    return false;
}

static bool check(const struct mount *m, char **cause)
{
    if (m->name[0] == '\0')
        *cause = g_strdup("the name is empty");
    else if (m->video == VIDEO_NONE && (m->audio == AUDIO_NONE || m->mute))
        *cause = g_strdup("there is neither video nor audio");
    else if (m->width % 2 || m->height % 2)
        *cause = g_strdup("width and height must be even");
    else if (m->bframes >= m->gop_frames)
        *cause = g_strdup("a group of pictures must be longer than its B-frames");
    else if (m->video == VIDEO_VP8 && m->bframes > 0)
        *cause = g_strdup("vp8 has no B-frames");
    else if (mount_frames(m) > 65536)
        *cause = g_strdup("the loop has more than 65536 frames: shorten length or gop");
    return *cause == NULL;
}

struct mount *mount_parse(const char *text, char **cause)
{
    g_auto(GStrv) words = g_strsplit(text, ",", -1);
    struct mount *m = g_new0(struct mount, 1);
    g_autofree char *reason = NULL;

    *m = (struct mount){.width = 640,
        .height = 360,
        .fps = 25,
        .gop_frames = 25,
        .bitrate_kbps = 500,
        .length_s = 24};
    m->name = g_strdup(words[0] ? words[0] + (words[0][0] == '/') : "");
    for (char **word = words; *word && word[1] && !reason; word++) {
        g_auto(GStrv) pair = g_strsplit(word[1], "=", 2);

        if (g_strv_length(pair) == 2)
            set_key(m, pair[0], pair[1], &reason);
        else
            reason = g_strdup_printf("%s is not key=value", word[1]);
    }
    if (!reason && check(m, &reason))
        return m;
    *cause = g_strdup_printf("%s: %s", text, reason);
    mount_free(m);
    return NULL;
}

void mount_free(struct mount *m)
{
    if (!m)
        return;
    g_free(m->name);
    g_free(m);
}

int mount_frames(const struct mount *m)
{
    int frames = m->length_s * m->fps;

    return (frames + m->gop_frames - 1) / m->gop_frames * m->gop_frames;
}
