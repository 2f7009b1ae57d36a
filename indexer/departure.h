// A name that has to go from the cache: of a segment that is committed, of a run file whose run is
// wholly in the catalog. Unlinked in the cache's thread; a name that another file has by now stays.
#pragma once

#include "indexer/ingest_stream.h"

// Called when it is over; the stream does not know the file, or run file, any more.
typedef void (*departure_fn)(struct ingest_stream *stream);

void departure_of_segment(
    struct ingest_stream *stream, struct ingest_file *file, departure_fn done);
void departure_of_run_file(struct ingest_stream *stream, struct ingest_run *run, departure_fn done);
