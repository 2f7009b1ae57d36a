// links: kf-webui
// Any bytes as what a client sends: path, query and headers are read or refused, and what is
// decided lies inside the file.
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "webui/api.h"
#include "webui/http_range.h"
#include "webui/playback.h"
#include "webui/route.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_query(const char *query, const struct query_rule *rules)
{
    struct query_value values[QUERY_PARAMETERS_MAX];
    struct query_error error = {0};
    if (!query_parse(query, rules, values, &error) &&
        (error.code == NULL || error.field[0] == '\0' || error.message[0] == '\0'))
        abort();
}

static void check_range(const char *header, const char *condition)
{
    const struct http_entity entity = {"\"tag\"", 784111777, 1000};
    struct http_conditions all[] = {{.range = header}, {.range = header, .if_range = condition},
        {.if_match = header, .if_none_match = condition},
        {.if_modified_since = header, .if_unmodified_since = condition}};
    for (size_t i = 0; i < ARRAY_LENGTH(all); i++) {
        struct http_outcome outcome;
        http_decide(&all[i], &entity, false, &outcome);
        if (outcome.offset > entity.size || outcome.length > entity.size - outcome.offset)
            abort();
        if (outcome.status == 206 && outcome.length == 0)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = xstrndup((const char *)data, size);
    size_t length = strlen(text);
    char *half = text + length / 2;
    check_query(text, playback_rules);
    check_query(text, api_segments_rules);
    check_range(half, text);
    char *path = xmalloc(length + 1);
    struct request request = {0};
    if (query_unescape(text, length, false, path, length + 1) && route_find(path, &request)) {
        for (int i = 0; i < ROUTE_NAMES_MAX; i++)
            if (request.names[i][0] != '\0' && !segment_name_valid(request.names[i]))
                abort();
    }
    free(path);
    free(text);
    return 0;
}
