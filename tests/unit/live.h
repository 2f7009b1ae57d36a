// What tests of live view share: the fragments of a file of the corpus, read as from a file that
// has ceased to grow, and others made from them.
#pragma once

#include "tests/unit/corpus.h"
#include "webui/live_fragment.h"
#include "webui/live_reader.h"

enum {
    LIVE_TEST_FRAGMENTS_MAX = 64,
};

struct live_corpus {
    struct buf file;
    struct live_reader reader;
    struct live_file *owner;
    struct live_part parts[LIVE_TEST_FRAGMENTS_MAX]; // without references of their own
    size_t count;
};

static inline void live_corpus_open(struct live_corpus *corpus, const char *name)
{
    const struct segment_id id = {"yard", "main", 1700000000000, 0};
    char *cause = NULL;
    *corpus = (struct live_corpus){.file = corpus_load(name, ".mp4")};
    const struct mp4_source source = memory_source(&corpus->file);
    corpus->owner = live_file_new(&id, -1);
    while (live_reader_next(&corpus->reader, &source, &corpus->parts[corpus->count], &cause) ==
           LIVE_READ_PART)
        corpus->parts[corpus->count++].file = corpus->owner;
    free(cause);
    assert_true(corpus->count > 0);
}

static inline void live_corpus_close(struct live_corpus *corpus)
{
    live_reader_fini(&corpus->reader);
    live_file_unref(corpus->owner);
    buf_fini(&corpus->file);
}

// A fragment of that part's bytes; everything else is as `part` says.
static inline struct live_fragment *live_corpus_fragment(
    const struct live_corpus *corpus, const struct live_part *part)
{
    struct buf bytes = BUF_INIT;
    char *cause = NULL;
    buf_put(&bytes, corpus->file.data + part->offset, part->size);
    live_part_ref(part);
    struct live_fragment *fragment = live_fragment_new(part, &bytes, &cause);
    if (fragment == NULL)
        fail_msg("%s", cause);
    return fragment;
}
