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

// Sets *flag to whether `value` is `yes`; it must be `yes` or `no`.
static bool set_choice(
    bool *flag, const char *key, const char *value, const char *yes, const char *no, char **cause)
{
    *flag = strcmp(value, yes) == 0;
    if (*flag || strcmp(value, no) == 0)
        return true;
    *cause = g_strdup_printf("%s must be %s or %s", key, no, yes);
    return false;
}

static bool set_key(struct mount *m, const char *key, const char *value, char **cause)
{
    bool wall;

    for (size_t i = 0; i < G_N_ELEMENTS(key_table); i++)
        if (strcmp(key, key_table[i].name) == 0)
            return set_number(m, &key_table[i], value, cause);
    if (strcmp(key, "codec") == 0)
        return set_choice(&m->h265, key, value, "h265", "h264", cause);
    if (strcmp(key, "audio") == 0)
        return set_choice(&m->audio, key, value, "aac", "none", cause);
    if (strcmp(key, "clock") == 0) {
        if (!set_choice(&wall, key, value, "wall", "media", cause))
            return false;
        m->clock = wall ? CLOCK_WALL : CLOCK_MEDIA;
        return true;
    }
    *cause = g_strdup_printf("unknown key %s", key);
    return false;
}

static bool check(const struct mount *m, char **cause)
{
    if (m->name[0] == '\0')
        *cause = g_strdup("the name is empty");
    else if (m->width % 2 || m->height % 2)
        *cause = g_strdup("width and height must be even");
    else if (m->bframes >= m->gop_frames)
        *cause = g_strdup("a group of pictures must be longer than its B-frames");
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
