// What must be true before the daemon starts: directories that can be recorded into, an ffmpeg that
// can record, nobody else at work. Each failure has a cause that names the thing and what to do.
#pragma once

#include "lib/core/config.h"

// Makes the directories that are missing and checks them. Returns 0, or -1 with *cause set.
int startup_check_directories(const struct config *config, char **cause);

// Runs `ffmpeg -version`. Returns 0, or -1 with *cause set.
int startup_check_ffmpeg(const struct config *config, char **cause);

// Locks RUNTIME/keepframe.pid, which gets our pid, and the cache, so that no two supervisors work
// on one of them. Fills fds with descriptors to keep. Returns 0, or -1 with *cause set.
int startup_lock(const struct config *config, int fds[2], char **cause);
