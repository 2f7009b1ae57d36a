// Puts a rebuilt catalog in the place of the old one, so that a crash at any moment leaves the old
// one, the new one, or an exchange that the next start completes.
//
//   DATABASE/rebuild        the new files, while they are made
//   DATABASE/rebuild.whole  they are whole and durable; the old ones are on their way out
//   DATABASE/rebuild.enter  the old ones are out; these are on their way in
#pragma once

#include <stddef.h>

// Makes the empty directory in which the new files are to be made. Returns its path, or NULL with
// *cause set.
char *exchange_begin(const char *database, char **cause);

// Puts the new files, which no process has open, in place. The old ones are kept in a directory of
// their own, *kept (NULL: there were none). Returns 0, or -1 with *cause set.
int exchange_finish(const char *database, char **kept, char **cause);

// For every start that holds the lock: removes what an interrupted rebuild left, or completes an
// interrupted exchange. Returns 0, or -1 with *cause set.
int exchange_resume(const char *database, char **cause);
