// A small MP4 reader of the tests' own, written from ISO/IEC 14496-12 and sharing no code with the
// product: it checks that boxes nest exactly and turns tables into samples.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/core/alloc.h"

struct movie_sample {
    uint64_t offset;
    uint32_t size;
    uint32_t duration;
    int64_t decode;
    int64_t presentation;
    bool key;
    uint32_t entry;
};

struct movie_edit {
    uint64_t duration;
    int64_t media_time;
};

struct movie_track {
    uint32_t id;
    char handler[5];
    uint32_t timescale;
    uint64_t duration;       // tkhd
    uint64_t media_duration; // mdhd
    struct movie_edit edits[4];
    uint32_t edit_count;
    uint32_t entry_count; // of stsd
    bool has_ctts;
    struct movie_sample *samples;
    uint32_t sample_count;
};

struct movie {
    uint32_t timescale;
    uint64_t duration;
    struct movie_track tracks[4];
    size_t track_count;
    uint64_t media_offset;
    uint64_t media_size;
};

struct movie_box {
    char type[5];
    const uint8_t *body;
    uint64_t size;
    uint64_t offset; // of the body, in what movie_next() walks
};

static inline uint64_t movie_number(const uint8_t *data, int bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++)
        value = value << 8 | data[i];
    return value;
}

// The box at *offset of `size` bytes; moves *offset behind it. False at the end.
static inline bool movie_next(
    const uint8_t *data, uint64_t size, uint64_t *offset, struct movie_box *box)
{
    if (*offset == size)
        return false;
    assert_true(size - *offset >= 8);
    uint64_t length = movie_number(data + *offset, 4), header = 8;
    memcpy(box->type, data + *offset + 4, 4);
    box->type[4] = '\0';
    if (length == 1) {
        length = movie_number(data + *offset + 8, 8);
        header = 16;
    }
    assert_true(length >= header && length <= size - *offset);
    box->body = data + *offset + header;
    box->offset = *offset + header;
    box->size = length - header;
    *offset += length;
    return true;
}

// The one child of that type. `must`: it has to be there.
static inline struct movie_box movie_child(
    const struct movie_box *parent, const char *type, bool must)
{
    struct movie_box box, found = {0};
    uint64_t offset = 0;
    while (movie_next(parent->body, parent->size, &offset, &box)) {
        if (strcmp(box.type, type) != 0)
            continue;
        assert_null(found.body);
        found = box;
    }
    if (must && found.body == NULL) {
        fail_msg("there is no %s", type);
        abort(); // cmocka does not say that fail_msg() never returns
    }
    return found;
}

static inline void movie_read_times(struct movie_track *track, const struct movie_box *stbl)
{
    struct movie_box stts = movie_child(stbl, "stts", true);
    struct movie_box ctts = movie_child(stbl, "ctts", false);
    uint32_t rows = (uint32_t)movie_number(stts.body + 4, 4), sample = 0;
    assert_int_equal(stts.size, 8 + 8 * (uint64_t)rows);
    int64_t decode = 0;
    for (uint32_t row = 0; row < rows; row++) {
        uint32_t count = (uint32_t)movie_number(stts.body + 8 + 8 * row, 4);
        for (; count > 0; count--, sample++) {
            assert_true(sample < track->sample_count);
            track->samples[sample].duration = (uint32_t)movie_number(stts.body + 12 + 8 * row, 4);
            track->samples[sample].decode = track->samples[sample].presentation = decode;
            decode += track->samples[sample].duration;
        }
    }
    assert_int_equal(sample, track->sample_count);
    track->has_ctts = ctts.body != NULL;
    if (!track->has_ctts)
        return;
    assert_int_equal(ctts.body[0], 1);
    rows = (uint32_t)movie_number(ctts.body + 4, 4);
    assert_int_equal(ctts.size, 8 + 8 * (uint64_t)rows);
    sample = 0;
    for (uint32_t row = 0; row < rows; row++) {
        uint32_t count = (uint32_t)movie_number(ctts.body + 8 + 8 * row, 4);
        for (; count > 0; count--, sample++) {
            assert_true(sample < track->sample_count);
            track->samples[sample].presentation +=
                (int32_t)movie_number(ctts.body + 12 + 8 * row, 4);
        }
    }
    assert_int_equal(sample, track->sample_count);
}

static inline void movie_read_places(struct movie_track *track, const struct movie_box *stbl)
{
    struct movie_box stsc = movie_child(stbl, "stsc", true);
    struct movie_box co64 = movie_child(stbl, "co64", true);
    uint32_t rows = (uint32_t)movie_number(stsc.body + 4, 4);
    uint32_t chunks = (uint32_t)movie_number(co64.body + 4, 4);
    assert_int_equal(stsc.size, 8 + 12 * (uint64_t)rows);
    assert_int_equal(co64.size, 8 + 8 * (uint64_t)chunks);
    uint32_t sample = 0;
    for (uint32_t row = 0; row < rows; row++) {
        const uint8_t *at = stsc.body + 8 + 12 * row;
        uint32_t first = (uint32_t)movie_number(at, 4);
        uint32_t next = row + 1 < rows ? (uint32_t)movie_number(at + 12, 4) : chunks + 1;
        assert_true(first >= 1 && first < next && next <= chunks + 1);
        assert_true(row > 0 || first == 1);
        for (uint32_t chunk = first; chunk < next; chunk++) {
            uint64_t offset = movie_number(co64.body + 8 * chunk, 8);
            for (uint64_t i = movie_number(at + 4, 4); i > 0; i--, sample++) {
                assert_true(sample < track->sample_count);
                track->samples[sample].offset = offset;
                track->samples[sample].entry = (uint32_t)movie_number(at + 8, 4);
                assert_in_range(track->samples[sample].entry, 1, track->entry_count);
                offset += track->samples[sample].size;
            }
        }
    }
    assert_int_equal(sample, track->sample_count);
}

static inline void movie_read_samples(struct movie_track *track, const struct movie_box *stbl)
{
    struct movie_box stsz = movie_child(stbl, "stsz", true);
    struct movie_box stss = movie_child(stbl, "stss", false);
    struct movie_box stsd = movie_child(stbl, "stsd", true);
    track->entry_count = (uint32_t)movie_number(stsd.body + 4, 4);
    track->sample_count = (uint32_t)movie_number(stsz.body + 8, 4);
    track->samples = xcalloc(track->sample_count + 1, sizeof(track->samples[0]));
    assert_int_equal(movie_number(stsz.body + 4, 4), 0);
    assert_int_equal(stsz.size, 12 + 4 * (uint64_t)track->sample_count);
    for (uint32_t i = 0; i < track->sample_count; i++) {
        track->samples[i].size = (uint32_t)movie_number(stsz.body + 12 + 4 * i, 4);
        track->samples[i].key = stss.body == NULL;
    }
    for (uint32_t i = 0; stss.body != NULL && i < movie_number(stss.body + 4, 4); i++) {
        uint64_t number = movie_number(stss.body + 8 + 4 * i, 4);
        assert_in_range(number, 1, track->sample_count);
        track->samples[number - 1].key = true;
    }
    movie_read_times(track, stbl);
    movie_read_places(track, stbl);
}

static inline void movie_read_track(struct movie_track *track, const struct movie_box *trak)
{
    struct movie_box tkhd = movie_child(trak, "tkhd", true);
    struct movie_box edts = movie_child(trak, "edts", false);
    struct movie_box mdia = movie_child(trak, "mdia", true);
    struct movie_box mdhd = movie_child(&mdia, "mdhd", true);
    struct movie_box hdlr = movie_child(&mdia, "hdlr", true);
    struct movie_box minf = movie_child(&mdia, "minf", true);
    struct movie_box stbl = movie_child(&minf, "stbl", true);
    bool wide = tkhd.body[0] == 1;
    track->id = (uint32_t)movie_number(tkhd.body + (wide ? 20 : 12), 4);
    track->duration = movie_number(tkhd.body + (wide ? 28 : 20), wide ? 8 : 4);
    track->timescale = (uint32_t)movie_number(mdhd.body + (mdhd.body[0] == 1 ? 20 : 12), 4);
    track->media_duration =
        movie_number(mdhd.body + (mdhd.body[0] == 1 ? 24 : 16), mdhd.body[0] == 1 ? 8 : 4);
    memcpy(track->handler, hdlr.body + 8, 4);
    if (edts.body != NULL) {
        struct movie_box elst = movie_child(&edts, "elst", true);
        wide = elst.body[0] == 1;
        track->edit_count = (uint32_t)movie_number(elst.body + 4, 4);
        assert_in_range(track->edit_count, 1, 4);
        for (uint32_t i = 0; i < track->edit_count; i++) {
            const uint8_t *at = elst.body + 8 + (wide ? 20 : 12) * i;
            track->edits[i].duration = movie_number(at, wide ? 8 : 4);
            track->edits[i].media_time =
                wide ? (int64_t)movie_number(at + 8, 8) : (int32_t)movie_number(at + 4, 4);
        }
    }
    movie_read_samples(track, &stbl);
}

// Reads a whole file that must be ftyp, moov, mdat and nothing else.
static inline void movie_read(struct movie *movie, const uint8_t *data, uint64_t size)
{
    struct movie_box box = {0};
    uint64_t offset = 0;
    *movie = (struct movie){0};
    assert_true(movie_next(data, size, &offset, &box));
    assert_string_equal(box.type, "ftyp");
    assert_true(movie_next(data, size, &offset, &box));
    assert_string_equal(box.type, "moov");
    struct movie_box moov = box, mvhd = movie_child(&moov, "mvhd", true);
    bool wide = mvhd.body[0] == 1;
    movie->timescale = (uint32_t)movie_number(mvhd.body + (wide ? 20 : 12), 4);
    movie->duration = movie_number(mvhd.body + (wide ? 24 : 16), wide ? 8 : 4);
    for (uint64_t at = 0; movie_next(moov.body, moov.size, &at, &box);) {
        if (strcmp(box.type, "trak") != 0)
            continue;
        assert_true(movie->track_count < 4);
        movie_read_track(&movie->tracks[movie->track_count++], &box);
    }
    assert_true(movie_next(data, size, &offset, &box));
    assert_string_equal(box.type, "mdat");
    movie->media_offset = box.offset;
    movie->media_size = box.size;
    assert_false(movie_next(data, size, &offset, &box));
    for (size_t i = 0; i < movie->track_count; i++) {
        for (uint32_t s = 0; s < movie->tracks[i].sample_count; s++) {
            const struct movie_sample *sample = &movie->tracks[i].samples[s];
            assert_true(sample->offset >= movie->media_offset && sample->offset <= size &&
                        sample->size <= size - sample->offset);
        }
    }
}

static inline void movie_fini(struct movie *movie)
{
    for (size_t i = 0; i < movie->track_count; i++)
        free(movie->tracks[i].samples);
}

// The track of that handler ("vide", "soun"), or NULL.
static inline const struct movie_track *movie_find(const struct movie *movie, const char *handler)
{
    for (size_t i = 0; i < movie->track_count; i++)
        if (strcmp(movie->tracks[i].handler, handler) == 0)
            return &movie->tracks[i];
    return NULL;
}
