// What tests of virtual files share: synthetic segments whose every byte is known, recorded ones,
// and a plain model of what a range shows, against which files are held that movie.h has read.
#pragma once

#include "tests/unit/movie.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/core/buf.h"
#include "lib/core/fsutil.h"
#include "lib/media/mp4_read.h"
#include "lib/media/vfile.h"
#include "tests/unit/corpus.h"

enum {
    SEGMENTS_MAX = 40, // more than a reader holds open
    VIDEO_SCALE = 90000,
    AUDIO_SCALE = 16000,
    FRAME = 3600, // 25 frames a second
    SOUND = 1024,
    BODY_GAP = 40, // bytes between chunks, where the recorder's boxes stand
    START_US = 1000000000,
};

struct archive {
    struct media_segment media[SEGMENTS_MAX];
    struct buf packed[SEGMENTS_MAX];
    struct buf files[SEGMENTS_MAX];
    char *paths[SEGMENTS_MAX];
    struct vfile_segment segments[SEGMENTS_MAX];
    size_t count;
    struct sample_table table;
    unsigned tables_asked;
    unsigned opens;
    struct mp4_entry entries[MEDIA_TRACKS_MAX][2];
    char folder[64];
};

// Sample entries are copied as they are; eight bytes suffice.
static const uint8_t entry_bytes[8] = {0, 0, 0, 8, 't', 'e', 's', 't'};

static inline void archive_init(struct archive *archive)
{
    *archive = (struct archive){0};
    for (int i = 0; i < MEDIA_TRACKS_MAX; i++)
        archive->entries[i][0] = archive->entries[i][1] = (struct mp4_entry){entry_bytes, 8};
    snprintf(archive->folder, sizeof(archive->folder), "/tmp/test_vfile.XXXXXX");
    assert_non_null(mkdtemp(archive->folder));
}

static inline void archive_fini(struct archive *archive)
{
    for (size_t i = 0; i < archive->count; i++) {
        unlink(archive->paths[i]);
        free(archive->paths[i]);
        media_segment_fini(&archive->media[i]);
        buf_fini(&archive->packed[i]);
        buf_fini(&archive->files[i]);
    }
    rmdir(archive->folder);
}

static inline const struct sample_table *archive_table(void *arg, size_t segment, char **cause)
{
    struct archive *archive = arg;
    archive->tables_asked++;
    const struct buf *packed = &archive->packed[segment];
    return sample_table_open(&archive->table, packed->data, packed->size, cause) == 0
               ? &archive->table
               : NULL;
}

static inline int archive_open(void *arg, size_t segment, char **cause)
{
    struct archive *archive = arg;
    archive->opens++;
    int fd = open(archive->paths[segment], O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        *cause = xasprintf("%s: gone", archive->paths[segment]);
    return fd;
}

static inline struct vfile_source archive_source(struct archive *archive)
{
    return (struct vfile_source){archive_table, archive_open, archive};
}

// Puts into a segment's row what its media says, and packs its table anew.
static inline void archive_pack(struct archive *archive, size_t i)
{
    struct media_segment *media = &archive->media[i];
    struct vfile_segment *segment = &archive->segments[i];
    for (int kind = 0; kind < MEDIA_TRACKS_MAX; kind++)
        segment->tracks[kind] = (struct track_summary){0};
    for (size_t t = 0; t < media->track_count; t++)
        track_summarize(&media->tracks[t],
            &segment->tracks[media->tracks[t].kind == MEDIA_VIDEO ? VFILE_VIDEO : VFILE_AUDIO]);
    buf_fini(&archive->packed[i]);
    sample_table_encode(media, &archive->packed[i]);
}

// Takes archive->media[count] and files[count] as a segment that begins at `start_us`.
static inline struct vfile_segment *archive_finish(
    struct archive *archive, int64_t run, uint32_t number, int64_t start_us)
{
    size_t i = archive->count++;
    struct media_segment *media = &archive->media[i];
    struct vfile_segment *segment = &archive->segments[i];
    char *cause = NULL;
    int64_t media_us, duration_us;
    assert_true(media_segment_span(media, &media_us, &duration_us));
    *segment = (struct vfile_segment){.run = run,
        .number = number,
        .start_us = start_us,
        .end_us = start_us + duration_us,
        .media_offset = UINT64_MAX};
    for (size_t t = 0; t < media->track_count; t++) {
        const struct media_track *track = &media->tracks[t];
        int kind = track->kind == MEDIA_VIDEO ? VFILE_VIDEO : VFILE_AUDIO;
        track_summarize(track, &segment->tracks[kind]);
        segment->entries[kind] = 1;
        for (size_t s = 0; s < track->sample_count; s++) {
            const struct media_sample *sample = &track->samples[s];
            if (sample->offset < segment->media_offset)
                segment->media_offset = sample->offset;
            if (sample->offset + sample->size > segment->media_end)
                segment->media_end = sample->offset + sample->size;
        }
    }
    sample_table_encode(media, &archive->packed[i]);
    archive->paths[i] = xasprintf("%s/%zu", archive->folder, i);
    if (fs_write_file(
            archive->paths[i], archive->files[i].data, archive->files[i].size, 0600, &cause) < 0)
        fail_msg("%s", cause);
    return segment;
}

static inline void put_sample(struct buf *file, struct media_track *track, uint32_t duration,
    int32_t composition, bool key, bool audio)
{
    static uint32_t serial;
    serial++;
    uint32_t size = (audio ? 60 : 300) + serial % 37;
    ARRAY_RESERVE(track->samples, track->sample_count, track->sample_capacity);
    track->samples[track->sample_count++] =
        (struct media_sample){file->size, size, duration, composition, key};
    // Each sample has bytes of its own; audio's are all above 0x80, video's below.
    for (uint32_t i = 0; i < size; i++)
        buf_put_u8(file, (uint8_t)((serial * 31 + i * 7) % 0x80 + (audio ? 0x80 : 0)));
}

struct recipe {
    int64_t run;
    uint32_t number;
    int64_t start_us;    // UTC
    int64_t video_start; // run clock, ticks
    unsigned frames;
    unsigned gop;
    bool reordered; // I P B B P B B …, each P shown two frames later than decoded
    bool leading;   // and every key frame but the first is shown after two frames that follow it
    int64_t audio_start; // run clock, audio ticks
    unsigned sounds;     // 0: no audio track
};

// Decode order I P B B P B B, so that presentation is I B B P B B P. With `leading`, a key frame
// changes places with two pictures that follow it. A triple that the GOP cuts off is not reordered.
static inline int32_t recipe_composition(const struct recipe *recipe, unsigned frame)
{
    unsigned at = frame % recipe->gop;
    bool leading = recipe->leading && frame >= recipe->gop;
    unsigned in_triple = leading ? at % 3 : (at + 2) % 3;
    if (!recipe->reordered || (at == 0 && !leading) || at - in_triple + 2 >= recipe->gop)
        return 0;
    return in_triple == 0 ? 2 * FRAME : -FRAME;
}

static inline struct vfile_segment *archive_add(
    struct archive *archive, const struct recipe *recipe)
{
    struct media_segment *media = &archive->media[archive->count];
    struct buf *file = &archive->files[archive->count];
    media->track_count = recipe->sounds > 0 ? 2 : 1;
    media->tracks[0] = (struct media_track){
        .kind = MEDIA_VIDEO, .id = 1, .timescale = VIDEO_SCALE, .start = recipe->video_start};
    media->tracks[1] = (struct media_track){
        .kind = MEDIA_AUDIO, .id = 2, .timescale = AUDIO_SCALE, .start = recipe->audio_start};
    buf_put_zeros(file, 700);
    unsigned frame = 0, sound = 0;
    while (frame < recipe->frames || sound < recipe->sounds) {
        for (unsigned i = 0; i < 12 && frame < recipe->frames; i++, frame++)
            put_sample(file, &media->tracks[0], FRAME, recipe_composition(recipe, frame),
                frame % recipe->gop == 0, false);
        for (unsigned i = 0; i < 8 && sound < recipe->sounds; i++, sound++)
            put_sample(file, &media->tracks[1], SOUND, 0, true, true);
        buf_put_zeros(file, BODY_GAP);
    }
    return archive_finish(archive, recipe->run, recipe->number, recipe->start_us);
}

// --- Making and reading files ---

struct ask {
    int64_t start_us;
    int64_t end_us;
    bool silent;
    bool at_key;
};

static inline struct ask between(int64_t start_us, int64_t end_us)
{
    return (struct ask){.start_us = start_us, .end_us = end_us};
}

static inline struct vfile *make(struct archive *archive, struct ask ask, char **cause)
{
    const struct vfile_request request = {
        .segments = archive->segments,
        .segment_count = archive->count,
        .start_us = ask.start_us,
        .end_us = ask.end_us,
        .audio = !ask.silent,
        .start_at_key = ask.at_key,
        .entries = {{archive->entries[VFILE_VIDEO], 2}, {archive->entries[VFILE_AUDIO], 2}},
        .width = 64,
        .height = 64,
    };
    struct vfile_source source = archive_source(archive);
    return vfile_new(&request, &source, cause);
}

static inline struct vfile *must_make(struct archive *archive, struct ask ask)
{
    char *cause = NULL;
    struct vfile *file = make(archive, ask, &cause);
    if (file == NULL)
        fail_msg("%s", cause);
    return file;
}

static inline void read_part(struct archive *archive, struct vfile_reader *reader, uint64_t offset,
    uint8_t *data, uint64_t size, size_t step)
{
    struct vfile_source source = archive_source(archive);
    char *cause = NULL;
    for (uint64_t done = 0; done < size;) {
        size_t want = size - done < step ? (size_t)(size - done) : step;
        ssize_t got = vfile_reader_try(reader, offset + done, data + done, want, &cause);
        if (got == 0 && vfile_reader_load(reader, &source, offset + done, &cause) == 0)
            got = vfile_reader_try(reader, offset + done, data + done, want, &cause);
        if (got <= 0)
            fail_msg("at %lu: %s", offset + done, cause ? cause : "loaded, and still not there");
        done += (uint64_t)got;
    }
}

static inline uint8_t *read_all(struct archive *archive, const struct vfile *file)
{
    uint64_t size = vfile_info(file)->size;
    uint8_t *data = xmalloc(size);
    struct vfile_reader *reader = vfile_reader_new(file);
    read_part(archive, reader, 0, data, size, 128 * 1024);
    vfile_reader_free(reader);
    return data;
}

struct result {
    struct vfile_info info;
    uint8_t *data;
    struct movie movie;
    const struct movie_track *video;
    const struct movie_track *audio;
};

static inline void check_decode_times(const struct movie_track *track)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < track->sample_count; i++) {
        assert_true(track->samples[i].duration >= 1);
        sum += track->samples[i].duration;
    }
    assert_int_equal(track->media_duration, sum);
}

static inline void fetch(struct result *result, struct archive *archive, struct ask ask)
{
    struct vfile *file = must_make(archive, ask);
    *result = (struct result){.info = *vfile_info(file), .data = read_all(archive, file)};
    movie_read(&result->movie, result->data, result->info.size);
    result->video = movie_find(&result->movie, "vide");
    result->audio = movie_find(&result->movie, "soun");
    assert_non_null(result->video);
    check_decode_times(result->video);
    if (result->audio != NULL)
        check_decode_times(result->audio);
    vfile_free(file);
}

static inline void result_fini(struct result *result)
{
    movie_fini(&result->movie);
    free(result->data);
}

// --- The model ---

struct model_frame {
    double start_us; // UTC
    const uint8_t *bytes;
    uint32_t size;
    size_t segment;
};

static inline int model_compare(const void *left, const void *right)
{
    const struct model_frame *a = left, *b = right;
    return a->start_us < b->start_us ? -1 : a->start_us > b->start_us;
}

// Every frame of one kind in the order in which it is seen, placed in UTC.
static inline struct model_frame *model_frames(
    struct archive *archive, enum media_kind kind, size_t *count)
{
    struct model_frame *frames = NULL;
    size_t capacity = 0;
    *count = 0;
    for (size_t i = 0; i < archive->count; i++) {
        const struct media_track *track = media_segment_track(&archive->media[i], kind);
        const struct media_track *video = media_segment_track(&archive->media[i], MEDIA_VIDEO);
        const struct vfile_segment *segment = &archive->segments[i];
        if (track == NULL)
            continue;
        double origin = 1e18, end = 0, time = (double)video->start;
        for (size_t s = 0; s < video->sample_count; s++) {
            double shown = time + video->samples[s].composition;
            origin = shown < origin ? shown : origin;
            time += video->samples[s].duration;
            end =
                shown + video->samples[s].duration > end ? shown + video->samples[s].duration : end;
        }
        origin /= video->timescale;
        double bend =
            (double)(segment->end_us - segment->start_us) / (end / video->timescale - origin);
        time = (double)track->start;
        for (size_t s = 0; s < track->sample_count; s++) {
            const struct media_sample *sample = &track->samples[s];
            double at = (time + sample->composition) / track->timescale - origin;
            ARRAY_RESERVE(frames, *count, capacity);
            frames[(*count)++] = (struct model_frame){(double)segment->start_us + at * bend,
                archive->files[i].data + sample->offset, sample->size, i};
            time += sample->duration;
        }
    }
    assert_non_null(frames);
    if (frames != NULL)
        qsort(frames, *count, sizeof(frames[0]), model_compare);
    return frames;
}

// The frame on screen at `time_us`: the last that began by then, else the first of all.
static inline size_t model_at(const struct model_frame *frames, size_t count, double time_us)
{
    size_t found = 0;
    while (found + 1 < count && frames[found + 1].start_us <= time_us)
        found++;
    return found;
}

static inline const struct movie_sample **presented(const struct movie_track *track)
{
    const struct movie_sample **order = xcalloc(track->sample_count + 1, sizeof(order[0]));
    for (uint32_t i = 0; i < track->sample_count; i++) {
        uint32_t at = i;
        for (; at > 0 && order[at - 1]->presentation > track->samples[i].presentation; at--)
            order[at] = order[at - 1];
        order[at] = &track->samples[i];
    }
    return order;
}

// The samples that the track's last edit shows, in order; *count of them. An edit that begins
// inside a sample shows that one too.
static inline const struct movie_sample **shown(
    const struct movie *movie, const struct movie_track *track, size_t *count)
{
    const struct movie_sample **order = presented(track);
    const struct movie_edit *edit = &track->edits[track->edit_count - 1];
    double end =
        (double)edit->media_time + (double)edit->duration * track->timescale / movie->timescale;
    size_t first = 0;
    while (first + 1 < track->sample_count && order[first + 1]->presentation <= edit->media_time)
        first++;
    *count = 0;
    for (size_t i = first; i < track->sample_count && (double)order[i]->presentation < end - 0.01;
         i++)
        order[(*count)++] = order[i];
    return order;
}

static inline bool same_bytes(
    const struct result *result, const struct movie_sample *sample, const struct model_frame *frame)
{
    return sample->size == frame->size &&
           memcmp(result->data + sample->offset, frame->bytes, frame->size) == 0;
}

// Holds a result without gaps or overlaps against the model.
static inline void check_range(struct archive *archive, const struct result *result, struct ask ask)
{
    size_t frame_count, shown_count;
    struct model_frame *frames = model_frames(archive, MEDIA_VIDEO, &frame_count);
    const struct movie_sample **samples = shown(&result->movie, result->video, &shown_count);
    size_t first = model_at(frames, frame_count, (double)ask.start_us + 0.5);
    size_t last = model_at(frames, frame_count, (double)ask.end_us - 12);
    assert_true(shown_count >= 1);
    assert_true(same_bytes(result, samples[0], &frames[first]));
    assert_int_equal(samples[0]->presentation, result->video->edits[0].media_time);
    assert_int_equal(shown_count, last - first + 1);
    for (size_t i = 0; i < shown_count; i++)
        assert_true(same_bytes(result, samples[i], &frames[first + i]));
    // The last frame is not shown beyond the end by players that know no edit lists either.
    const struct movie_sample *end = samples[shown_count - 1];
    const struct movie_edit *edit = &result->video->edits[0];
    if (ask.end_us < archive->segments[archive->count - 1].end_us)
        assert_true(
            end->presentation + end->duration <=
            edit->media_time + (int64_t)edit->duration + (ask.end_us % 4000000 ? 0 : FRAME));
    double begin_us = frames[first].start_us;
    double length_us = (double)result->video->edits[0].duration * 1e6 / result->movie.timescale;
    double end_us = (double)ask.end_us;
    double footage_us = (double)archive->segments[archive->count - 1].end_us;
    end_us = end_us < footage_us ? end_us : footage_us;
    assert_float_equal(length_us, end_us - begin_us, 3000);
    assert_true(llabs(result->info.start_us - (int64_t)begin_us) <= 12);
    assert_int_equal(result->info.end_us, (int64_t)end_us);
    free(samples);
    free(frames);
}

// Sound stands beside the picture as it was recorded: every shown sound's time, taken from the
// first shown frame, is the model's.
static inline void check_sound(
    struct archive *archive, const struct result *result, double tolerance_us)
{
    size_t sound_count, frame_count, shown_count;
    struct model_frame *sounds = model_frames(archive, MEDIA_AUDIO, &sound_count);
    struct model_frame *frames = model_frames(archive, MEDIA_VIDEO, &frame_count);
    const struct movie_sample **samples = shown(&result->movie, result->audio, &shown_count);
    const struct movie_edit *edit = &result->audio->edits[result->audio->edit_count - 1];
    double empty_us = result->audio->edit_count > 1
                          ? (double)result->audio->edits[0].duration * 1e6 / result->movie.timescale
                          : 0;
    assert_true(shown_count >= 1);
    for (size_t i = 0; i < shown_count; i++) {
        size_t at = 0;
        while (at < sound_count && !same_bytes(result, samples[i], &sounds[at]))
            at++;
        assert_true(at < sound_count);
        double time_us = empty_us + (double)(samples[i]->presentation - edit->media_time) * 1e6 /
                                        result->audio->timescale;
        assert_float_equal(
            time_us, sounds[at].start_us - (double)result->info.start_us, tolerance_us);
    }
    free(samples);
    free(frames);
    free(sounds);
}

// --- Archives ---

// One run of three segments, 4 s each, with sound that is 0.2 s behind.
static inline void add_run(struct archive *archive, bool reordered, bool leading, bool sound)
{
    for (uint32_t i = 0; i < 3; i++) {
        // Sounds that begin before the segment's end: 4 s are 62.5 of them.
        unsigned before = (i * 64000 + SOUND - 1) / SOUND;
        unsigned after = ((i + 1) * 64000 + SOUND - 1) / SOUND;
        archive_add(archive, &(struct recipe){.run = 1,
                                 .number = i,
                                 .start_us = START_US + i * 4000000,
                                 .video_start = 90000 + i * 360000,
                                 .frames = 100,
                                 .gop = 25,
                                 .reordered = reordered,
                                 .leading = leading,
                                 .audio_start = 16000 + 3200 + before * SOUND,
                                 .sounds = sound ? after - before : 0});
    }
}

// --- Recorded segments ---

static inline void add_recorded(
    struct archive *archive, const char *name, uint32_t number, int64_t start_us)
{
    struct mp4_layout layout;
    size_t i = archive->count;
    archive->files[i] = corpus_load(name, ".mp4");
    must_read(&archive->files[i], &archive->media[i], &layout);
    struct vfile_segment *segment = archive_finish(archive, 1, number, start_us);
    assert_int_equal(segment->media_offset, layout.media_offset);
    assert_int_equal(segment->media_end, layout.media_end);
}
