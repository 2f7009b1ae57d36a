// A webhook: one HTTP POST by libcurl, in a process of its own. The daemon starts its own program
// anew for it; address and body travel through a pipe, so that they stand in no argument list.
#pragma once

#include <stdint.h>

// The name of the internal command.
#define WEBHOOK_COMMAND "internal-webhook"

// What the process reads from its descriptor 3. A new string, the caller's.
char *webhook_input(const char *url, const char *body, int64_t timeout_us);

// The address without what may be secret in it: scheme, host and port. A new string.
char *webhook_shown(const char *url);

// The process: reads its input, posts the body. Returns an exit code, 0 for an answer of 2xx; says
// on stderr, in one line without the address, what else happened.
int webhook_main(void);
