// VOLUME/.keepframe-ledger.jsonl: on each volume, what of the catalog does not follow from the
// footage (catalog_ledger.h). What was committed is appended and synced in the volume's thread;
// what a volume has missed (it was away, an append failed, the last life was cut short) is made up
// for by writing its ledger anew from the catalog, under another name that takes its place.
#pragma once

#include "indexer/indexer.h"
#include "lib/core/buf.h"

struct ledger;

#define LEDGER_NAME ".keepframe-ledger.jsonl"

struct ledger *ledger_new(struct indexer *indexer);

// After the committer and the volumes' threads have ended.
void ledger_free(struct ledger *ledger);

// Appends lines to every ledger. In the loop, after the commit.
void ledger_append(const struct buf *lines, void *arg);

// For the loop's tick.
void ledger_tick(struct ledger *ledger, int64_t now_us);

// Takes in what the ledgers of the configured volumes hold, where the catalog has no stream yet;
// within a transaction of the writing handle. Returns 0, or -1 with *cause set.
struct catalog;
struct config;
int ledger_restore(struct catalog *catalog, const struct config *config, char **cause);
