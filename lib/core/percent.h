// Percent-encoding (RFC 3986, 2.1).
#pragma once

#include <stdbool.h>
#include <stddef.h>

// The byte that the "%XX" at `text` stands for, of which `left` bytes may be looked at; -1 when
// there is none.
int percent_byte(const char *text, size_t left);

// Whether a byte needs no encoding anywhere (2.3).
bool percent_is_plain(char byte);
