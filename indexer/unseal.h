// A sealed segment as the recorder wrote it.
#pragma once

// Writes the fragments of the sealed file `path` into the new file `output`, durably: the trailing
// moov left out, and the 16 bytes that sealing wrote over derived anew. What a torn last fragment
// had behind its last whole sample was cut off when it was sealed and is not to be had. Returns 0,
// or -1 with *cause set; there is no output then.
int unseal(const char *path, const char *output, char **cause);
