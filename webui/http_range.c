// Conditional and range requests. See http_range.h.
#include "webui/http_range.h"

#include <ctype.h>
#include <string.h>
#include <time.h>

static const char http_date_format[] = "%a, %d %b %Y %H:%M:%S GMT";
// Older senders' (5.6.7): RFC 850's, asctime()'s.
static const char *const http_date_formats[] = {
    http_date_format, "%a, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"};

void http_format_date(int64_t time_s, char text[HTTP_DATE_SIZE])
{
    time_t seconds = time_s;
    struct tm utc;
    gmtime_r(&seconds, &utc);
    // The program never calls setlocale(), so the names are English.
    if (strftime(text, HTTP_DATE_SIZE, http_date_format, &utc) == 0)
        text[0] = '\0';
}

bool http_parse_date(const char *text, int64_t *time_s)
{
    for (size_t i = 0; i < sizeof(http_date_formats) / sizeof(http_date_formats[0]); i++) {
        struct tm utc = {0};
        const char *end = strptime(text, http_date_formats[i], &utc);
        if (end == NULL || *end != '\0')
            continue;
        *time_s = timegm(&utc);
        return true;
    }
    return false;
}

static const char *http_skip_spaces(const char *text)
{
    return text + strspn(text, " \t");
}

// Whether a list of entity tags (or '*') holds `etag`. `weak`: a W/ before a tag does not matter
// (8.8.3.2).
static bool http_etag_listed(const char *list, const char *etag, bool weak)
{
    list = http_skip_spaces(list);
    if (*list == '*')
        return true;
    while (*list != '\0') {
        bool is_weak = strncmp(list, "W/", 2) == 0;
        list += is_weak ? 2 : 0;
        const char *end = *list == '"' ? strchr(list + 1, '"') : NULL;
        if (end == NULL)
            return false;
        size_t length = (size_t)(end + 1 - list);
        if ((weak || !is_weak) && length == strlen(etag) && memcmp(list, etag, length) == 0)
            return true;
        list = end + 1 + strspn(end + 1, " \t,");
    }
    return false;
}

// The order of evaluation is that of 13.2.2. Returns 0 to go on.
static unsigned http_preconditions(
    const struct http_conditions *conditions, const struct http_entity *entity)
{
    int64_t time_s;
    if (conditions->if_match != NULL) {
        if (!http_etag_listed(conditions->if_match, entity->etag, false))
            return 412;
    } else if (conditions->if_unmodified_since != NULL && entity->modified_s != 0 &&
               http_parse_date(conditions->if_unmodified_since, &time_s) &&
               entity->modified_s > time_s) {
        return 412;
    }
    if (conditions->if_none_match != NULL)
        return http_etag_listed(conditions->if_none_match, entity->etag, true) ? 304 : 0;
    if (conditions->if_modified_since != NULL && entity->modified_s != 0 &&
        http_parse_date(conditions->if_modified_since, &time_s) && entity->modified_s <= time_s)
        return 304;
    return 0;
}

// Whether the part is of the representation that the client has (13.1.5: strong comparison, or the
// very date).
static bool http_if_range(const char *text, const struct http_entity *entity)
{
    int64_t time_s;
    text = http_skip_spaces(text);
    if (*text == '"')
        return strcmp(text, entity->etag) == 0;
    return entity->modified_s != 0 && http_parse_date(text, &time_s) &&
           time_s == entity->modified_s;
}

// Reads digits; a number beyond 64 bits counts as the greatest. False when there is none.
static bool http_read_number(const char **text, uint64_t *number)
{
    bool any = false;
    for (*number = 0; isdigit((unsigned char)**text); (*text)++) {
        uint64_t digit = (uint64_t)(**text - '0');
        *number = *number > (UINT64_MAX - digit) / 10 ? UINT64_MAX : *number * 10 + digit;
        any = true;
    }
    return any;
}

// Reads "bytes=…" of exactly one range. Returns false when it is none.
static bool http_parse_range(
    const char *text, uint64_t size, uint64_t *first, uint64_t *last, bool *satisfiable)
{
    uint64_t number;
    text = http_skip_spaces(text);
    if (strncasecmp(text, "bytes=", 6) != 0)
        return false;
    text = http_skip_spaces(text + 6);
    if (*text == '-') {
        text++;
        if (!http_read_number(&text, &number))
            return false;
        *satisfiable = number > 0 && size > 0;
        *first = number >= size ? 0 : size - number;
        *last = size - 1;
    } else {
        if (!http_read_number(&text, first) || *text++ != '-')
            return false;
        *last = UINT64_MAX;
        if (http_read_number(&text, &number))
            *last = number;
        if (*last < *first)
            return false;
        *satisfiable = *first < size;
        if (*last >= size)
            *last = size - 1;
    }
    return *http_skip_spaces(text) == '\0';
}

void http_decide(const struct http_conditions *conditions, const struct http_entity *entity,
    bool head, struct http_outcome *outcome)
{
    uint64_t first, last;
    bool satisfiable;
    *outcome = (struct http_outcome){.status = http_preconditions(conditions, entity)};
    if (outcome->status != 0)
        return;
    *outcome = (struct http_outcome){.status = 200, .length = entity->size};
    if (head || conditions->range == NULL ||
        (conditions->if_range != NULL && !http_if_range(conditions->if_range, entity)) ||
        !http_parse_range(conditions->range, entity->size, &first, &last, &satisfiable))
        return;
    if (satisfiable)
        *outcome =
            (struct http_outcome){.status = 206, .offset = first, .length = last - first + 1};
    else
        *outcome = (struct http_outcome){.status = 416};
}
