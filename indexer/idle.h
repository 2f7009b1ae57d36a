// Work that must disturb nobody.
#pragma once

// Gives the calling thread the least share of disk (I/O class idle) and processor (nice 19).
void idle_priority(void);
