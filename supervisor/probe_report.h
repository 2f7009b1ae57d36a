// What a probe has found, as JSON and as text for people. Pure.
#pragma once

#include <stdio.h>

#include <jansson.h>

#include "supervisor/probe_fault.h"
#include "supervisor/probe_look.h"
#include "supervisor/probe_rtsp.h"
#include "supervisor/probe_target.h"

struct probe_findings {
    const struct probe_target *target;
    enum probe_transport wanted;
    enum probe_transport used;
    const struct probe_rtsp *rtsp; // NULL: libcurl was not asked
    const struct probe_look *look; // NULL: it did not come to that
    struct probe_fault fault;
};

// The answer to whoever asked; its members are described in docs/api.md. A new reference.
json_t *probe_report_json(const struct probe_findings *findings);

// The answer of a probe that could not be made.
json_t *probe_report_failure(const char *code, const char *message);

// Prints such an answer for people.
void probe_report_print(FILE *file, const json_t *report);
