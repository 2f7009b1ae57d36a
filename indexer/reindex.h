// `keepframe-indexer reindex`: makes the catalog anew from the bare volumes.
#pragma once

struct config;

// Reads every sealed file of the configured volumes into a new catalog beside the old one, and then
// puts it in place. Refused while an indexer runs. Returns the program's exit code.
int reindex_run(const struct config *config);
