// Virtual files: made from synthetic segments whose every byte is known, and from recorded ones,
// read back with a parser of the tests' own, and held against a plain model of what a range shows.
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
    char folder[64];
};

static void archive_init(struct archive *archive)
{
    *archive = (struct archive){0};
    snprintf(archive->folder, sizeof(archive->folder), "/tmp/test_vfile.XXXXXX");
    assert_non_null(mkdtemp(archive->folder));
}

static void archive_fini(struct archive *archive)
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

static const struct sample_table *archive_table(void *arg, size_t segment, char **cause)
{
    struct archive *archive = arg;
    archive->tables_asked++;
    const struct buf *packed = &archive->packed[segment];
    return sample_table_open(&archive->table, packed->data, packed->size, cause) == 0
               ? &archive->table
               : NULL;
}

static int archive_open(void *arg, size_t segment, char **cause)
{
    struct archive *archive = arg;
    archive->opens++;
    int fd = open(archive->paths[segment], O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        *cause = xasprintf("%s: gone", archive->paths[segment]);
    return fd;
}

static struct vfile_source archive_source(struct archive *archive)
{
    return (struct vfile_source){archive_table, archive_open, archive};
}

// Takes archive->media[count] and files[count] as a segment that begins at `start_us`.
static struct vfile_segment *archive_finish(
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

static void put_sample(struct buf *file, struct media_track *track, uint32_t duration,
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
static int32_t recipe_composition(const struct recipe *recipe, unsigned frame)
{
    unsigned at = frame % recipe->gop;
    bool leading = recipe->leading && frame >= recipe->gop;
    unsigned in_triple = leading ? at % 3 : (at + 2) % 3;
    if (!recipe->reordered || (at == 0 && !leading) || at - in_triple + 2 >= recipe->gop)
        return 0;
    return in_triple == 0 ? 2 * FRAME : -FRAME;
}

static struct vfile_segment *archive_add(struct archive *archive, const struct recipe *recipe)
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

// Sample entries are copied as they are; eight bytes suffice.
static const uint8_t entry_bytes[8] = {0, 0, 0, 8, 't', 'e', 's', 't'};
static const struct mp4_entry entries[] = {{entry_bytes, 8}, {entry_bytes, 8}};

struct ask {
    int64_t start_us;
    int64_t end_us;
    bool silent;
    bool at_key;
};

static struct ask between(int64_t start_us, int64_t end_us)
{
    return (struct ask){.start_us = start_us, .end_us = end_us};
}

static struct vfile *make(struct archive *archive, struct ask ask, char **cause)
{
    const struct vfile_request request = {
        .segments = archive->segments,
        .segment_count = archive->count,
        .start_us = ask.start_us,
        .end_us = ask.end_us,
        .audio = !ask.silent,
        .start_at_key = ask.at_key,
        .entries = {{entries, 2}, {entries, 1}},
        .width = 64,
        .height = 64,
    };
    struct vfile_source source = archive_source(archive);
    return vfile_new(&request, &source, cause);
}

static struct vfile *must_make(struct archive *archive, struct ask ask)
{
    char *cause = NULL;
    struct vfile *file = make(archive, ask, &cause);
    if (file == NULL)
        fail_msg("%s", cause);
    return file;
}

static void read_part(struct archive *archive, struct vfile_reader *reader, uint64_t offset,
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

static uint8_t *read_all(struct archive *archive, const struct vfile *file)
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

static void check_decode_times(const struct movie_track *track)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < track->sample_count; i++) {
        assert_true(track->samples[i].duration >= 1);
        sum += track->samples[i].duration;
    }
    assert_int_equal(track->media_duration, sum);
}

static void fetch(struct result *result, struct archive *archive, struct ask ask)
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

static void result_fini(struct result *result)
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

static int model_compare(const void *left, const void *right)
{
    const struct model_frame *a = left, *b = right;
    return a->start_us < b->start_us ? -1 : a->start_us > b->start_us;
}

// Every frame of one kind in the order in which it is seen, placed in UTC.
static struct model_frame *model_frames(
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
static size_t model_at(const struct model_frame *frames, size_t count, double time_us)
{
    size_t found = 0;
    while (found + 1 < count && frames[found + 1].start_us <= time_us)
        found++;
    return found;
}

static const struct movie_sample **presented(const struct movie_track *track)
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
static const struct movie_sample **shown(
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

static bool same_bytes(
    const struct result *result, const struct movie_sample *sample, const struct model_frame *frame)
{
    return sample->size == frame->size &&
           memcmp(result->data + sample->offset, frame->bytes, frame->size) == 0;
}

// Holds a result without gaps or overlaps against the model.
static void check_range(struct archive *archive, const struct result *result, struct ask ask)
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
static void check_sound(struct archive *archive, const struct result *result, double tolerance_us)
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
static void add_run(struct archive *archive, bool reordered, bool leading, bool sound)
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

// --- Tests ---

static void test_random_ranges(void **state)
{
    (void)state;
    static const struct {
        bool reordered;
        bool leading;
        bool sound;
    } kinds[] = {
        {false, false, false}, {false, false, true}, {true, false, true}, {true, true, true}};
    srandom(1);
    for (size_t kind = 0; kind < ARRAY_LENGTH(kinds); kind++) {
        struct archive archive;
        archive_init(&archive);
        add_run(&archive, kinds[kind].reordered, kinds[kind].leading, kinds[kind].sound);
        for (int i = 0; i < 60; i++) {
            int64_t from = START_US + 300000 + random() % 11000 * 1000;
            int64_t to = from + 1000 + random() % 12000 * 1000;
            struct ask ask = {from, to, .silent = random() % 4 == 0};
            struct result result;
            fetch(&result, &archive, ask);
            check_range(&archive, &result, ask);
            assert_true(
                (result.audio != NULL) == (kinds[kind].sound && !ask.silent) || to - from < 200000);
            if (result.audio != NULL)
                check_sound(&archive, &result, 100);
            result_fini(&result);
        }
        archive_fini(&archive);
    }
}

static void test_any_part_equals_the_whole(void **state)
{
    (void)state;
    struct archive archive;
    archive_init(&archive);
    add_run(&archive, true, false, true);
    for (int silent = 0; silent < 2; silent++) {
        struct vfile *file = must_make(&archive,
            (struct ask){
                .start_us = START_US + 1234000, .end_us = START_US + 9876000, .silent = silent});
        uint64_t size = vfile_info(file)->size;
        uint8_t *whole = read_all(&archive, file), *part = xmalloc(size);
        struct vfile_reader *reader = vfile_reader_new(file);
        for (int i = 0; i < 300; i++) {
            uint64_t from = (uint64_t)random() % size;
            uint64_t length = 1 + (uint64_t)random() % (i % 2 ? 500 : size);
            length = length < size - from ? length : size - from;
            read_part(&archive, reader, from, part, length, 1 + (size_t)random() % 70000);
            assert_memory_equal(part, whole + from, length);
        }
        vfile_reader_free(reader);
        vfile_free(file);
        free(part);
        free(whole);
    }
    archive_fini(&archive);
}

static void test_more_segments_than_a_reader_holds_open(void **state)
{
    (void)state;
    struct archive archive;
    archive_init(&archive);
    for (uint32_t i = 0; i < SEGMENTS_MAX; i++)
        archive_add(&archive, &(struct recipe){.run = 1,
                                  .number = i,
                                  .start_us = START_US + i * 1000000,
                                  .video_start = i * 90000,
                                  .frames = 25,
                                  .gop = 25});
    struct ask ask = between(START_US + 500000, START_US + SEGMENTS_MAX * 1000000 - 500000);
    struct result result;
    fetch(&result, &archive, ask);
    check_range(&archive, &result, ask);
    struct vfile *file = must_make(&archive, ask);
    struct vfile_reader *reader = vfile_reader_new(file);
    uint8_t part[5000];
    for (int i = 0; i < 200; i++) {
        uint64_t from = (uint64_t)random() % (result.info.size - sizeof(part));
        read_part(&archive, reader, from, part, sizeof(part), sizeof(part));
        assert_memory_equal(part, result.data + from, sizeof(part));
    }
    vfile_reader_free(reader);
    vfile_free(file);
    result_fini(&result);
    archive_fini(&archive);
}

static void test_only_trimmed_segments_are_looked_at(void **state)
{
    (void)state;
    struct archive archive;
    archive_init(&archive);
    for (uint32_t i = 0; i < 16; i++)
        archive_add(&archive, &(struct recipe){.run = 1,
                                  .number = i,
                                  .start_us = START_US + i * 4000000,
                                  .video_start = i * 360000,
                                  .frames = 100,
                                  .gop = 50,
                                  .audio_start = i * 64000,
                                  .sounds = 62});
    struct vfile *file = must_make(&archive, between(START_US + 500000, START_US + 62 * 1000000));
    // First and last: where to cut video and audio, what is left of both, and which bytes.
    assert_true(archive.tables_asked <= 12);
    assert_int_equal(archive.opens, 0);
    vfile_free(file);
    archive_fini(&archive);
}

static void test_without_sound_no_byte_of_it_is_in_the_file(void **state)
{
    (void)state;
    struct archive archive;
    archive_init(&archive);
    add_run(&archive, true, false, true);
    struct ask ask = {START_US + 1500000, START_US + 10500000, .silent = true};
    struct result result;
    fetch(&result, &archive, ask);
    assert_int_equal(result.movie.track_count, 1);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < result.video->sample_count; i++)
        sum += result.video->samples[i].size;
    assert_int_equal(result.movie.media_size, sum);
    for (uint64_t i = 0; i < result.movie.media_size; i++)
        assert_true(result.data[result.movie.media_offset + i] < 0x80);
    result_fini(&result);
    archive_fini(&archive);
}

static void test_starting_at_a_key_frame_hides_nothing(void **state)
{
    (void)state;
    struct archive archive;
    archive_init(&archive);
    add_run(&archive, true, false, true);
    struct ask ask = {START_US + 1500000, START_US + 3000000, .at_key = true};
    struct result result;
    fetch(&result, &archive, ask);
    size_t count;
    const struct movie_sample **samples = shown(&result.movie, result.video, &count);
    assert_true(samples[0]->key);
    assert_ptr_equal(samples[0], &result.video->samples[0]);
    assert_int_equal(result.info.lead_in_us, 0);
    assert_int_equal(result.info.start_us, START_US + 1000000);
    free(samples);
    result_fini(&result);
    // Without it, half a second is hidden and told of.
    ask.at_key = false;
    fetch(&result, &archive, ask);
    assert_true(llabs(result.info.lead_in_us - 480000) <= 12);
    result_fini(&result);
    archive_fini(&archive);
}

static void test_a_leading_picture_is_decoded_from_the_key_frame_before(void **state)
{
    (void)state;
    struct archive archive;
    archive_init(&archive);
    add_run(&archive, true, true, false);
    // The second segment's own first picture is its key frame here; the second GOP's key frame is
    // shown two frames after the picture at exactly 1 s, which refers to the first GOP.
    struct ask ask = between(START_US + 1000000, START_US + 1500000);
    struct result result;
    fetch(&result, &archive, ask);
    check_range(&archive, &result, ask);
    assert_true(result.video->samples[0].key);
    assert_int_equal(result.info.lead_in_us, 1000000);
    result_fini(&result);
    // The key frame itself needs nothing before it.
    ask.start_us = START_US + 1080000;
    fetch(&result, &archive, ask);
    check_range(&archive, &result, ask);
    assert_int_equal(result.info.lead_in_us, 0);
    result_fini(&result);
    archive_fini(&archive);
}

static void test_a_leading_picture_may_need_the_segment_before(void **state)
{
    (void)state;
    struct archive archive;
    archive_init(&archive);
    add_run(&archive, true, false, true);
    // Let the second segment begin with two pictures that are shown before its key frame.
    struct media_track *track = &archive.media[1].tracks[0];
    static const int32_t compositions[] = {2 * FRAME, -FRAME, -FRAME};
    for (int i = 0; i < 3; i++)
        track->samples[i].composition = compositions[i];
    buf_fini(&archive.packed[1]);
    sample_table_encode(&archive.media[1], &archive.packed[1]);
    track_summarize(track, &archive.segments[1].tracks[VFILE_VIDEO]);
    struct ask ask = between(START_US + 4000000, START_US + 4500000);
    struct result result;
    fetch(&result, &archive, ask);
    assert_int_equal(result.info.first, 0);
    assert_int_equal(result.info.lead_in_us, 1000000);
    check_range(&archive, &result, ask);
    check_sound(&archive, &result, 100);
    result_fini(&result);
    archive_fini(&archive);
}

// The recorder's own first boundary: decode times of the second segment begin before the first's
// end, presentation runs on.
static void test_overlapping_decode_times_keep_presentation(void **state)
{
    (void)state;
    struct archive archive;
    archive_init(&archive);
    add_run(&archive, false, false, true);
    for (uint32_t i = 1; i < 3; i++) {
        struct media_track *track = &archive.media[i].tracks[0];
        track->start -= 2 * FRAME;
        for (size_t s = 0; s < track->sample_count; s++)
            track->samples[s].composition += 2 * FRAME;
        buf_fini(&archive.packed[i]);
        sample_table_encode(&archive.media[i], &archive.packed[i]);
        track_summarize(track, &archive.segments[i].tracks[VFILE_VIDEO]);
    }
    struct ask ask = between(START_US + 2000000, START_US + 11000000);
    struct result result;
    fetch(&result, &archive, ask);
    check_range(&archive, &result, ask);
    check_sound(&archive, &result, 100);
    // Presentation times are the recorded ones, to the tick.
    size_t count;
    const struct movie_sample **samples = shown(&result.movie, result.video, &count);
    for (size_t i = 1; i < count; i++)
        assert_int_equal(samples[i]->presentation - samples[i - 1]->presentation, FRAME);
    free(samples);
    result_fini(&result);
    archive_fini(&archive);
}

// Presentation before decoding: an edit can not begin before zero, so all of it is moved.
static void test_negative_presentation_is_moved_with_its_sound(void **state)
{
    (void)state;
    struct archive archive;
    archive_init(&archive);
    add_run(&archive, false, false, true);
    for (uint32_t i = 0; i < 3; i++) {
        struct media_track *track = &archive.media[i].tracks[0];
        track->start += 5 * FRAME;
        for (size_t s = 0; s < track->sample_count; s++)
            track->samples[s].composition -= 5 * FRAME;
        buf_fini(&archive.packed[i]);
        sample_table_encode(&archive.media[i], &archive.packed[i]);
        track_summarize(track, &archive.segments[i].tracks[VFILE_VIDEO]);
    }
    struct ask ask = between(START_US + 2000000, START_US + 9000000);
    struct result result;
    fetch(&result, &archive, ask);
    assert_int_equal(result.video->edits[0].media_time, 0);
    check_range(&archive, &result, ask);
    check_sound(&archive, &result, 100);
    result_fini(&result);
    archive_fini(&archive);
}

// A camera that pauses for half a second between two segments of a run has paused in the file, too.
static void test_a_short_pause_inside_a_run_lasts_as_long(void **state)
{
    (void)state;
    struct archive archive;
    archive_init(&archive);
    add_run(&archive, true, false, true);
    for (uint32_t i = 1; i < 3; i++) {
        archive.media[i].tracks[0].start += 45000;
        archive.media[i].tracks[1].start += 8000;
        archive.segments[i].tracks[VFILE_VIDEO].start += 45000;
        archive.segments[i].tracks[VFILE_AUDIO].start += 8000;
        archive.segments[i].start_us += 500000;
        archive.segments[i].end_us += 500000;
    }
    struct ask ask = between(START_US + 2000000, START_US + 9000000);
    struct result result;
    fetch(&result, &archive, ask);
    check_range(&archive, &result, ask);
    check_sound(&archive, &result, 100);
    result_fini(&result);
    archive_fini(&archive);
}

// Two runs with 100 s between them: the second follows at once, its sound in step with it.
static void test_time_between_runs_is_skipped(void **state)
{
    (void)state;
    for (int overlap = 0; overlap < 2; overlap++) {
        struct archive archive;
        archive_init(&archive);
        archive_add(&archive, &(struct recipe){.run = 1,
                                  .start_us = START_US,
                                  .video_start = 5000,
                                  .frames = 100,
                                  .gop = 25,
                                  .audio_start = 1000,
                                  .sounds = overlap ? 70 : 50});
        archive_add(&archive, &(struct recipe){.run = 2,
                                  .start_us = START_US + 104000000,
                                  .video_start = 700000,
                                  .frames = 50,
                                  .gop = 25,
                                  .reordered = true,
                                  .audio_start = 700000 * 8 / 45 + 400,
                                  .sounds = 30});
        struct result result;
        fetch(&result, &archive, between(START_US, START_US + 200000000));
        assert_int_equal(result.video->sample_count, 150);
        assert_int_equal(result.video->edits[0].duration, 150 * FRAME);
        assert_int_equal(
            result.video->samples[100].presentation - result.video->samples[0].presentation,
            100 * FRAME);
        assert_int_equal(result.info.end_us, START_US + 106000000);
        // The second run's sound begins 400/16000 s after its picture, in the file as in the
        // record; with an overlap, whole frames of it are missing at its beginning.
        unsigned kept = result.audio->sample_count - (overlap ? 70 : 50);
        const struct movie_sample *first = &result.audio->samples[overlap ? 70 : 50];
        int64_t dropped = 30 - kept;
        assert_true(overlap ? dropped > 0 && dropped < 10 : dropped == 0);
        double expected = 64000 + 400 + (double)dropped * SOUND - (1000 - 5000 * 8 / 45.0);
        assert_float_equal(
            (double)(first->presentation - result.audio->samples[0].presentation), expected, 1.01);
        result_fini(&result);
        archive_fini(&archive);
    }
}

static void test_a_start_in_a_gap_begins_with_what_comes_next(void **state)
{
    (void)state;
    struct archive archive;
    archive_init(&archive);
    archive_add(
        &archive, &(struct recipe){.run = 1, .start_us = START_US, .frames = 50, .gop = 25});
    archive_add(&archive,
        &(struct recipe){.run = 2, .start_us = START_US + 10000000, .frames = 50, .gop = 25});
    struct result result;
    fetch(&result, &archive, between(START_US + 5000000, START_US + 10500000));
    assert_int_equal(result.info.start_us, START_US + 10000000);
    assert_int_equal(result.info.first, 1);
    assert_int_equal(result.video->edits[0].duration, 45000);
    result_fini(&result);
    // An end in a gap: to the end of what was before.
    fetch(&result, &archive, between(START_US + 1000000, START_US + 5000000));
    assert_int_equal(result.info.end_us, START_US + 2000000);
    assert_int_equal(result.video->edits[0].duration, 90000);
    result_fini(&result);
    archive_fini(&archive);
}

static void test_nothing_in_the_range_is_a_failure(void **state)
{
    (void)state;
    struct archive archive;
    archive_init(&archive);
    archive_add(
        &archive, &(struct recipe){.run = 1, .start_us = START_US, .frames = 50, .gop = 25});
    char *cause = NULL;
    assert_null(make(&archive, between(START_US + 3000000, START_US + 5000000), &cause));
    assert_non_null(cause);
    free(cause);
    cause = NULL;
    assert_null(make(&archive, between(START_US - 3000000, START_US), &cause));
    assert_non_null(cause);
    free(cause);
    archive_fini(&archive);
}

static void test_sound_that_stops_for_a_while_keeps_its_place(void **state)
{
    (void)state;
    struct archive archive;
    archive_init(&archive);
    add_run(&archive, false, false, true);
    // The second segment has no sound at all.
    free(archive.media[1].tracks[1].samples);
    archive.media[1].tracks[1] = (struct media_track){0};
    archive.media[1].track_count = 1;
    archive.segments[1].tracks[VFILE_AUDIO] = (struct track_summary){0};
    buf_fini(&archive.packed[1]);
    sample_table_encode(&archive.media[1], &archive.packed[1]);
    struct ask ask = between(START_US + 1000000, START_US + 11000000);
    struct result result;
    fetch(&result, &archive, ask);
    check_range(&archive, &result, ask);
    check_sound(&archive, &result, 100);
    result_fini(&result);
    // A range that begins where there is none: an empty edit holds the place.
    ask = between(START_US + 5000000, START_US + 11000000);
    fetch(&result, &archive, ask);
    assert_int_equal(result.audio->edit_count, 2);
    assert_int_equal(result.audio->edits[0].media_time, -1);
    check_sound(&archive, &result, 100);
    result_fini(&result);
    archive_fini(&archive);
}

// The recorder's durations at a file's end are guesses: the next file's sound may begin earlier.
static void test_sound_that_overlaps_a_little_inside_a_run_stays_whole(void **state)
{
    (void)state;
    struct archive archive;
    archive_init(&archive);
    add_run(&archive, false, false, true);
    archive.media[1].tracks[1].start -= 700;
    track_summarize(&archive.media[1].tracks[1], &archive.segments[1].tracks[VFILE_AUDIO]);
    archive.tables_asked = 0;
    struct result result;
    fetch(&result, &archive, between(START_US, START_US + 12000000));
    const struct media_track *track = &archive.media[1].tracks[1];
    size_t kept = 0;
    for (uint32_t i = 0; i < result.audio->sample_count; i++) {
        const struct movie_sample *sample = &result.audio->samples[i];
        for (size_t s = 0; s < track->sample_count; s++)
            kept += sample->size == track->samples[s].size &&
                    memcmp(result.data + sample->offset,
                        archive.files[1].data + track->samples[s].offset, sample->size) == 0;
    }
    assert_int_equal(kept, track->sample_count);
    check_sound(&archive, &result, 100);
    result_fini(&result);
    archive_fini(&archive);
}

static void test_sample_entries_are_chosen_by_segment(void **state)
{
    (void)state;
    struct archive archive;
    archive_init(&archive);
    add_run(&archive, false, false, true);
    archive.segments[1].entries[VFILE_VIDEO] = 2;
    struct result result;
    fetch(&result, &archive, between(START_US, START_US + 12000000));
    assert_int_equal(result.video->entry_count, 2);
    for (uint32_t i = 0; i < 300; i++)
        assert_int_equal(result.video->samples[i].entry, i >= 100 && i < 200 ? 2 : 1);
    result_fini(&result);
    archive_fini(&archive);
}

static void test_a_bent_clock_moves_what_is_asked_for(void **state)
{
    (void)state;
    struct archive archive;
    archive_init(&archive);
    add_run(&archive, false, false, false);
    // 4 s of media stand for 4.002 s of time.
    for (int i = 0; i < 3; i++) {
        archive.segments[i].start_us = START_US + i * 4002000;
        archive.segments[i].end_us = START_US + (i + 1) * 4002000;
    }
    const struct vfile_segment *segment = &archive.segments[1];
    assert_int_equal(vfile_media_time(segment, segment->start_us), 90000 + 360000);
    assert_int_equal(vfile_media_time(segment, segment->end_us), 90000 + 720000);
    assert_int_equal(vfile_media_time(segment, segment->start_us + 2001000), 90000 + 540000);
    assert_int_equal(vfile_wall_time(segment, 90000 + 540000), segment->start_us + 2001000);
    // There and back is the same tick, so a reported start gives the same frame again.
    for (int64_t tick = 90000 + 360000; tick < 90000 + 720000; tick += 37)
        assert_int_equal(vfile_media_time(segment, vfile_wall_time(segment, tick)), tick);
    // 8.020 s of time is 2 frames into the third segment, less 16 ms.
    struct ask ask = between(START_US + 8020000, START_US + 9000000);
    struct result result;
    fetch(&result, &archive, ask);
    check_range(&archive, &result, ask);
    struct result again;
    fetch(&again, &archive, between(result.info.start_us, ask.end_us));
    assert_int_equal(again.info.start_us, result.info.start_us);
    assert_int_equal(again.video->sample_count, result.video->sample_count);
    result_fini(&again);
    result_fini(&result);
    archive_fini(&archive);
}

static void test_a_file_that_has_changed_ends_the_answer(void **state)
{
    (void)state;
    struct archive archive;
    archive_init(&archive);
    add_run(&archive, false, false, true);
    struct vfile *file = must_make(&archive, between(START_US, START_US + 12000000));
    struct vfile_source source = archive_source(&archive);
    uint64_t at = vfile_info(file)->size - 1; // in the last segment
    uint8_t byte;
    char *cause = NULL;

    // Shorter than its row says.
    assert_int_equal(truncate(archive.paths[2], (off_t)archive.segments[2].media_end - 1), 0);
    struct vfile_reader *reader = vfile_reader_new(file);
    assert_int_equal(vfile_reader_try(reader, at, &byte, 1, &cause), 0);
    assert_int_equal(vfile_reader_load(reader, &source, at, &cause), -1);
    assert_non_null(cause);
    free(cause);
    cause = NULL;
    vfile_reader_free(reader);

    // Gone.
    assert_int_equal(unlink(archive.paths[2]), 0);
    reader = vfile_reader_new(file);
    assert_int_equal(vfile_reader_load(reader, &source, at, &cause), -1);
    assert_non_null(cause);
    free(cause);
    cause = NULL;
    vfile_reader_free(reader);

    // Truncated while it is open: never other bytes, and the process lives.
    reader = vfile_reader_new(file);
    at = vfile_info(file)->size - 2 - archive.segments[2].media_end;
    assert_int_equal(vfile_reader_load(reader, &source, at, &cause), 0);
    assert_true(vfile_reader_try(reader, at, &byte, 1, &cause) == 1);
    assert_int_equal(truncate(archive.paths[1], 0), 0);
    struct vfile_reader *other = reader;
    ssize_t got = 1;
    for (int i = 0; i < 1000000 && got > 0; i++, at++)
        got = vfile_reader_try(other, at, &byte, 1, &cause);
    if (got == 0)
        got = vfile_reader_load(other, &source, at, &cause);
    assert_int_equal(got, -1);
    assert_non_null(cause);
    free(cause);
    vfile_reader_free(reader);
    vfile_free(file);
    archive_fini(&archive);
}

static void test_a_table_that_does_not_fit_its_row_is_refused(void **state)
{
    (void)state;
    struct archive archive;
    archive_init(&archive);
    add_run(&archive, false, false, false);
    struct vfile *file = must_make(&archive, between(START_US, START_US + 12000000));
    struct vfile_source source = archive_source(&archive);
    // The second segment's table turns out to have one sample less.
    archive.media[1].tracks[0].sample_count--;
    buf_fini(&archive.packed[1]);
    sample_table_encode(&archive.media[1], &archive.packed[1]);
    struct vfile_reader *reader = vfile_reader_new(file);
    uint64_t size = vfile_info(file)->size, at = 0;
    uint8_t *data = xmalloc(size);
    char *cause = NULL;
    while (at < size) {
        ssize_t got = vfile_reader_try(reader, at, data, size, &cause);
        if (got == 0 && vfile_reader_load(reader, &source, at, &cause) < 0)
            break;
        at += got > 0 ? (uint64_t)got : 0;
    }
    assert_true(at < size);
    assert_non_null(cause);
    free(cause);
    free(data);
    vfile_reader_free(reader);
    vfile_free(file);
    archive_fini(&archive);
}

static void test_absurd_times_are_refused(void **state)
{
    (void)state;
    struct archive archive;
    archive_init(&archive);
    add_run(&archive, false, false, false);
    static const struct {
        int64_t start;
        uint32_t timescale;
        uint64_t duration;
    } cases[] = {{INT64_MAX, 90000, 360000}, {INT64_MIN, 90000, 360000}, {0, 0, 360000},
        {0, UINT32_MAX, 360000}, {0, 90000, UINT64_MAX}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct track_summary kept = archive.segments[1].tracks[VFILE_VIDEO];
        struct track_summary *summary = &archive.segments[1].tracks[VFILE_VIDEO];
        summary->start = cases[i].start;
        summary->timescale = cases[i].timescale;
        summary->counts.duration = cases[i].duration;
        char *cause = NULL;
        assert_null(make(&archive, between(START_US, START_US + 12000000), &cause));
        assert_non_null(cause);
        free(cause);
        *summary = kept;
    }
    archive_fini(&archive);
}

// --- Recorded segments ---

static void add_recorded(
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

static void test_recorded_segments(void **state)
{
    (void)state;
    static const char *const names[] = {"h264", "h264-b-aac", "h265"};
    for (size_t n = 0; n < ARRAY_LENGTH(names); n++) {
        struct archive archive;
        archive_init(&archive);
        char *name = xasprintf("%s-000000", names[n]);
        add_recorded(&archive, name, 0, START_US);
        name[strlen(name) - 1] = '1';
        add_recorded(&archive, name, 1, archive.segments[0].end_us);
        free(name);
        for (int i = 0; i < 30; i++) {
            int64_t from = START_US + 100000 + random() % 5000 * 1000;
            struct ask ask = between(from, from + 80000 + random() % 4000 * 1000);
            struct result result;
            fetch(&result, &archive, ask);
            check_range(&archive, &result, ask);
            result_fini(&result);
        }
        archive_fini(&archive);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_ranges),
        cmocka_unit_test(test_any_part_equals_the_whole),
        cmocka_unit_test(test_more_segments_than_a_reader_holds_open),
        cmocka_unit_test(test_only_trimmed_segments_are_looked_at),
        cmocka_unit_test(test_without_sound_no_byte_of_it_is_in_the_file),
        cmocka_unit_test(test_starting_at_a_key_frame_hides_nothing),
        cmocka_unit_test(test_a_leading_picture_is_decoded_from_the_key_frame_before),
        cmocka_unit_test(test_a_leading_picture_may_need_the_segment_before),
        cmocka_unit_test(test_overlapping_decode_times_keep_presentation),
        cmocka_unit_test(test_negative_presentation_is_moved_with_its_sound),
        cmocka_unit_test(test_a_short_pause_inside_a_run_lasts_as_long),
        cmocka_unit_test(test_time_between_runs_is_skipped),
        cmocka_unit_test(test_a_start_in_a_gap_begins_with_what_comes_next),
        cmocka_unit_test(test_nothing_in_the_range_is_a_failure),
        cmocka_unit_test(test_sound_that_stops_for_a_while_keeps_its_place),
        cmocka_unit_test(test_sound_that_overlaps_a_little_inside_a_run_stays_whole),
        cmocka_unit_test(test_sample_entries_are_chosen_by_segment),
        cmocka_unit_test(test_a_bent_clock_moves_what_is_asked_for),
        cmocka_unit_test(test_a_file_that_has_changed_ends_the_answer),
        cmocka_unit_test(test_a_table_that_does_not_fit_its_row_is_refused),
        cmocka_unit_test(test_absurd_times_are_refused),
        cmocka_unit_test(test_recorded_segments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
