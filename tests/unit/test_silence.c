// Silent frames. That decoders make silence of these bytes, without a complaint, was tried with
// ffmpeg, all of the layouts; ranges with holes in their sound are decoded by
// tests/e2e/test_ranges.py.
#include "tests/unit/corpus.h"

#include "lib/media/silence.h"
#include "tests/unit/entries.h"

static bool make(struct buf entry, uint32_t timescale, struct silence *silence)
{
    bool made = silence_make(entry.data, entry.size, timescale, silence);
    // A torn entry makes nothing, and is not read beyond its end.
    for (size_t size = 0; size < entry.size; size++) {
        struct silence torn;
        uint8_t *copy = xmalloc(size + 1);
        memcpy(copy, entry.data, size);
        assert_false(silence_make(copy, size, timescale, &torn));
        free(copy);
    }
    buf_fini(&entry);
    return made;
}

static bool make_aac(uint16_t config, uint32_t timescale, struct silence *silence)
{
    const uint8_t bytes[] = {(uint8_t)(config >> 8), (uint8_t)config};
    return make(entry_aac(bytes, 2), timescale, silence);
}

static void assert_bytes(const struct silence *silence, const char *hex)
{
    char text[2 * SILENCE_SIZE_MAX + 1] = "";
    for (size_t i = 0; i < silence->size; i++)
        snprintf(text + 2 * i, 3, "%02x", silence->data[i]);
    assert_string_equal(text, hex);
}

// AudioSpecificConfig: 5 bits object type, 4 rate, 4 channels, 1 whether frames are short.
static void aac_of_every_layout(void **state)
{
    (void)state;
    static const char *const frames[] = {NULL, "00c800802380", "210049900219002380",
        "00c8008020840126400864008e", "00c800802084012640086400802c80080238",
        "00c800802084012640086400823004990021900238",
        "00c80080208401264008640082300499002190021832002008e0",
        "00c8008020840126400864008230049900219002094012640086400860c800802380"};
    struct silence silence;
    for (uint16_t layout = 1; layout <= 7; layout++) {
        assert_true(make_aac((uint16_t)(2 << 11 | 8 << 7 | layout << 3), 16000, &silence));
        assert_int_equal(silence.duration, 1024);
        assert_bytes(&silence, frames[layout]);
    }
    // The config says what the core's rate is; a track may count in other ticks.
    assert_true(make_aac(2 << 11 | 11 << 7 | 1 << 3, 8000, &silence));
    assert_int_equal(silence.duration, 1024);
    assert_true(make_aac(2 << 11 | 11 << 7 | 1 << 3, 16000, &silence));
    assert_int_equal(silence.duration, 2048);
}

static void what_has_no_silence(void **state)
{
    (void)state;
    struct silence silence;
    assert_false(make_aac(2 << 11 | 8 << 7, 16000, &silence));                   // its own channels
    assert_false(make_aac(2 << 11 | 8 << 7 | 8 << 3, 16000, &silence));          // reserved
    assert_false(make_aac(2 << 11 | 13 << 7 | 1 << 3, 16000, &silence));         // no known rate
    assert_false(make_aac(1 << 11 | 8 << 7 | 1 << 3, 16000, &silence));          // AAC Main
    assert_false(make_aac(2 << 11 | 8 << 7 | 1 << 3 | 1 << 2, 16000, &silence)); // of 960
    const uint8_t high[] = {5 << 3 | 4, 0x08 | 1, 2 << 4 | 0x08, 0};             // HE-AAC
    assert_false(make(entry_aac(high, sizeof(high)), 16000, &silence));
    const uint8_t hinted[] = {0x14, 0x08, 0x56, 0xe5, 0x98}; // LC, and a high band
    assert_false(make(entry_aac(hinted, sizeof(hinted)), 16000, &silence));
    assert_false(make(entry_opus(2, 1), 48000, &silence)); // streams of their own
    assert_false(make(entry_opus(0, 0), 48000, &silence));
    assert_false(make(entry_video("avc1", "avcC", high, 4), 16000, &silence));
}

static void opus(void **state)
{
    (void)state;
    struct silence silence;
    for (uint8_t channels = 1; channels <= 2; channels++) {
        assert_true(make(entry_opus(channels, 0), 48000, &silence));
        assert_bytes(&silence, "f8fffe");
        assert_int_equal(silence.duration, 960);
    }
}

// What ffmpeg writes.
static void recorded_entries(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint32_t duration; // 0: none can be made
    } files[] = {{"h264-b-aac-000000", 1024}, {"plain-h264-aac", 1024}, {"plain-av1-opus", 960},
        {"frag-av1-opus", 960}, {"plain-h265-mp3", 0}};
    for (size_t i = 0; i < ARRAY_LENGTH(files); i++) {
        struct buf file = corpus_load(files[i].name, ".mp4");
        struct media_segment segment;
        struct mp4_layout layout;
        struct silence silence;
        must_read(&file, &segment, &layout);
        const struct media_track *track = media_segment_track(&segment, MEDIA_AUDIO);
        assert_int_equal(silence_make(track->entry, track->entry_size, track->timescale, &silence),
            files[i].duration > 0);
        assert_int_equal(silence.duration, files[i].duration);
        media_segment_fini(&segment);
        buf_fini(&file);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(aac_of_every_layout),
        cmocka_unit_test(what_has_no_silence),
        cmocka_unit_test(opus),
        cmocka_unit_test(recorded_entries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
