// The encoder's part that packs where chunks lie: runs of samples of one track, one behind the
// other in the file. Private to samples*.c.
#pragma once

#include "lib/media/samples_model.h"

struct samples_chunks;

// The chunks of a segment in file order; what is the same for those of each track goes into its
// pack, whose chunks are counted. Release with samples_chunks_free().
struct samples_chunks *samples_chunks_new(
    const struct media_segment *segment, struct sample_pack *packs);
void samples_chunks_free(struct samples_chunks *chunks);

// Appends their stream; once.
void samples_put_chunks(struct bits_writer *writer, struct samples_chunks *chunks, size_t tracks,
    const struct sample_pack *packs);
