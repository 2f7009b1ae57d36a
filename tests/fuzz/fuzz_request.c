// links: kf-webui
// Any bytes as what a client sends: path, query and headers are read or refused, and what is
// decided lies inside the file.
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/config_value.h"
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

static void check_outcome(const struct http_outcome *outcome, const struct http_entity *entity,
    const struct http_conditions *conditions)
{
    bool is_known = outcome->status == 200 || outcome->status == 206 || outcome->status == 304 ||
                    outcome->status == 412 || outcome->status == 416;
    if (!is_known || outcome->offset > entity->size ||
        outcome->length > entity->size - outcome->offset)
        abort();
    if (outcome->status == 206 && (outcome->length == 0 || conditions->range == NULL))
        abort();
    if (outcome->status == 200 && (outcome->offset != 0 || outcome->length != entity->size))
        abort();
    if (outcome->status == 416 && conditions->range == NULL)
        abort();
}

// A date that can be read is the same moment when it is written and read again.
static void check_date(const char *text)
{
    char again[HTTP_DATE_SIZE];
    int64_t time_s, same_s;
    if (!http_parse_date(text, &time_s))
        return;
    http_format_date(time_s, again);
    if (again[0] != '\0' && (!http_parse_date(again, &same_s) || same_s != time_s))
        abort();
}

// An origin that is accepted is kept as browsers write it, so it is its own normal form.
static void check_origin(const char *text)
{
    char *origin = config_origin_parse(text);
    char *again = origin ? config_origin_parse(origin) : NULL;
    if (origin != NULL && (again == NULL || strcmp(origin, again) != 0))
        abort();
    free(origin);
    free(again);
}

static void check_range(const char *header, const char *condition, uint64_t size)
{
    const struct http_entity entity = {"\"tag\"", 784111777, size};
    struct http_conditions all[] = {{.range = header}, {.range = header, .if_range = condition},
        {.if_match = header, .if_none_match = condition},
        {.if_modified_since = header, .if_unmodified_since = condition}};
    for (size_t i = 0; i < ARRAY_LENGTH(all); i++) {
        struct http_outcome outcome;
        http_decide(&all[i], &entity, false, &outcome);
        check_outcome(&outcome, &entity, &all[i]);
        http_decide(&all[i], &entity, true, &outcome);
        if (outcome.status == 206 || outcome.status == 416)
            abort(); // ranges are for GET alone
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = xstrndup((const char *)data, size);
    size_t length = strlen(text);
    char *half = text + length / 2;
    check_query(text, playback_rules);
    check_query(text, api_segments_rules);
    static const uint64_t sizes[] = {0, 1, 1000, UINT64_MAX / 2, UINT64_MAX - 1};
    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++)
        check_range(half, text, sizes[i]);
    check_range(text, "\"tag\"", 1000);
    check_date(text);
    check_origin(text);
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
