// One HTTP POST in a process of its own. See webhook.h.
#include "supervisor/webhook.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/core/alloc.h"
#include "lib/core/buf.h"
#include "supervisor/curl.h"

enum {
    WEBHOOK_INPUT_FD = 3,
    WEBHOOK_INPUT_MAX = 65536,
    WEBHOOK_CONNECT_TIMEOUT_S = 10,
};

char *webhook_input(const char *url, const char *body, int64_t timeout_us)
{
    return xasprintf("%" PRId64 " %s\n%s", timeout_us / 1000, url, body);
}

char *webhook_shown(const char *url)
{
    const char *authority = strstr(url, "://");
    authority = authority ? authority + 3 : url;
    size_t length = strcspn(authority, "/?#");
    const char *at = memrchr(authority, '@', length);
    const char *host = at ? at + 1 : authority;
    return xasprintf("%.*s%s%.*s", (int)(authority - url), url, at ? "***@" : "",
        (int)(length - (size_t)(host - authority)), host);
}

static size_t webhook_discard(char *bytes, size_t size, size_t count, void *arg)
{
    (void)bytes;
    (void)arg;
    return size * count;
}

static int webhook_read(struct buf *input)
{
    char bytes[4096];
    ssize_t got;
    while ((got = read(WEBHOOK_INPUT_FD, bytes, sizeof(bytes))) != 0) {
        if (got < 0 && errno != EINTR)
            return -1;
        if (got > 0)
            buf_put(input, bytes, (size_t)got);
        if (input->size > WEBHOOK_INPUT_MAX)
            return -1;
    }
    return 0;
}

// Sends the request. Returns 0, or -1 with what went wrong on stderr.
static int webhook_post(CURL *curl, const char *url, const char *body, long timeout_ms)
{
    char error[CURL_ERROR_SIZE] = "";
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "keepframe/" KEEPFRAME_VERSION);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
    const char *trusted = getenv("SSL_CERT_FILE"); // libcurl itself does not look there
    if (trusted != NULL)
        curl_easy_setopt(curl, CURLOPT_CAINFO, trusted);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)WEBHOOK_CONNECT_TIMEOUT_S);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, timeout_ms);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, webhook_discard);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error);
    CURLcode result = curl_easy_perform(curl);
    long code = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &code);
    curl_slist_free_all(headers);
    if (result != CURLE_OK)
        dprintf(STDERR_FILENO, "%s\n", *error ? error : curl_easy_strerror(result));
    else if (code < 200 || code > 299)
        dprintf(STDERR_FILENO, "HTTP %ld\n", code);
    else
        return 0;
    return -1;
}

int webhook_main(void)
{
    struct buf input = BUF_INIT;
    int result = webhook_read(&input);
    char *url, *text = buf_string(&input);
    long timeout_ms = strtol(text, &url, 10);
    char *end = strchr(url, '\n');
    CURL *curl = NULL;
    if (result == 0 && *url == ' ' && end != NULL &&
        curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK)
        curl = curl_easy_init();
    result = -1;
    if (curl != NULL) {
        *end = '\0';
        result = webhook_post(curl, url + 1, end + 1, timeout_ms);
    } else {
        dprintf(STDERR_FILENO, "this is an internal command of keepframe\n");
    }
    curl_easy_cleanup(curl);
    curl_global_cleanup();
    buf_fini(&input);
    return result == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
