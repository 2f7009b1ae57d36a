// The probing child. See probe_child.h.
#include "supervisor/probe_child.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/core/alloc.h"
#include "lib/core/buf.h"
#include "lib/core/timeutil.h"
#include "supervisor/probe_report.h"

enum {
    PROBE_CHILD_INPUT_FD = 3,
    PROBE_CHILD_OUTPUT_FD = 4,
};

// Of the whole: asking, then a look, then another look by the other transport.
#define PROBE_CHILD_ASK_US (9 * US_PER_SECOND)
#define PROBE_CHILD_PATIENCE_US (8 * US_PER_SECOND) // for the first frame

static char *child_read_request(void)
{
    struct buf request = BUF_INIT;
    for (;;) {
        char bytes[4096];
        ssize_t got = read(PROBE_CHILD_INPUT_FD, bytes, sizeof(bytes));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0 || request.size + (size_t)got > PROBE_CHILD_REQUEST_MAX)
            return buf_string(&request);
        buf_put(&request, bytes, (size_t)got);
    }
}

static int child_write_answer(const json_t *report)
{
    char *text = json_dumps(report, JSON_INDENT(1));
    size_t size = text ? strlen(text) : 0, done = 0;
    while (done < size) {
        ssize_t put = write(PROBE_CHILD_OUTPUT_FD, text + done, size - done);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            break;
        done += (size_t)put;
    }
    free(text);
    return size > 0 && done == size ? EXIT_SUCCESS : EXIT_FAILURE;
}

// What a look that saw nothing means.
static void child_judge_look(struct probe_findings *findings, const struct probe_look *look)
{
    struct probe_fault_facts facts = probe_fault_place(&findings->target->stream);
    facts.schemes = findings->rtsp ? findings->rtsp->schemes : NULL;
    facts.detail = look->words;
    probe_fault_set(&findings->fault, look->reason, &facts);
    probe_fault_place_fini(&facts);
}

// Looks by the transport that was found; where nothing comes that way, by the other one. The caller
// owns the look, which is NULL when it failed.
static struct probe_look *child_look(struct probe_findings *findings, int64_t deadline_us)
{
    struct probe_look *look = probe_look_run(findings->target, findings->used,
        time_monotonic_us() + PROBE_CHILD_PATIENCE_US, deadline_us);
    if (look->reason == NULL)
        return look;
    child_judge_look(findings, look);
    bool is_worth_it = strcmp(look->reason, "no_frames") == 0 ||
                       strcmp(look->reason, "timeout") == 0 || strcmp(look->reason, "closed") == 0;
    probe_look_free(look);
    enum probe_transport other =
        findings->used == PROBE_TRANSPORT_TCP ? PROBE_TRANSPORT_UDP : PROBE_TRANSPORT_TCP;
    if (!is_worth_it || (findings->rtsp != NULL && findings->rtsp->is_refused[other]))
        return NULL;
    look = probe_look_run(
        findings->target, other, time_monotonic_us() + PROBE_CHILD_PATIENCE_US, deadline_us);
    if (look->reason == NULL) {
        findings->used = other;
        probe_fault_fini(&findings->fault);
        return look;
    }
    probe_look_free(look);
    return NULL;
}

static json_t *child_probe(const struct probe_target *target)
{
    int64_t start_us = time_monotonic_us();
    struct probe_rtsp rtsp = {0};
    struct probe_findings findings = {.target = target};
    struct probe_look *look = NULL;
    int result = 0;
    if (target->stream.recording.transport == CONFIG_TRANSPORT_UDP)
        findings.wanted = PROBE_TRANSPORT_UDP;
    findings.used = findings.wanted;
    if (strncmp(target->stream.url, "rtsp:", 5) == 0) {
        result = probe_rtsp_ask(
            target, findings.wanted, start_us + PROBE_CHILD_ASK_US, &rtsp, &findings.fault);
        findings.rtsp = &rtsp;
        findings.used = rtsp.transport;
    }
    if (result == 0)
        look = child_look(&findings, start_us + (PROBE_CHILD_SECONDS - 1) * US_PER_SECOND);
    findings.look = look;
    json_t *report = probe_report_json(&findings);
    probe_fault_fini(&findings.fault);
    probe_look_free(look);
    probe_rtsp_fini(&rtsp);
    return report;
}

int probe_child_main(void)
{
    struct probe_target target;
    char *cause = NULL;
    char *request = child_read_request();
    json_t *report = probe_target_read(request, &target, &cause) == 0
                         ? child_probe(&target)
                         : probe_report_failure("unknown", cause);
    int code = child_write_answer(report);
    json_decref(report);
    probe_target_fini(&target);
    free(cause);
    free(request);
    return code;
}
