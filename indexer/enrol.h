// `volume add`: a directory becomes one of the catalog's volumes. Everything that may be wrong with
// it is looked at first, in a thread of its own, and named.
#pragma once

#include "indexer/indexer.h"

struct ctl_request;
struct enrol;

struct enrol *enrol_new(struct indexer *indexer);

// Ends the thread; then, after the committer has ended, the rest.
void enrol_end(struct enrol *enrol);
void enrol_free(struct enrol *enrol);

// Answers the request, now or later, when it is volume_add ({"path"}). Returns false when not.
// Result: {"path", "uuid", "device", "total_bytes", "free_bytes", "known" (it was one before),
// "marked" (it had a mark before), "configured", "hints": what to know or to do}.
bool enrol_request(struct enrol *enrol, struct ctl_request *request);
