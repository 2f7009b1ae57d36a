// The limit of open files: raised for ourselves, given back to our children as it was.
#pragma once

#include <stddef.h>

// Raises our soft limit to the hard one; warns with the remedy where that is too little for so many
// streams.
void limits_raise(size_t stream_count);

// Sets the soft limit to what it was before limits_raise(): in a child before its exec, and before
// an exec of ourselves. Safe between fork and exec.
void limits_restore(void);
