// What of the catalog does not follow from the footage: runs, epochs, outages, events, locks; as
// lines of JSON that volumes keep beside the footage, so that a catalog that is made anew has them
// too. A later line of the same thing replaces an earlier one; {"gone":true} takes it away.
#pragma once

#include "lib/media/catalog.h"

// Has the writing handle note from now on what changes.
enum catalog_status catalog_ledger_watch(struct catalog *catalog, char **cause);

// Appends the lines of all that has changed durably since the last call; not within a transaction.
enum catalog_status catalog_ledger_take(struct catalog *catalog, struct buf *lines, char **cause);

// Calls `fn` with each line of everything there is, its line feed included, until it returns not 0.
typedef int (*catalog_ledger_fn)(const char *line, size_t size, void *arg);
enum catalog_status catalog_ledger_all(
    struct catalog *catalog, catalog_ledger_fn fn, void *arg, char **cause);

// Takes in one line; within a transaction. CATALOG_NONE: it is no such line (torn, or of a newer
// version) and was left out.
enum catalog_status catalog_ledger_restore(
    struct catalog *catalog, const char *line, size_t size, char **cause);
