// Metadata of a sealed segment, written and read back. ISO BMFF's meta box (8.11.1) with
// QuickTime's handler "mdta": names in `keys`, values in `ilst`, as ffprobe shows them.
#include "lib/media/mp4_tags.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/timeutil.h"
#include "lib/media/mp4_reader.h"
#include "lib/media/mp4_write.h"

enum {
    TAG_IDENTITY,
    TAG_NODE,
    TAG_START,
    TAG_END,
    TAG_UTC_OFFSET,
    TAG_MENDING, // only where there is any
    TAG_COUNT,

    TAG_TEXT_MAX = 256,
    TAG_TYPE_UTF8 = 1,
};

static const char *const tag_names[TAG_COUNT] = {
    [TAG_IDENTITY] = "keepframe.identity",
    [TAG_NODE] = "keepframe.node",
    [TAG_START] = "keepframe.start",
    [TAG_END] = "keepframe.end",
    [TAG_UTC_OFFSET] = "keepframe.utc_offset",
    [TAG_MENDING] = "keepframe.mending",
};

static void tags_format_offset(int offset_s, char text[TAG_TEXT_MAX])
{
    int seconds = abs(offset_s);
    int used = snprintf(text, TAG_TEXT_MAX, "%c%02d:%02d", offset_s < 0 ? '-' : '+', seconds / 3600,
        seconds / 60 % 60);
    if (seconds % 60 != 0)
        snprintf(text + used, TAG_TEXT_MAX - (size_t)used, ":%02d", seconds % 60);
}

static bool tags_parse_offset(const char *text, int *offset_s)
{
    unsigned hours, minutes, seconds = 0;
    char sign, canonical[TAG_TEXT_MAX];
    if (sscanf(text, "%c%2u:%2u:%2u", &sign, &hours, &minutes, &seconds) < 3)
        return false;
    *offset_s = (int)(hours * 3600 + minutes * 60 + seconds) * (sign == '-' ? -1 : 1);
    tags_format_offset(*offset_s, canonical);
    return strcmp(canonical, text) == 0;
}

static void tags_put_key(struct buf *buf, const char *name)
{
    size_t key = mp4_box_begin(buf, "mdta");
    buf_put(buf, name, strlen(name));
    mp4_box_end(buf, key);
}

// An item's type is the 1-based number of its key.
static void tags_put_item(struct buf *buf, uint32_t number, const char *text)
{
    uint8_t type[4] = {0, 0, 0, (uint8_t)number};
    size_t item = mp4_box_begin(buf, (const char *)type);
    size_t data = mp4_box_begin(buf, "data");
    buf_put_u32(buf, TAG_TYPE_UTF8);
    buf_put_u32(buf, 0); // any country and language
    buf_put(buf, text, strlen(text));
    mp4_box_end(buf, data);
    mp4_box_end(buf, item);
}

void mp4_put_tags(struct buf *buf, const struct mp4_tags *tags)
{
    char start[TIME_TEXT_SIZE], end[TIME_TEXT_SIZE], offset[TAG_TEXT_MAX], mending[MEND_TEXT_SIZE];
    time_format_utc(tags->start_us, start);
    time_format_utc(tags->end_us, end);
    tags_format_offset(tags->utc_offset_s, offset);
    mend_format(&tags->mend, mending);
    const char *texts[TAG_COUNT] = {
        [TAG_IDENTITY] = tags->identity,
        [TAG_NODE] = tags->node,
        [TAG_START] = start,
        [TAG_END] = end,
        [TAG_UTC_OFFSET] = offset,
        [TAG_MENDING] = mending,
    };
    uint32_t count = mending[0] != '\0' ? TAG_COUNT : TAG_MENDING;
    size_t meta = mp4_full_box_begin(buf, "meta", 0, 0);
    size_t hdlr = mp4_full_box_begin(buf, "hdlr", 0, 0);
    buf_put_u32(buf, 0);
    buf_put(buf, "mdta", 4);
    buf_put_zeros(buf, 13); // reserved, an empty name
    mp4_box_end(buf, hdlr);
    size_t keys = mp4_full_box_begin(buf, "keys", 0, 0);
    buf_put_u32(buf, count);
    for (size_t i = 0; i < count; i++)
        tags_put_key(buf, tag_names[i]);
    mp4_box_end(buf, keys);
    size_t ilst = mp4_box_begin(buf, "ilst");
    for (uint32_t i = 0; i < count; i++)
        tags_put_item(buf, i + 1, texts[i]);
    mp4_box_end(buf, ilst);
    mp4_box_end(buf, meta);
}

// Which tag each key of `keys` is; returns the number of keys looked at, up to `count`.
static uint32_t tags_read_keys(struct mp4_reader keys, int *numbers, uint32_t count)
{
    struct mp4_box key;
    uint32_t index = 0;
    mp4_reader_take(&keys, 8); // version, flags, entry_count
    for (; index < count && mp4_box_next(&keys, &key); index++) {
        numbers[index] = -1;
        for (int tag = 0; tag < TAG_COUNT; tag++) {
            if (key.body.left == strlen(tag_names[tag]) &&
                memcmp(key.body.at, tag_names[tag], key.body.left) == 0)
                numbers[index] = tag;
        }
    }
    return index;
}

// Takes the texts of our keys out of the boxes of a meta.
static void tags_read_texts(struct mp4_reader meta, char texts[TAG_COUNT][TAG_TEXT_MAX])
{
    int numbers[64];
    struct mp4_box keys, ilst, item, data;
    mp4_reader_u32(&meta); // version, flags
    if (!mp4_box_find(&meta, MP4_TYPE('k', 'e', 'y', 's'), &keys) ||
        !mp4_box_find(&meta, MP4_TYPE('i', 'l', 's', 't'), &ilst))
        return;
    uint32_t count = tags_read_keys(keys.body, numbers, ARRAY_LENGTH(numbers));
    while (mp4_box_next(&ilst.body, &item)) {
        if (item.type < 1 || item.type > count || numbers[item.type - 1] < 0 ||
            !mp4_box_find(&item.body, MP4_TYPE('d', 'a', 't', 'a'), &data))
            continue;
        char *text = texts[numbers[item.type - 1]];
        mp4_reader_take(&data.body, 8);
        if (data.body.failed || data.body.left >= TAG_TEXT_MAX)
            continue;
        memcpy(text, data.body.at, data.body.left);
        text[data.body.left] = '\0';
    }
}

static bool tags_copy(char *to, size_t size, const char *text)
{
    size_t length = strlen(text);
    if (length >= size)
        return false;
    memcpy(to, text, length + 1);
    return true;
}

static bool tags_from_texts(char texts[TAG_COUNT][TAG_TEXT_MAX], struct mp4_tags *tags)
{
    if (texts[TAG_IDENTITY][0] == '\0' ||
        !tags_copy(tags->identity, sizeof(tags->identity), texts[TAG_IDENTITY]) ||
        !tags_copy(tags->node, sizeof(tags->node), texts[TAG_NODE]))
        return false;
    return time_parse(texts[TAG_START], &tags->start_us) &&
           time_parse(texts[TAG_END], &tags->end_us) &&
           tags_parse_offset(texts[TAG_UTC_OFFSET], &tags->utc_offset_s) &&
           mend_parse(texts[TAG_MENDING], &tags->mend);
}

int mp4_read_tags(const struct mp4_source *source, const struct mp4_layout *layout,
    struct mp4_tags *tags, char **cause)
{
    char texts[TAG_COUNT][TAG_TEXT_MAX] = {0};
    struct mp4_file file;
    struct mp4_box moov, meta;
    bool found = false;
    *tags = (struct mp4_tags){0};
    mp4_file_init(&file, source);
    const uint8_t *data = NULL;
    if (layout->tail_offset != 0)
        data = mp4_file_get(&file, layout->tail_offset, layout->tail_size);
    if (data != NULL) {
        struct mp4_reader reader = mp4_reader_init(data, (size_t)layout->tail_size);
        found = mp4_box_next(&reader, &moov) &&
                mp4_box_find(&moov.body, MP4_TYPE('m', 'e', 't', 'a'), &meta);
    }
    if (found)
        tags_read_texts(meta.body, texts);
    bool sound = found && tags_from_texts(texts, tags);
    mp4_file_fini(&file);
    if (sound)
        return 0;
    *cause = xstrdup(data == NULL ? "it has no whole trailing moov"
                     : !found     ? "its trailing moov is torn or holds no tags"
                                  : "the tags of its trailing moov are incomplete or malformed");
    return -1;
}
