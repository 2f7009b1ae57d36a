// links: kf-webui
// What goes over the network: the framing, and the movie without an end, read back byte by byte.
#include "tests/unit/live.h"

#include <endian.h>

#include "webui/live_movie.h"
#include "webui/live_mux.h"
#include "webui/live_sound.h"

static struct live_corpus corpus;

static int setup(void **state)
{
    (void)state;
    live_corpus_open(&corpus, "h264-b-aac-000000");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    live_corpus_close(&corpus);
    return 0;
}

// A header as docs/api.md has it.
struct header {
    uint8_t kind, tile;
    uint16_t flags;
    uint32_t length;
    double start, duration, age;
} __attribute__((packed));

static struct header read_header(const struct buf *buf, size_t at)
{
    struct header header;
    assert_int_equal(sizeof(header), 32);
    assert_int_equal(BYTE_ORDER, LITTLE_ENDIAN);
    assert_true(at + sizeof(header) <= buf->size);
    memcpy(&header, buf->data + at, sizeof(header));
    assert_true(header.length <= 1 << 20);
    return header;
}

static void test_the_header_is_as_documented(void **state)
{
    (void)state;
    const struct live_mux_tile tile = {.camera = "yard", .stream = "main"};
    struct live_part part = corpus.parts[0];
    part.start_us = 3723500000;
    part.duration_us = 480000;
    part.appeared_us = 1000000;
    struct live_item item = {.tile = 7,
        .flags = LIVE_FLAG_KEY | LIVE_FLAG_CATCH_UP,
        .fragment = live_corpus_fragment(&corpus, &part)};
    struct buf head = BUF_INIT;
    live_mux_put_media(&head, &tile, &item, 1250000);
    struct header header = read_header(&head, 0);
    assert_int_equal(header.kind, 2);
    assert_int_equal(header.tile, 7);
    assert_int_equal(header.flags, 1 | 8);
    assert_int_equal(header.length, part.size);
    assert_true(header.start == 3723.5 && header.duration == 0.48 && header.age == 0.25);
    assert_int_equal(head.size, 32 + part.moof_size);
    assert_memory_equal(head.data + 36, "moof", 4);
    live_fragment_unref(item.fragment);
    buf_fini(&head);
}

static void test_an_init_comes_behind_its_description(void **state)
{
    (void)state;
    for (int sound = 0; sound < 2; sound++) {
        const struct live_mux_tile tile = {.camera = "yard", .stream = "sub", .sound = sound};
        struct buf head = BUF_INIT;
        live_mux_put_init(&head, 3, &tile, corpus.reader.init);
        struct header header = read_header(&head, 0);
        assert_int_equal(header.kind, 0);
        assert_int_equal(header.tile, 3);
        char *text = xstrndup((const char *)head.data + 32, header.length);
        assert_non_null(strstr(text, "\"camera\":\"yard\",\"stream\":\"sub\",\"codecs\":\"avc1."));
        assert_int_equal(strstr(text, "mp4a.40.2") != NULL, sound);
        assert_non_null(strstr(text, sound ? "\"audio\":true}" : "\"audio\":false}"));
        free(text);
        size_t at = 32 + header.length;
        header = read_header(&head, at);
        assert_int_equal(header.kind, 1);
        assert_int_equal(at + 32 + header.length, head.size);
        assert_memory_equal(head.data + at + 36, "ftyp", 4);
        buf_fini(&head);
    }
}

static void test_states_have_names(void **state)
{
    (void)state;
    static const struct {
        enum live_state state;
        const char *text;
    } cases[] = {{LIVE_STATE_RECORDING, "{\"state\":\"recording\","},
        {LIVE_STATE_STALLED, "{\"state\":\"stalled\","}, {LIVE_STATE_OFF, "{\"state\":\"off\","}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct buf head = BUF_INIT;
        live_mux_put_state(&head, 1, cases[i].state, 1774942200000000);
        struct header header = read_header(&head, 0);
        assert_int_equal(header.kind, 3);
        assert_memory_equal(head.data + 32, cases[i].text, strlen(cases[i].text));
        assert_non_null(
            strstr(buf_string(&head) + 32, "\"since\":\"2026-03-31T07:30:00.000000Z\""));
        buf_fini(&head);
    }
}

// --- The movie ---

// Puts a part into the movie, with its data, and reads everything sent since `from` back.
static bool put(struct live_movie *movie, const struct live_part *part, unsigned flags, bool init,
    struct buf *sent)
{
    struct live_item item = {
        .flags = flags, .needs_init = init, .fragment = live_corpus_fragment(&corpus, part)};
    char *cause = NULL;
    bool result = live_movie_put(movie, &item, sent, &cause);
    if (result)
        buf_put(sent, item.fragment->bytes.data + part->moof_size, part->size - part->moof_size);
    assert_int_equal(cause != NULL, !result);
    free(cause);
    live_fragment_unref(item.fragment);
    return result;
}

static void test_the_movie_is_the_file_at_another_time(void **state)
{
    (void)state;
    for (int sound = 0; sound < 2; sound++) {
        struct live_movie movie = {.sound = sound};
        struct buf sent = BUF_INIT;
        for (size_t i = 0; i < corpus.count; i++)
            if (corpus.parts[i].has_video || sound)
                assert_true(put(&movie, &corpus.parts[i], 0, i == 0, &sent));
        struct media_segment was, is;
        struct mp4_layout layout;
        must_read(&corpus.file, &was, &layout);
        must_read(&sent, &is, &layout);
        assert_int_equal(is.track_count, sound ? 2 : 1);
        for (size_t i = 0; i < is.track_count; i++) {
            const struct media_track *a = &was.tracks[i], *b = &is.tracks[i];
            assert_int_equal(a->sample_count, b->sample_count);
            int64_t shift = (LIVE_MOVIE_START_US - corpus.parts[0].start_us) * a->timescale;
            assert_in_range((b->start - a->start) * 1000000 - shift + 1000000, 0, 2000000);
            for (size_t k = 0; k < a->sample_count; k++) {
                assert_int_equal(a->samples[k].duration, b->samples[k].duration);
                assert_memory_equal(corpus.file.data + a->samples[k].offset,
                    sent.data + b->samples[k].offset, a->samples[k].size);
            }
        }
        int64_t start_us, duration_us;
        assert_true(media_segment_span(&is, &start_us, &duration_us));
        assert_in_range(start_us, LIVE_MOVIE_START_US - 20, LIVE_MOVIE_START_US + 20);
        media_segment_fini(&was);
        media_segment_fini(&is);
        live_movie_fini(&movie);
        buf_fini(&sent);
    }
}

// The movie's time of a part that follows the first one of the corpus with these flags.
static int64_t placed(int64_t start_us, unsigned flags)
{
    struct live_movie movie = {0};
    struct buf sent = BUF_INIT;
    struct live_part part = corpus.parts[0];
    part.start_us = 100 * INT64_C(1000000);
    part.duration_us = 500000;
    assert_true(put(&movie, &part, LIVE_FLAG_KEY, true, &sent));
    part.start_us = start_us;
    assert_true(put(&movie, &part, flags, false, &sent));
    int64_t result = start_us + movie.shift_us;
    live_movie_fini(&movie);
    buf_fini(&sent);
    return result;
}

static void test_its_time_runs_on_whatever_happens(void **state)
{
    (void)state;
    const int64_t end = LIVE_MOVIE_START_US + 500000;
    assert_int_equal(placed(100500000, 0), end);
    assert_int_equal(placed(100460000, 0), end - 40000); // B-frames
    assert_int_equal(placed(100540000, 0), end + 40000); // a frame is missing
    assert_int_equal(placed(103000000, LIVE_FLAG_KEY | LIVE_FLAG_CATCH_UP), end);
    assert_int_equal(placed(0, LIVE_FLAG_KEY | LIVE_FLAG_DISCONTINUITY | LIVE_FLAG_NEW_RUN), end);
    assert_int_equal(placed(999000000, LIVE_FLAG_KEY | LIVE_FLAG_DISCONTINUITY), end);
}

static void test_another_codec_is_another_movie(void **state)
{
    (void)state;
    struct live_corpus other;
    struct live_movie movie = {0};
    struct buf sent = BUF_INIT;
    live_corpus_open(&other, "h265-000000");
    assert_true(put(&movie, &corpus.parts[0], LIVE_FLAG_KEY, true, &sent));
    size_t size = sent.size;
    struct live_part part = corpus.parts[0];
    part.init = other.reader.init;
    assert_false(put(&movie, &part, LIVE_FLAG_KEY, true, &sent));
    assert_int_equal(sent.size, size);
    live_movie_fini(&movie);
    live_corpus_close(&other);
    // Sound that has gone matters to those who hear it alone.
    live_corpus_open(&other, "h264-000000");
    for (int sound = 0; sound < 2; sound++) {
        movie.sound = sound;
        part.init = corpus.reader.init;
        assert_true(put(&movie, &part, LIVE_FLAG_KEY, true, &sent));
        part.init = other.reader.init;
        assert_int_equal(put(&movie, &part, LIVE_FLAG_KEY, true, &sent), !sound);
        live_movie_fini(&movie);
    }
    buf_fini(&sent);
    live_corpus_close(&other);
}

// --- Silence

static void test_silence_follows_where_sound_has_stopped(void **state)
{
    (void)state;
    const struct live_init *init = corpus.reader.init;
    const struct live_track *track = live_init_track(init, MEDIA_AUDIO);
    struct live_sound sound = {0};
    int64_t sound_end_us = 0;
    for (size_t i = 0; i < corpus.count; i++) {
        struct live_part part = corpus.parts[i];
        bool is_silent = i >= 3;
        if (is_silent)
            part.sound_end_us = INT64_MIN;
        else
            sound_end_us = part.sound_end_us;
        struct live_fragment *fragment = live_corpus_fragment(&corpus, &part);
        struct live_fragment *made = live_sound_fill(&sound, fragment);
        live_fragment_unref(fragment);
        if (made == NULL) {
            // Nothing is needed yet.
            assert_true(part.start_us + part.duration_us - sound_end_us <= LIVE_SOUND_LAG_US + 100);
            continue;
        }
        assert_true(is_silent);
        // It begins where sound has ended, and ends where the picture does, to a frame.
        assert_in_range(made->part.start_us + 200 - sound_end_us, 0, 400);
        sound_end_us = made->part.sound_end_us;
        int64_t rest_us = part.start_us + part.duration_us - sound_end_us;
        assert_in_range(rest_us + 100, 0, INT64_C(1024) * 1000000 / track->timescale + 200);
        struct buf file = BUF_INIT;
        struct media_segment segment;
        struct mp4_layout layout;
        buf_put(&file, init->bytes.data, init->bytes.size);
        buf_put(&file, made->bytes.data, made->bytes.size);
        must_read(&file, &segment, &layout);
        const struct media_track *audio = media_segment_track(&segment, MEDIA_AUDIO);
        assert_int_equal(media_segment_track(&segment, MEDIA_VIDEO)->sample_count, 0);
        assert_true(audio->sample_count > 0 && audio->samples[0].duration == 1024);
        assert_int_equal(layout.media_end, file.size);
        media_segment_fini(&segment);
        buf_fini(&file);
        live_fragment_unref(made);
    }
    assert_true(sound_end_us > corpus.parts[4].start_us);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_header_is_as_documented),
        cmocka_unit_test(test_an_init_comes_behind_its_description),
        cmocka_unit_test(test_states_have_names),
        cmocka_unit_test(test_the_movie_is_the_file_at_another_time),
        cmocka_unit_test(test_its_time_runs_on_whatever_happens),
        cmocka_unit_test(test_another_codec_is_another_movie),
        cmocka_unit_test(test_silence_follows_where_sound_has_stopped),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
