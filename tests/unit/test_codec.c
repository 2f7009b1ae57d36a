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
    check_name("mp4a", AUDIO, "esds", mp3, sizeof(mp3), "mp4a.6b", "mp4a");
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
    check_name("Opus", AUDIO, NULL, NULL, 0, "Opus", "Opus");
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
        cmocka_unit_test(audio_rate_and_channels),
        cmocka_unit_test(unknown_codecs_keep_their_characters),
        cmocka_unit_test(entries_of_real_recordings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
