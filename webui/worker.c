// The I/O thread's state. See worker.h.
#include "webui/worker.h"

#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "webui/layout.h"
#include "webui/peers.h"
#include "webui/recent.h"
#include "webui/tables.h"

struct worker *worker_new(struct conf *conf, const struct traffic *traffic, struct holds *holds)
{
    struct worker *worker = xcalloc(1, sizeof(*worker));
    worker->conf = conf;
    worker->tables = tables_new();
    worker->recents = recents_new();
    worker->layouts = layouts_new();
    worker->peers = peers_new();
    worker->traffic = traffic;
    worker->holds = holds;
    return worker;
}

void worker_free(struct worker *worker)
{
    if (worker == NULL)
        return;
    layouts_free(worker->layouts);
    recents_free(worker->recents);
    tables_free(worker->tables);
    peers_free(worker->peers);
    catalog_close(worker->catalog);
    conf_free(worker->conf);
    free(worker);
}

void worker_set_conf(struct worker *worker, struct conf *conf)
{
    if (strcmp(conf->database, worker->conf->database) != 0) {
        catalog_close(worker->catalog);
        worker->catalog = NULL;
    }
    peers_forget(worker->peers);
    conf_free(worker->conf);
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
