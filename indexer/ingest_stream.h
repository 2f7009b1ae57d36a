// One stream as the ingest sees it: the files and run files in its cache directory with what is
// known of each. Lists and lookups; what to do with them is decided in ingest.c.
#pragma once

#include "indexer/indexer.h"
#include "indexer/skew.h"
#include "lib/media/cache.h"
#include "lib/media/catalog.h"

enum ingest_state {
    INGEST_NEW,     // not filed yet: being written, waiting, or in the worker
    INGEST_FILED,   // in the volume, its row is on its way
    INGEST_LEAVING, // committed, its cache name is on its way out
};

struct ingest_file {
    struct cache_file file;
    enum ingest_state state;
    bool filing;     // the worker has it
    bool closed;     // a writer has closed it
    bool complained; // its failure was logged
    bool lossy;      // a sync of it has failed: what is in memory may not be what is on the disk
    int unread;      // how often the disk did not give its bytes back,
    uint64_t unread_since; // and how many segments were committed when that began
    int tries;             // how often it was found open although closed
    int64_t retry_us;      // monotonic: not before
};

struct ingest_run {
    struct catalog_run row; // as it stands, or will stand, in the catalog
    bool changed;           // the row is to be written
    bool leaving;           // its run file is on its way out
    unsigned uncommitted;   // changes on their way
    bool seen;              // in the look that goes on
    uint64_t file_inode;    // of its run file as read; 0: there is none
    long file_changed_ns;   // the file's ctime, to tell a reused inode
    bool unread;            // it is there and could not be read
};

struct ingest_stream {
    struct indexer *indexer;
    char camera[SEGMENT_NAME_MAX];
    char name[SEGMENT_NAME_MAX];
    int64_t id;                // in the catalog, 0 when not known
    struct ingest_file *files; // ascending by run and number
    size_t file_count;
    struct ingest_run *runs;
    size_t run_count;
    size_t run_capacity;
    bool filing;         // one of its files is in a worker
    bool newest_next;    // whose turn it is, the newest or the oldest run's
    struct skew skew;    // of the camera's clock
    bool names_unsynced; // files have come since the last sync round
};

struct ingest_stream *ingest_stream_new(
    struct indexer *indexer, const char *camera, const char *name);
void ingest_stream_free(struct ingest_stream *stream);

// Reads the directory anew, keeping what is known of the files that are still there.
void ingest_stream_look(struct ingest_stream *stream);

// The file of that identity (and inode, unless that is 0), or NULL. Valid until the next look.
struct ingest_file *ingest_stream_file(
    struct ingest_stream *stream, int64_t run, uint32_t number, uint64_t inode);
void ingest_stream_remove(struct ingest_stream *stream, struct ingest_file *file);

// Birth of a file, 0 when there is none.
int64_t ingest_stream_birth_us(struct ingest_stream *stream, int64_t run, uint32_t number);

// The run, or NULL. Runs are valid until the next one is added.
struct ingest_run *ingest_stream_run(struct ingest_stream *stream, int64_t run);

// The run with what the catalog knows of it; NULL when that can not be asked now.
struct ingest_run *ingest_stream_load_run(struct ingest_stream *stream, int64_t run);
void ingest_stream_forget_run(struct ingest_stream *stream, struct ingest_run *run);

// Whether a file of the run stands in the cache; the newest run of which there is anything.
bool ingest_stream_has_run(const struct ingest_stream *stream, int64_t run);
int64_t ingest_stream_newest_run(const struct ingest_stream *stream);

// Looks the stream's id up. Returns whether it has one; *status and *cause as the catalog gave
// them.
bool ingest_stream_find_id(struct ingest_stream *stream, enum catalog_status *status, char **cause);
