// Takes secrets out of text that comes from elsewhere, before it is kept, logged or answered.
#pragma once

// A copy of `text` in which the user information of every URL and every appearance of `secret`
// (may be NULL), raw or with any of its bytes percent-encoded, is replaced by "***". A secret of
// less than four bytes is only replaced inside URLs, where its place tells it from other text.
char *mask_text(const char *text, const char *secret);
