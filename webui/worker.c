// What a job of the I/O threads has in its hands. See worker.h.
#include "webui/worker.h"

#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "webui/peers.h"
#include "webui/tables.h"

struct worker *worker_new(struct shared *shared)
{
    struct worker *worker = xcalloc(1, sizeof(*worker));
    worker->shared = shared;
    worker->conf = shared_conf(shared);
    worker->peers = peers_new(shared->peers);
    return worker;
}

void worker_free(struct worker *worker)
{
    if (worker == NULL)
        return;
    table_release(worker->table);
    peers_free(worker->peers);
    catalog_close(worker->catalog);
    conf_release(worker->conf);
    free(worker);
}

void worker_begin(struct worker *worker)
{
    struct conf *conf = shared_conf(worker->shared);
    if (strcmp(conf->database, worker->conf->database) != 0) {
        catalog_close(worker->catalog);
        worker->catalog = NULL;
    }
    conf_release(worker->conf);
    worker->conf = conf;
}

enum catalog_status worker_open_catalog(struct worker *worker, char **cause)
{
    if (worker->catalog != NULL && !catalog_replaced(worker->catalog))
        return CATALOG_OK;
    catalog_close(worker->catalog);
    worker->catalog = NULL;
    return catalog_open_reader(worker->conf->database, &worker->catalog, cause);
}

enum catalog_status worker_check(struct worker *worker, enum catalog_status status)
{
    worker->busy |= status == CATALOG_BUSY;
    if (status == CATALOG_ERROR || status == CATALOG_BUSY) {
        catalog_close(worker->catalog);
        worker->catalog = NULL;
    }
    return status;
}
