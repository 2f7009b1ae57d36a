// Parameter sets out of sample entries, against those that encoders put into their key samples.
#include "tests/unit/corpus.h"

#include "lib/media/parameter_sets.h"
#include "tests/unit/entries.h"

static struct buf make(const uint8_t *entry, size_t size)
{
    struct buf sets = BUF_INIT;
    buf_put_u8(&sets, 'x'); // what stands there stays
    parameter_sets_make(entry, size, &sets);
    assert_true(sets.size >= 1 && sets.data[0] == 'x');
    memmove(sets.data, sets.data + 1, --sets.size);
    return sets;
}

// A unit behind its length of four bytes.
static size_t unit_size(const uint8_t *unit)
{
    return 4 + ((size_t)unit[0] << 24 | (size_t)unit[1] << 16 | (size_t)unit[2] << 8 | unit[3]);
}

// They are the units of these types in the first key sample of such a file (of AV1, whose units
// have a size of one byte: the first unit).
static void assert_carried(const char *name, const char *types)
{
    struct buf file = corpus_load(name, ".mp4"), expected = BUF_INIT;
    struct media_segment segment;
    struct mp4_layout layout;
    must_read(&file, &segment, &layout);
    const struct media_track *track = &segment.tracks[0];
    const uint8_t *sample = file.data + track->samples[0].offset;
    const uint8_t *end = sample + track->samples[0].size;
    if (types == NULL)
        buf_put(&expected, sample, 2 + (size_t)sample[1]);
    for (; types != NULL && sample < end; sample += unit_size(sample))
        if (strchr(types, sample[4]) != NULL)
            buf_put(&expected, sample, unit_size(sample));
    const size_t size = expected.size;
    struct buf sets = make(track->entry, track->entry_size);
    assert_int_equal(sets.size, size);
    assert_memory_equal(sets.data, expected.data, size);
    buf_fini(&expected);
    buf_fini(&sets);
    // Torn anywhere: nothing, and nothing beyond its end is read.
    for (size_t torn = 0; torn < track->entry_size; torn++) {
        uint8_t *copy = xmalloc(torn + 1);
        memcpy(copy, track->entry, torn);
        sets = make(copy, torn);
        assert_int_equal(sets.size, 0);
        buf_fini(&sets);
        free(copy);
    }
    media_segment_fini(&segment);
    buf_fini(&file);
}

static void as_encoders_write_them(void **state)
{
    (void)state;
    assert_carried("plain-h264-inband", "\x67\x68");
    assert_carried("frag-h265-inband", "\x40\x42\x44");
    assert_carried("plain-av1-opus", NULL);
}

static void lengths_are_as_long_as_the_entry_says(void **state)
{
    (void)state;
    // avcC: version, profile, constraints, level, length size, an SPS of 3 bytes, two PPS.
    uint8_t config[] = {1, 100, 0, 30, 0xfd, 0xe1, 0, 3, 0x67, 1, 2, 2, 0, 1, 0x68, 0, 2, 0x68, 9};
    static const uint8_t expected[] = {0, 3, 0x67, 1, 2, 0, 1, 0x68, 0, 2, 0x68, 9};
    struct buf entry = entry_video("avc1", "avcC", config, sizeof(config));
    struct buf sets = make(entry.data, entry.size);
    assert_int_equal(sets.size, sizeof(expected));
    assert_memory_equal(sets.data, expected, sizeof(expected));
    buf_fini(&sets);
    buf_fini(&entry);
    // A unit that its length field can not hold is of no use.
    struct buf large = BUF_INIT;
    config[4] = 0xfc;
    buf_put(&large, config, 6);
    buf_put_u16(&large, 256);
    buf_put_zeros(&large, 256);
    buf_put_u8(&large, 0);
    entry = entry_video("avc1", "avcC", large.data, large.size);
    sets = make(entry.data, entry.size);
    assert_int_equal(sets.size, 0);
    buf_fini(&sets);
    buf_fini(&entry);
    buf_fini(&large);
}

static void an_entry_without_sets_makes_none(void **state)
{
    (void)state;
    static const uint8_t config[] = {1, 100, 0, 30, 0xff, 0xe0, 0};
    struct buf entry = entry_video("avc3", "avcC", config, sizeof(config));
    struct buf sets = make(entry.data, entry.size);
    assert_int_equal(sets.size, 0);
    buf_fini(&sets);
    buf_fini(&entry);
    entry = entry_opus(1, 0);
    sets = make(entry.data, entry.size);
    assert_int_equal(sets.size, 0);
    buf_fini(&sets);
    buf_fini(&entry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_encoders_write_them),
        cmocka_unit_test(lengths_are_as_long_as_the_entry_says),
        cmocka_unit_test(an_entry_without_sets_makes_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
