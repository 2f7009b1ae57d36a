// What a job of the I/O threads has in its hands: the configuration, a catalog handle, what the
// other programs last said. There is one for each thread; nobody else touches it meanwhile.
#pragma once

#include "lib/media/catalog.h"
#include "lib/media/samples.h"
#include "webui/conf.h"
#include "webui/shared.h"

struct worker {
    struct shared *shared;
    struct conf *conf;       // that rules since the job began
    struct catalog *catalog; // NULL: not open
    bool busy;               // the catalog was, since somebody set this to false
    struct peers *peers;
    struct table *table;         // the one that was handed out last
    struct sample_table scratch; // the same, of one that nobody keeps
};

// `shared` must outlive the worker.
struct worker *worker_new(struct shared *shared);
void worker_free(struct worker *worker);

// To be called when a job begins: takes the configuration that rules now, and closes what was
// opened by an older one.
void worker_begin(struct worker *worker);

// Makes sure that the catalog is open for reading.
enum catalog_status worker_open_catalog(struct worker *worker, char **cause);

// To be told every status that a catalog call gave: after an error the catalog is opened anew next
// time. Returns the status.
enum catalog_status worker_check(struct worker *worker, enum catalog_status status);
