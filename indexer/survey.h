// Volumes held against the catalog, in both directions: files without a row, rows without a file.
// Nothing is changed. It reads directories and rows once, one day of a stream after the other.
#pragma once

#include <stdatomic.h>

#include "lib/media/catalog.h"

enum {
    SURVEY_FILES_MAX = 20000, // that are remembered; `more` says that there are further ones
};

struct survey_file {
    size_t volume; // index
    char *key;
};

struct survey_row {
    size_t volume; // index
    int64_t stream_id;
    int64_t run;
    uint32_t number;
};

struct survey_volume {
    struct catalog_volume volume;
    int root;         // descriptor, -1: it can not be looked at
    char *trouble;    // why
    uint64_t rows;    // in the catalog
    uint64_t missing; // of them without a file
};

struct survey {
    // What is given.
    const char *database;
    const char *cache;
    int64_t since_us;  // only directories that were written since; 0: all
    atomic_bool *stop; // ends it early

    // What was found.
    struct survey_volume *volumes;
    size_t volume_count;
    struct survey_file *files; // without a row
    size_t file_count;
    size_t file_capacity;
    struct survey_row *rows; // without a file
    size_t row_count;
    size_t row_capacity;
    bool more;
    uint64_t days;    // directories that were looked at
    uint64_t unknown; // names that are not ours
    char *cause;      // why it came to no end
};

// Fills the rest of a survey whose first part is given.
void survey_run(struct survey *survey);
void survey_fini(struct survey *survey);
