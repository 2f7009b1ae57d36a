// What the I/O thread holds from job to job: its catalog handle, its caches, what the supervisor
// last said. Only the I/O thread touches it.
#pragma once

#include "lib/media/catalog.h"
#include "lib/media/samples.h"
#include "webui/conf.h"

struct worker {
    struct conf *conf;
    struct catalog *catalog; // NULL: not open
    bool busy;               // the catalog was, since somebody set this to false
    struct tables *tables;
    struct recents *recents;
    struct layouts *layouts;
    struct peers *peers;
    struct holds *holds;           // for running downloads
    const struct traffic *traffic; // what the HTTP server has answered
    struct sample_table scratch;   // the table that was handed out last, where nobody keeps it
};

// Takes the configuration. `traffic` and `holds` must outlive the worker.
struct worker *worker_new(struct conf *conf, const struct traffic *traffic, struct holds *holds);
void worker_free(struct worker *worker);

// Takes a new configuration; what was opened by the old one is closed.
void worker_set_conf(struct worker *worker, struct conf *conf);

// Makes sure that the catalog is open for reading.
enum catalog_status worker_open_catalog(struct worker *worker, char **cause);

// To be told every status that a catalog call gave: after an error the catalog is opened anew next
// time. Returns the status.
enum catalog_status worker_check(struct worker *worker, enum catalog_status status);
