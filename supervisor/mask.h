// Takes secrets out of text that comes from elsewhere, before it is kept, logged or answered.
#pragma once

#include <jansson.h>

#include "supervisor/handover.h"

struct mask;

// What is secret of a stream: its password, the values in the query of its URL, any of which may be
// a token, and what is called password in the URL's path. Both may be NULL. Copies what it needs.
struct mask *mask_new(const char *url, const char *password);
void mask_free(struct mask *mask);

// A copy of `text` in which the user information of every URL and every appearance of a secret, raw
// or with any of its bytes percent-encoded, is replaced by "***". `mask` may be NULL: then no
// secret is known.
//
// A secret of less than four bytes is only replaced inside URLs, where its place tells it from
// other text: a value of the query where such a value begins. Values of the query leave paths
// readable: in a URL they are only replaced in its query, elsewhere not directly behind a slash.
char *mask_text(const char *text, const struct mask *mask);

// The secrets go along over an exec of ours, in memory that nobody else can open: a child that was
// given what is not configured any more may still tell it. `mask` may be NULL.
json_t *mask_hand_over(const struct mask *mask);
struct mask *mask_take_over(struct handover_reader *reader, json_t *list);
