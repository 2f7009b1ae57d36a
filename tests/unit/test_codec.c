// What sample entries say of their codec: names as RFC 6381 and ISO/IEC 14496-15 spell them, for
// entries of real recordings and for ones made by hand.
#include "tests/unit/corpus.h"

#include "lib/media/codec.h"

static void put_entry(struct buf *buf, const char *type, size_t fields, const char *config,
    const void *data, size_t size)
{
    buf_put_u32(buf, (uint32_t)(8 + fields + (config ? 8 + size : 0)));
    buf_put(buf, type, 4);
    buf_put_zeros(buf, fields);
    if (config == NULL)
        return;
    buf_put_u32(buf, (uint32_t)(8 + size));
    buf_put(buf, config, 4);
    buf_put(buf, data, size);
}

static void check_name(const char *type, size_t fields, const char *config, const void *data,
    size_t size, const char *name, const char *family)
{
    struct buf entry = BUF_INIT;
    struct codec_info info;
    char *cause = NULL;
    put_entry(&entry, type, fields, config, data, size);
    assert_int_equal(codec_describe(entry.data, entry.size, &info, &cause), 0);
    assert_string_equal(info.name, name);
    assert_string_equal(info.family, family);
    // Torn anywhere, or with a byte too many, it is an error with a cause.
    for (size_t i = 0; i < entry.size; i++) {
        uint8_t *torn = xmalloc(i);
        memcpy(torn, entry.data, i);
        assert_int_equal(codec_describe(torn, i, &info, &cause), -1);
        assert_non_null(cause);
        free(cause);
        free(torn);
    }
    buf_put_u8(&entry, 0);
    assert_int_equal(codec_describe(entry.data, entry.size, &info, &cause), -1);
    free(cause);
    buf_fini(&entry);
}

enum {
    VISUAL = 78, // bytes of a VisualSampleEntry before its boxes
    AUDIO = 28,
};

static void avc_names(void **state)
{
    (void)state;
    check_name("avc1", VISUAL, "avcC", "\1\x64\0\x1f", 4, "avc1.64001f", "h264");
    check_name("avc3", VISUAL, "avcC", "\1\x42\xe0\x1e", 4, "avc3.42e01e", "h264");
}

// The examples of ISO/IEC 14496-15, E.3, and of Apple's and DASH-IF's documents.
static void hevc_names(void **state)
{
    (void)state;
    check_name("hvc1", VISUAL, "hvcC", "\1\x01\x60\0\0\0\xb0\0\0\0\0\0\x5d", 13, "hvc1.1.6.L93.B0",
        "h265");
    check_name("hev1", VISUAL, "hvcC", "\1\x22\x20\0\0\0\x90\0\0\0\0\0\x99", 13, "hev1.2.4.H153.90",
        "h265");
    check_name(
        "hev1", VISUAL, "hvcC", "\1\xc1\x80\0\0\0\0\0\0\0\0\0\x1e", 13, "hev1.C1.1.L30", "h265");
    check_name("hvc1", VISUAL, "hvcC", "\1\x01\x60\0\0\0\x90\0\x01\0\0\x0a\x1e", 13,
        "hvc1.1.6.L30.90.0.1.0.0.A", "h265");
}

static void aac_names(void **state)
{
    (void)state;
    // Descriptor sizes in four bytes, as ffmpeg writes them; AAC-LC, 16 kHz, mono.
    static const uint8_t lc[] = {0, 0, 0, 0, 3, 0x80, 0x80, 0x80, 0x25, 0, 2, 0, 4, 0x80, 0x80,
        0x80, 0x17, 0x40, 0x15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0x80, 0x80, 0x80, 5, 0x14, 8,
        0x56, 0xe5, 0, 6, 0x80, 0x80, 0x80, 1, 2};
    check_name("mp4a", AUDIO, "esds", lc, sizeof(lc), "mp4a.40.2", "aac");
    // Sizes in one byte; all optional fields of ES_Descriptor; HE-AAC, object type 5.
    static const uint8_t he[] = {0, 0, 0, 0, 3, 29, 0, 2, 0xe0, 1, 2, 2, 'a', 'b', 3, 4, 4, 17,
        0x40, 0x15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 2, 0x2b, 0x8a};
    check_name("mp4a", AUDIO, "esds", he, sizeof(he), "mp4a.40.5", "aac");
    static const uint8_t mp3[] = {
        0, 0, 0, 0, 3, 18, 0, 2, 0, 4, 13, 0x6b, 0x15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    check_name("mp4a", AUDIO, "esds", mp3, sizeof(mp3), "mp4a.6b", "mp3");
    check_name(".mp3", AUDIO, NULL, NULL, 0, "mp3", "mp3");
}

static void audio_rate_and_channels(void **state)
{
    (void)state;
    struct codec_info info;
    char *cause = NULL;
    struct buf entry = BUF_INIT;
    // Object type 34 by escape, a rate written out (50 kHz), layout 7 (eight channels):
    // 11111 000010 1111 000000001100001101010000 0111 0
    static const uint8_t wide[] = {0, 0, 0, 0, 3, 26, 0, 2, 0, 4, 21, 0x40, 0x15, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 5, 6, 0xf8, 0x5e, 0x01, 0x86, 0xa0, 0xe0};
    put_entry(&entry, "mp4a", AUDIO, "esds", wide, sizeof(wide));
    assert_int_equal(codec_describe(entry.data, entry.size, &info, &cause), 0);
    assert_string_equal(info.name, "mp4a.40.34");
    assert_int_equal(info.sample_rate, 50000);
    assert_int_equal(info.channels, 8);
    assert_int_equal(info.kind, MEDIA_AUDIO);
    buf_fini(&entry);
}

static void unknown_codecs_keep_their_characters(void **state)
{
    (void)state;
    struct codec_info info;
    char *cause = NULL;
    struct buf entry = BUF_INIT;
    put_entry(&entry, "x\"<\n", 0, NULL, NULL, 0);
    assert_int_equal(codec_describe(entry.data, entry.size, &info, &cause), 0);
    assert_string_equal(info.name, "x___");
    assert_string_equal(info.family, "x___");
    assert_int_equal(info.kind, 0);
    buf_fini(&entry);
    check_name("fLaC", AUDIO, NULL, NULL, 0, "fLaC", "fLaC");
}

// The example of the AV1 binding's section 5, and every depth, tier and level with two digits.
static void av1_names(void **state)
{
    (void)state;
    check_name("av01", VISUAL, "av1C", "\x81\x04\x4c\0", 4, "av01.0.04M.10", "av1");
    check_name("av01", VISUAL, "av1C", "\x81\x0d\x80\0", 4, "av01.0.13H.08", "av1");
    check_name("av01", VISUAL, "av1C", "\x81\x55\x60\0", 4, "av01.2.21M.12", "av1");
    check_name("av01", VISUAL, "av1C", "\x81\x20\x60\0", 4, "av01.1.00M.10", "av1");
}

static void opus_and_jpeg_names(void **state)
{
    (void)state;
    check_name("Opus", AUDIO, "dOps", "\0\2\1\x38\0\0\x3e\x80\0\0\0", 11, "Opus", "opus");
    check_name("jpeg", VISUAL, NULL, NULL, 0, "jpeg", "mjpeg");
    check_name("mjpa", VISUAL, NULL, NULL, 0, "mjpa", "mjpeg");
    static const uint8_t jpeg[] = {
        0, 0, 0, 0, 3, 18, 0, 2, 0, 4, 13, 0x6c, 0x11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    check_name("mp4v", VISUAL, "esds", jpeg, sizeof(jpeg), "mp4v.6c", "mjpeg");
}

// QuickTime's sound description of version 1, with its esds in a wave box (as in MOV files).
static void quicktime_sound(void **state)
{
    (void)state;
    static const uint8_t esds[] = {0, 0, 0, 33, 'e', 's', 'd', 's', 0, 0, 0, 0, 3, 19, 0, 2, 0, 4,
        14, 0x40, 0x15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5};
    struct buf entry = BUF_INIT;
    struct codec_info info;
    char *cause = NULL;
    buf_put_u32(&entry, 8 + 28 + 16 + 8 + sizeof(esds) + 3);
    buf_put(&entry, "mp4a\0\0\0\0\0\0\0\1\0\1", 14);
    buf_put_zeros(&entry, 6);
    buf_put(&entry, "\0\2\0\x10\0\0\0\0\xbb\x80\0\0", 12);
    buf_put_zeros(&entry, 16);
    buf_put_u32(&entry, 8 + sizeof(esds) + 3);
    buf_put(&entry, "wave", 4);
    size_t at = entry.size;
    buf_put(&entry, esds, sizeof(esds));
    buf_put(&entry, "\2\x11\x90", 3); // AAC-LC, 48 kHz, two channels
    buf_set_u32(&entry, at, sizeof(esds) + 3);
    entry.data[at + 13] = 22;
    entry.data[at + 18] = 17;
    assert_int_equal(codec_describe(entry.data, entry.size, &info, &cause), 0);
    assert_string_equal(info.name, "mp4a.40.2");
    assert_int_equal(info.sample_rate, 48000);
    assert_int_equal(info.channels, 2);
    buf_fini(&entry);
}

// Held against ffprobe's codec_name, width, height, sample_rate and channels of the same files.
// MP3 entries always say two channels; its own headers know better.
static void entries_of_other_writers(void **state)
{
    (void)state;
    static const struct {
        const char *file;
        enum media_kind kind;
        const char *name, *family;
        uint32_t a, b; // width and height, or sample rate and channels
    } cases[] = {
        {"plain-h265-mp3", MEDIA_VIDEO, "hev1.1.6.L30.90", "h265", 64, 64},
        {"plain-h265-mp3", MEDIA_AUDIO, "mp4a.6b", "mp3", 48000, 2},
        {"plain-av1-opus", MEDIA_VIDEO, "av01.0.00M.08", "av1", 64, 64},
        {"plain-av1-opus", MEDIA_AUDIO, "Opus", "opus", 48000, 1},
        {"frag-av1-opus", MEDIA_VIDEO, "av01.0.00M.08", "av1", 64, 64},
        {"plain-mjpeg-aac", MEDIA_VIDEO, "mp4v.6c", "mjpeg", 64, 64},
        {"plain-mjpeg-aac", MEDIA_AUDIO, "mp4a.40.2", "aac", 48000, 1},
        {"frag-mjpeg-mp3", MEDIA_AUDIO, "mp4a.6b", "mp3", 48000, 2},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct buf file = corpus_load(cases[i].file, ".mp4");
        struct media_segment segment;
        struct mp4_layout layout;
        struct codec_info info;
        char *cause = NULL;
        must_read(&file, &segment, &layout);
        const struct media_track *track = media_segment_track(&segment, cases[i].kind);
        assert_int_equal(codec_describe(track->entry, track->entry_size, &info, &cause), 0);
        assert_string_equal(info.name, cases[i].name);
        assert_string_equal(info.family, cases[i].family);
        bool video = cases[i].kind == MEDIA_VIDEO;
        assert_int_equal(video ? info.width : info.sample_rate, cases[i].a);
        assert_int_equal(video ? info.height : info.channels, cases[i].b);
        media_segment_fini(&segment);
        buf_fini(&file);
    }
}

static void entries_of_real_recordings(void **state)
{
    (void)state;
    struct buf file = corpus_load("h264-b-aac-000001", ".mp4");
    struct media_segment segment;
    struct mp4_layout layout;
    struct codec_info info;
    char *cause = NULL;
    must_read(&file, &segment, &layout);
    const struct media_track *track = media_segment_track(&segment, MEDIA_VIDEO);
    assert_int_equal(codec_describe(track->entry, track->entry_size, &info, &cause), 0);
    // ffprobe: profile High (100), level 10.
    assert_string_equal(info.name, "avc1.64000a");
    assert_int_equal(info.width, 64);
    assert_int_equal(info.height, 64);
    track = media_segment_track(&segment, MEDIA_AUDIO);
    assert_int_equal(codec_describe(track->entry, track->entry_size, &info, &cause), 0);
    assert_string_equal(info.name, "mp4a.40.2");
    assert_int_equal(info.sample_rate, 16000);
    assert_int_equal(info.channels, 1);
    media_segment_fini(&segment);
    buf_fini(&file);

    file = corpus_load("h265-000001", ".mp4");
    must_read(&file, &segment, &layout);
    track = &segment.tracks[0];
    assert_int_equal(codec_describe(track->entry, track->entry_size, &info, &cause), 0);
    // ffprobe: profile Main, level 30.
    assert_string_equal(info.name, "hvc1.1.6.L30.90");
    assert_string_equal(info.family, "h265");
    assert_int_equal(info.width, 64);
    media_segment_fini(&segment);
    buf_fini(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(avc_names),
        cmocka_unit_test(hevc_names),
        cmocka_unit_test(aac_names),
        cmocka_unit_test(av1_names),
        cmocka_unit_test(opus_and_jpeg_names),
        cmocka_unit_test(quicktime_sound),
        cmocka_unit_test(entries_of_other_writers),
        cmocka_unit_test(audio_rate_and_channels),
        cmocka_unit_test(unknown_codecs_keep_their_characters),
        cmocka_unit_test(entries_of_real_recordings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
