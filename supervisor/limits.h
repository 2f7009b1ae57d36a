// The limit of open files: raised for ourselves, given back to our children as it was.
#pragma once

#include <stdint.h>

// Raises our soft limit to the hard one. Whether that is enough is for hints.h to say.
void limits_raise(void);

// Sets the soft limit to what it was before limits_raise(), in a child before its exec. Safe
// between fork and exec.
void limits_restore(void);

// What it was; 0: it was not raised. It stays raised over an exec of ours, in which the loader
// needs descriptors above the old limit, and whoever follows is told by limits_set_before() what
// the children get.
uint64_t limits_before(void);
void limits_set_before(uint64_t before);
