// DATABASE/lock: one catalog has one writer.
#pragma once

// Takes the lock, which ends with the descriptor. Returns it, or -1 with *cause set.
int lockfile_take(const char *database, char **cause);
