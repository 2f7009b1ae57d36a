// `keepframe-indexer verify`: reads filed footage again, beside a running indexer, and names the
// moments that are damaged; or gives back one segment as the recorder wrote it.
#pragma once

struct config;

// Looks at all that `name` (CAMERA or CAMERA/STREAM, NULL: everything) has in the catalog. Prints
// one line for each piece of damage, and returns the program's exit code: 0, or 1 where there was
// damage or the archive could not be read.
int verify_run(const struct config *config, const char *name);

// Writes the fragments of the segment `identity` into the new file `output`. Returns the exit code.
int verify_unseal(const struct config *config, const char *identity, const char *output);
