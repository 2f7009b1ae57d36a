// Any bytes as a segment file, of fragments or plain: reading must neither crash nor hang nor
// allocate out of proportion, and what it accepts must survive sealing and packing.
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/media/codec.h"
#include "lib/media/mp4_write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int fuzz_read(void *arg, uint64_t offset, void *data, size_t size)
{
    const struct buf *file = arg;
    assert(offset <= file->size && size <= file->size - offset);
    memcpy(data, file->data + offset, size);
    return 0;
}

static bool same_samples(const struct media_segment *a, const struct media_segment *b)
{
    for (size_t i = 0; i < a->track_count && i < b->track_count; i++) {
        const struct media_track *left = &a->tracks[i], *right = &b->tracks[i];
        if (left->sample_count != right->sample_count || left->start != right->start)
            return false;
        for (size_t j = 0; j < left->sample_count; j++) {
            const struct media_sample *x = &left->samples[j], *y = &right->samples[j];
            if (x->offset != y->offset || x->size != y->size || x->duration != y->duration ||
                x->composition != y->composition || x->key != y->key)
                return false;
        }
    }
    return a->track_count == b->track_count;
}

// Packs the tables, opens and iterates them.
static void check_packing(const struct media_segment *segment)
{
    struct buf packed = BUF_INIT;
    struct sample_table table;
    struct track_summary summary;
    struct codec_info info;
    char *cause = NULL;
    sample_table_encode(segment, &packed);
    if (sample_table_open(&table, packed.data, packed.size, &cause) != 0)
        abort();
    for (size_t i = 0; i < segment->track_count; i++) {
        const struct media_track *track = &segment->tracks[i];
        struct sample_iter iter;
        sample_iter_init(&iter, &table.tracks[i]);
        for (size_t j = 0; j < track->sample_count; j++) {
            const struct sample *sample = sample_iter_next(&iter);
            if (sample == NULL || sample->offset != track->samples[j].offset ||
                sample->size != track->samples[j].size ||
                sample->duration != track->samples[j].duration ||
                sample->composition != track->samples[j].composition ||
                sample->key != track->samples[j].key)
                abort();
        }
        track_summarize(track, &summary);
        if (codec_describe(track->entry, track->entry_size, &info, &cause) != 0)
            free(cause);
    }
    buf_fini(&packed);
}

// Cuts and seals as the indexer does; the same samples must come out.
static void check_sealing(
    struct buf *file, const struct media_segment *segment, const struct mp4_layout *layout)
{
    struct mp4_tags tags = {.identity = "a/b/1-000001", .node = "n"}, tags_after;
    struct media_segment after;
    struct mp4_layout sealed;
    uint8_t header[16];
    char *cause = NULL;
    file->size = layout->media_end;
    if (layout->cut_mdat_offset != 0)
        memcpy(file->data + layout->cut_mdat_offset, header, mp4_cut_header(layout, header));
    mp4_put_sealed_moov(file, segment, &tags);
    mp4_sealed_header(layout, header);
    memcpy(file->data + layout->init_offset, header, sizeof(header));
    struct mp4_source source = {.read = fuzz_read, .arg = file, .size = file->size};
    if (mp4_read(&source, &after, &sealed, &cause) != 0 || !same_samples(segment, &after) ||
        sealed.tail_offset != layout->media_end ||
        memcmp(sealed.init_header, layout->init_header, sizeof(header)) != 0 ||
        mp4_read_tags(&source, &sealed, &tags_after, &cause) != 0)
        abort();
    media_segment_fini(&after);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf file = BUF_INIT;
    struct media_segment segment;
    struct mp4_layout layout;
    struct mp4_tags tags;
    char *cause = NULL;
    int64_t start_us, duration_us;
    buf_put(&file, data, size);
    struct mp4_source source = {.read = fuzz_read, .arg = &file, .size = file.size};
    if (mp4_read(&source, &segment, &layout, &cause) == 0) {
        if (mp4_read_tags(&source, &layout, &tags, &cause) != 0)
            free(cause);
        if (!media_segment_span(&segment, &start_us, &duration_us))
            abort();
        check_packing(&segment);
        if (layout.media_offset > layout.media_end || layout.media_end > file.size)
            abort();
        if (!layout.foreign)
            check_sealing(&file, &segment, &layout);
        media_segment_fini(&segment);
    } else {
        assert(cause != NULL);
        free(cause);
    }
    // As it looks to who reads it while it is written.
    cause = NULL;
    file.size = 0;
    buf_put(&file, data, size);
    source.growing = true;
    source.size = size;
    if (mp4_read(&source, &segment, &layout, &cause) == 0)
        media_segment_fini(&segment);
    free(cause);
    buf_fini(&file);
    return 0;
}
