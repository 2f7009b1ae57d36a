// DESCRIBE and SETUP. See probe_rtsp.h.
#include "supervisor/probe_rtsp.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/core/alloc.h"
#include "lib/core/buf.h"
#include "lib/core/timeutil.h"
#include "supervisor/curl.h"
#include "supervisor/mask.h"

enum {
    PROBE_RTSP_CONNECT_MS = 4000,
    PROBE_RTSP_ANSWER_MS = 5000,
    PROBE_RTSP_HEADERS_MAX = 32 * 1024, // bytes of all headers
    PROBE_RTSP_VALUE_MAX = 1024,
};

// One conversation with a camera.
struct rtsp_talk {
    CURL *curl;
    const struct probe_target *target;
    struct probe_rtsp *found;
    int64_t deadline_us;
    struct buf body;
    size_t header_bytes;
    char *base;     // for the addresses of the tracks
    char *location; // where a redirect leads
    bool has_session;
};

// Takes the value of a header: what can be shown of it.
static char *rtsp_value(const char *text, size_t length)
{
    struct buf out = BUF_INIT;
    while (length > 0 && (*text == ' ' || *text == '\t')) {
        text++;
        length--;
    }
    for (size_t i = 0; i < length && out.size < PROBE_RTSP_VALUE_MAX; i++) {
        if (text[i] >= 0x20 && text[i] < 0x7f)
            buf_put_u8(&out, (uint8_t)text[i]);
    }
    while (out.size > 0 && out.data[out.size - 1] == ' ')
        out.size--;
    return buf_string(&out);
}

static void rtsp_replace(char **where, char *value)
{
    free(*where);
    *where = value;
}

// Notes a scheme of the login once: "Digest realm=…" is Digest.
static void rtsp_add_scheme(struct probe_rtsp *found, char *value)
{
    value[strcspn(value, " ,")] = '\0';
    if (found->schemes == NULL)
        found->schemes = xstrdup(value);
    else if (strcasestr(found->schemes, value) == NULL && strlen(found->schemes) < 64)
        rtsp_replace(&found->schemes, xasprintf("%s, %s", found->schemes, value));
    free(value);
}

static size_t rtsp_header_cb(char *data, size_t size, size_t count, void *arg)
{
    struct rtsp_talk *talk = arg;
    size_t length = size * count;
    const char *colon = memchr(data, ':', length);
    talk->header_bytes += length;
    if (talk->header_bytes > PROBE_RTSP_HEADERS_MAX)
        return 0; // ends the transfer
    if (colon == NULL)
        return length;
    size_t name = (size_t)(colon - data);
    char *value = rtsp_value(colon + 1, length - name - 1);
    if (name == 6 && strncasecmp(data, "Server", name) == 0)
        rtsp_replace(&talk->found->server, value);
    else if ((name == 12 && strncasecmp(data, "Content-Base", name) == 0) ||
             (name == 16 && strncasecmp(data, "Content-Location", name) == 0 && !talk->base))
        rtsp_replace(&talk->base, value);
    else if (name == 8 && strncasecmp(data, "Location", name) == 0)
        rtsp_replace(&talk->location, value);
    else if (name == 16 && strncasecmp(data, "WWW-Authenticate", name) == 0)
        rtsp_add_scheme(talk->found, value);
    else
        free(value);
    return length;
}

static size_t rtsp_body_cb(char *data, size_t size, size_t count, void *arg)
{
    struct rtsp_talk *talk = arg;
    if (size * count > PROBE_SDP_SIZE_MAX - talk->body.size)
        return 0;
    buf_put(&talk->body, data, size * count);
    return size * count;
}

// Media of a camera that sends before PLAY, between the answers: not wanted.
static size_t rtsp_media_cb(char *data, size_t size, size_t count, void *arg)
{
    (void)data;
    (void)arg;
    return size * count;
}

// Sends a request about `address`. Returns libcurl's result; *status is the answer's, or 0.
static CURLcode rtsp_send(struct rtsp_talk *talk, long request, const char *address, long *status)
{
    int64_t left_ms = (talk->deadline_us - time_monotonic_us()) / 1000;
    if (left_ms > PROBE_RTSP_ANSWER_MS)
        left_ms = PROBE_RTSP_ANSWER_MS;
    *status = 0;
    if (left_ms <= 0)
        return CURLE_OPERATION_TIMEDOUT;
    talk->header_bytes = 0;
    buf_consume(&talk->body, talk->body.size);
    curl_easy_setopt(talk->curl, CURLOPT_TIMEOUT_MS, (long)left_ms);
    curl_easy_setopt(talk->curl, CURLOPT_RTSP_STREAM_URI, address);
    curl_easy_setopt(talk->curl, CURLOPT_RTSP_REQUEST, request);
    CURLcode code = curl_easy_perform(talk->curl);
    if (code == CURLE_OK)
        curl_easy_getinfo(talk->curl, CURLINFO_RESPONSE_CODE, status);
    return code;
}

// What the texts about a fault mention. Release with rtsp_facts_fini().
static struct probe_fault_facts rtsp_facts(const struct rtsp_talk *talk)
{
    const struct config_stream *stream = &talk->target->stream;
    struct mask *mask = mask_new(stream->url, stream->password);
    struct probe_fault_facts facts = probe_fault_place(stream);
    facts.schemes = talk->found->schemes;
    facts.detail = talk->location ? mask_text(talk->location, mask) : NULL;
    mask_free(mask);
    return facts;
}

static void rtsp_facts_fini(struct probe_fault_facts *facts)
{
    free((char *)facts->detail);
    probe_fault_place_fini(facts);
}

// The code for why there was no answer.
static const char *rtsp_failure(CURL *curl, CURLcode code)
{
    long error = 0;
    double connected_s = 0;
    curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &error);
    curl_easy_getinfo(curl, CURLINFO_CONNECT_TIME, &connected_s);
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
        return "unresolved";
    case CURLE_COULDNT_CONNECT:
        if (error == ECONNREFUSED)
            return "refused";
        return error == ETIMEDOUT ? "no_answer" : "unreachable";
    case CURLE_OPERATION_TIMEDOUT:
        return connected_s > 0 ? "timeout" : "no_answer";
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
        return "closed";
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_RTSP_CSEQ_ERROR:
    case CURLE_RTSP_SESSION_ERROR:
    case CURLE_WRITE_ERROR:
    case CURLE_PARTIAL_FILE:
        return "not_rtsp";
    default:
        return "unknown";
    }
}

// Returns 0 for a success, or -1 with *fault set.
static int rtsp_judge(
    const struct rtsp_talk *talk, CURLcode code, long status, struct probe_fault *fault)
{
    if (code == CURLE_OK && status >= 200 && status < 300)
        return 0;
    struct probe_fault_facts facts = rtsp_facts(talk);
    if (code != CURLE_OK) {
        free((char *)facts.detail);
        facts.detail = NULL;
        const char *name = rtsp_failure(talk->curl, code);
        if (strcmp(name, "unknown") == 0)
            facts.detail = xstrdup(curl_easy_strerror(code));
        probe_fault_set(fault, name, &facts);
    } else if (status < 200) {
        probe_fault_set(fault, "not_rtsp", &facts);
    } else {
        probe_fault_status(fault, status, &facts);
    }
    rtsp_facts_fini(&facts);
    return -1;
}

static int rtsp_describe(struct rtsp_talk *talk, struct probe_fault *fault)
{
    long status;
    CURLcode code = rtsp_send(talk, CURL_RTSPREQ_DESCRIBE, talk->target->stream.url, &status);
    if (rtsp_judge(talk, code, status, fault) < 0)
        return -1;
    struct probe_fault_facts facts = rtsp_facts(talk);
    if (!probe_sdp_parse((char *)talk->body.data, talk->body.size, &talk->found->sdp))
        probe_fault_set(fault, "not_rtsp", &facts);
    else if (!talk->found->sdp.video.is_there)
        probe_fault_set(fault, "no_video", &facts);
    rtsp_facts_fini(&facts);
    return fault->code == NULL ? 0 : -1;
}

// An even port that is free now, for SETUP to name: nothing is received on it.
static int rtsp_free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) < 0)
        address.sin_port = htons(50000);
    if (fd >= 0)
        close(fd);
    return ntohs(address.sin_port) & ~1;
}

// The address of the video track.
static char *rtsp_video_address(const struct rtsp_talk *talk)
{
    const struct probe_sdp *sdp = &talk->found->sdp;
    const char *base = talk->base && *talk->base ? talk->base : talk->target->stream.url;
    char *session = probe_sdp_address(base, sdp->control);
    char *video = probe_sdp_address(session, sdp->video.control);
    free(session);
    return video;
}

// Whether the camera takes this transport. Returns 0 with found->is_refused set, or -1 with *fault
// set when that can not be found out.
static int rtsp_setup(struct rtsp_talk *talk, enum probe_transport transport, const char *address,
    struct probe_fault *fault)
{
    int port = rtsp_free_port();
    char *text = transport == PROBE_TRANSPORT_TCP
                     ? xstrdup("RTP/AVP/TCP;unicast;interleaved=0-1")
                     : xasprintf("RTP/AVP;unicast;client_port=%d-%d", port, port + 1);
    long status;
    curl_easy_setopt(talk->curl, CURLOPT_RTSP_TRANSPORT, text);
    CURLcode code = rtsp_send(talk, CURL_RTSPREQ_SETUP, address, &status);
    free(text);
    talk->found->is_refused[transport] = code == CURLE_OK && (status < 200 || status >= 300);
    if (code == CURLE_OK && status >= 200 && status < 300) {
        talk->found->transport = transport;
        talk->has_session = true;
        return 0;
    }
    return rtsp_judge(talk, code, status, fault);
}

static int rtsp_find_transport(
    struct rtsp_talk *talk, enum probe_transport wanted, struct probe_fault *fault)
{
    enum probe_transport other =
        wanted == PROBE_TRANSPORT_TCP ? PROBE_TRANSPORT_UDP : PROBE_TRANSPORT_TCP;
    char *address = rtsp_video_address(talk);
    int result = rtsp_setup(talk, wanted, address, fault);
    if (result < 0 && talk->found->is_refused[wanted]) {
        probe_fault_fini(fault);
        result = rtsp_setup(talk, other, address, fault);
    }
    free(address);
    return result;
}

static void rtsp_teardown(struct rtsp_talk *talk)
{
    long status;
    if (talk->has_session)
        rtsp_send(talk, CURL_RTSPREQ_TEARDOWN, talk->base ? talk->base : talk->target->stream.url,
            &status);
}

static CURL *rtsp_curl(struct rtsp_talk *talk)
{
    CURL *curl = curl_easy_init();
    const struct config_stream *stream = &talk->target->stream;
    if (curl == NULL)
        return NULL;
    curl_easy_setopt(curl, CURLOPT_URL, stream->url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "rtsp");
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "rtsp");
    curl_easy_setopt(curl, CURLOPT_PROXY, ""); // none, whatever the environment says
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)PROBE_RTSP_CONNECT_MS);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "Keepframe/" KEEPFRAME_VERSION);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, rtsp_header_cb);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, talk);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, rtsp_body_cb);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, talk);
    curl_easy_setopt(curl, CURLOPT_INTERLEAVEFUNCTION, rtsp_media_cb);
    if (stream->username != NULL) {
        curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long)(CURLAUTH_DIGEST | CURLAUTH_BASIC));
        curl_easy_setopt(curl, CURLOPT_USERNAME, stream->username);
        curl_easy_setopt(curl, CURLOPT_PASSWORD, stream->password ? stream->password : "");
    }
    return curl;
}

int probe_rtsp_ask(const struct probe_target *target, enum probe_transport wanted,
    int64_t deadline_us, struct probe_rtsp *rtsp, struct probe_fault *fault)
{
    struct rtsp_talk talk = {.target = target, .found = rtsp, .deadline_us = deadline_us};
    int result = -1;
    *rtsp = (struct probe_rtsp){.transport = wanted};
    if (curl_global_init(CURL_GLOBAL_NOTHING) == CURLE_OK)
        talk.curl = rtsp_curl(&talk);
    if (talk.curl != NULL) {
        result = rtsp_describe(&talk, fault);
        if (result == 0)
            result = rtsp_find_transport(&talk, wanted, fault);
        rtsp_teardown(&talk);
    } else {
        fault->code = "unknown";
        fault->message = xstrdup("libcurl can not be started");
    }
    curl_easy_cleanup(talk.curl);
    buf_fini(&talk.body);
    free(talk.base);
    free(talk.location);
    return result;
}

void probe_rtsp_fini(struct probe_rtsp *rtsp)
{
    free(rtsp->server);
    free(rtsp->schemes);
    *rtsp = (struct probe_rtsp){0};
}
