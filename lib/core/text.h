// Text that came from outside and is to be shown, sent or stored.
#pragma once

// Makes it what a terminal, a log and JSON take as it stands: control characters, marks that turn
// the direction of writing, and all that is not ASCII where the text is not UTF-8 become '?'.
void text_make_plain(char *text);
