// The limit of open files: raised for ourselves, given back to our children as it was.
#pragma once

// Raises our soft limit to the hard one. Whether that is enough is for hints.h to say.
void limits_raise(void);

// Sets the soft limit to what it was before limits_raise(): in a child before its exec, and before
// an exec of ourselves. Safe between fork and exec.
void limits_restore(void);
