// Units in video samples: whole ones are told from damaged ones, and the sample entry says how long
// a length is.
#include "tests/unit/corpus.h"

#include "lib/media/nal.h"

static void units_of_the_corpus_are_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(corpus_files); i++) {
        struct buf file = corpus_load(corpus_files[i], ".mp4");
        struct media_segment segment;
        struct mp4_layout layout;
        must_read(&file, &segment, &layout);
        const struct media_track *video = media_segment_track(&segment, MEDIA_VIDEO);
        assert_int_equal(nal_length_size(video->entry, video->entry_size), 4);
        for (size_t j = 0; j < video->sample_count; j++) {
            const struct media_sample *sample = &video->samples[j];
            assert_true(nal_sample_whole(file.data + sample->offset, sample->size, 4));
            assert_false(nal_sample_whole(file.data + sample->offset, sample->size - 1, 4));
        }
        media_segment_fini(&segment);
        buf_fini(&file);
    }
}

static void what_is_no_unit_is_refused(void **state)
{
    (void)state;
    static const uint8_t whole[] = {0, 0, 0, 2, 0x65, 1, 0, 0, 0, 1, 0x41};
    assert_true(nal_sample_whole(whole, sizeof(whole), 4));
    for (size_t size = 0; size < sizeof(whole); size++)
        assert_int_equal(nal_sample_whole(whole, size, 4), size == 6);
    static const uint8_t forbidden[] = {0, 1, 0xe5}, empty[] = {0, 0};
    assert_false(nal_sample_whole(forbidden, sizeof(forbidden), 2));
    assert_false(nal_sample_whole(empty, sizeof(empty), 2));
}

static void other_codecs_have_no_units(void **state)
{
    (void)state;
    struct buf file = corpus_load("h264-b-aac-000000", ".mp4");
    struct media_segment segment;
    struct mp4_layout layout;
    must_read(&file, &segment, &layout);
    const struct media_track *audio = media_segment_track(&segment, MEDIA_AUDIO);
    assert_int_equal(nal_length_size(audio->entry, audio->entry_size), 0);
    const struct media_track *video = media_segment_track(&segment, MEDIA_VIDEO);
    for (size_t size = 0; size < video->entry_size; size++)
        assert_int_equal(nal_length_size(video->entry, size), 0);
    media_segment_fini(&segment);
    buf_fini(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(units_of_the_corpus_are_whole),
        cmocka_unit_test(what_is_no_unit_is_refused),
        cmocka_unit_test(other_codecs_have_no_units),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
