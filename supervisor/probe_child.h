// The probing child: an internal mode of the keepframe binary. It reads what to probe from
// descriptor 3 and writes the answer, JSON on several short lines, to descriptor 4.
#pragma once

// The argument that makes keepframe the probing child.
#define PROBE_CHILD_ARGUMENT "--probe-child"

enum {
    PROBE_CHILD_REQUEST_MAX = 16 * 1024,
    PROBE_CHILD_ANSWER_MAX = 32 * 1024,
    PROBE_CHILD_SECONDS = 27, // the answer is there by then
};

// Returns the exit code.
int probe_child_main(void);
