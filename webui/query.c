// The query part of a request. See query.h.
#include "webui/query.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/core/percent.h"
#include "lib/core/timeutil.h"

enum {
    QUERY_DURATION_DIGITS_MAX = 12,
};

bool query_unescape(const char *text, size_t length, bool plus, char *out, size_t out_size)
{
    size_t used = 0;
    for (size_t i = 0; i < length; i++) {
        int byte = (unsigned char)text[i];
        if (byte == '%') {
            byte = percent_byte(text + i, length - i);
            i += 2;
        } else if (byte == '+' && plus) {
            byte = ' ';
        }
        if (byte < 0x20 || byte == 0x7f || used + 1 >= out_size)
            return false;
        out[used++] = (char)byte;
    }
    out[used] = '\0';
    return true;
}

static bool __attribute__((format(printf, 4, 5)))
query_fail(struct query_error *error, const char *code, const char *field, const char *format, ...)
{
    error->code = code;
    size_t used = 0;
    for (; *field != '\0' && used + 1 < sizeof(error->field); field++)
        error->field[used++] = isprint((unsigned char)*field) ? *field : '?';
    if (used == 0)
        error->field[used++] = '?';
    error->field[used] = '\0';
    va_list args;
    va_start(args, format);
    vsnprintf(error->message, sizeof(error->message), format, args);
    va_end(args);
    return false;
}

// Reads decimal digits; moves *text behind them. False without a digit or with too many.
static bool query_read_digits(const char **text, int64_t *value)
{
    int digits = 0;
    for (*value = 0; isdigit((unsigned char)**text); (*text)++) {
        if (++digits > QUERY_DURATION_DIGITS_MAX)
            return false;
        *value = *value * 10 + (**text - '0');
    }
    return digits > 0;
}

static bool query_parse_duration(const char *text, int64_t *duration_us)
{
    static const struct {
        const char *name;
        int64_t us;
    } units[] = {{"ms", 1000}, {"s", US_PER_SECOND}, {"m", 60 * US_PER_SECOND},
        {"h", 3600 * US_PER_SECOND}, {"d", US_PER_DAY}, {"", US_PER_SECOND}};
    int64_t whole, fraction_us = 0;
    if (!query_read_digits(&text, &whole))
        return false;
    if (*text == '.') {
        int64_t scale = US_PER_SECOND / 10;
        for (text++; isdigit((unsigned char)*text); text++, scale /= 10)
            fraction_us += scale * (*text - '0');
        if (*text != '\0')
            return false;
    }
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(text, units[i].name) != 0)
            continue;
        return !__builtin_mul_overflow(whole, units[i].us, duration_us) &&
               !__builtin_add_overflow(*duration_us, fraction_us, duration_us) && *duration_us > 0;
    }
    return false;
}

static bool query_parse_integer(const char *text, const struct query_rule *rule, int64_t *number)
{
    return query_read_digits(&text, number) && *text == '\0' && *number >= rule->min &&
           *number <= rule->max;
}

static bool query_read_choice(const struct query_rule *rule, const char *text,
    struct query_value *value, struct query_error *error)
{
    char known[96] = "";
    for (int64_t i = 0; rule->choices[i] != NULL; i++) {
        if (strcmp(text, rule->choices[i]) == 0) {
            value->number = i;
            return true;
        }
        size_t used = strlen(known);
        snprintf(known + used, sizeof(known) - used, "%s%s", i > 0 ? ", " : "", rule->choices[i]);
    }
    return query_fail(
        error, "bad_parameter", rule->name, "\"%s\" must be one of: %s", rule->name, known);
}

static bool query_read_value(const struct query_rule *rule, const char *text,
    struct query_value *value, struct query_error *error)
{
    const char *code = "bad_parameter", *name = rule->name;
    switch (rule->type) {
    case QUERY_TIME:
        return time_parse(text, &value->number) ||
               query_fail(error, code, name,
                   "\"%s\" must be a time with its offset, as 2026-03-31T07:30:00Z or "
                   "2026-03-31T09:30:00.250+02:00, or seconds since 1970",
                   name);
    case QUERY_DURATION:
        return query_parse_duration(text, &value->number) ||
               query_fail(error, code, name,
                   "\"%s\" must be a time span above zero, as 90s, 10m, 1h or 12.5 (seconds)",
                   name);
    case QUERY_FLAG:
        value->number = text[0] == '1';
        return strcmp(text, "0") == 0 || strcmp(text, "1") == 0 ||
               query_fail(error, code, name, "\"%s\" must be 0 or 1", name);
    case QUERY_CHOICE:
        return query_read_choice(rule, text, value, error);
    case QUERY_INTEGER:
        return query_parse_integer(text, rule, &value->number) ||
               query_fail(error, code, name, "\"%s\" must be a whole number from %lld to %lld",
                   name, (long long)rule->min, (long long)rule->max);
    case QUERY_TEXT:
        snprintf(value->text, sizeof(value->text), "%s", text);
        return true;
    case QUERY_RAW:
        return true;
    }
    return false;
}

// Reads one "name=value" of `length` bytes.
static bool query_read_pair(const char *pair, size_t length, const struct query_rule *rules,
    struct query_value *values, struct query_error *error)
{
    char name[sizeof(error->field)] = "", text[QUERY_TEXT_SIZE] = "";
    const char *equals = memchr(pair, '=', length);
    size_t name_length = equals ? (size_t)(equals - pair) : length;
    if (!query_unescape(pair, name_length, true, name, sizeof(name)))
        return query_fail(error, "unknown_parameter", "?", "a parameter's name can not be read");
    size_t i = 0;
    while (rules[i].name != NULL && strcmp(rules[i].name, name) != 0)
        i++;
    if (rules[i].name == NULL)
        return query_fail(error, "unknown_parameter", name, "this address knows no such parameter");
    if (values[i].given)
        return query_fail(error, "duplicate_parameter", name, "\"%s\" is given twice", name);
    if (equals == NULL)
        return query_fail(error, "bad_parameter", name, "\"%s\" has no value", name);
    values[i].raw = equals + 1;
    values[i].raw_length = length - name_length - 1;
    if (rules[i].type != QUERY_RAW &&
        !query_unescape(equals + 1, length - name_length - 1, true, text, sizeof(text)))
        return query_fail(error, "bad_parameter", name,
            "the value of \"%s\" is too long or not percent-encoded as it must be", name);
    values[i].given = true;
    return query_read_value(&rules[i], text, &values[i], error);
}

bool query_parse(const char *query, const struct query_rule *rules,
    struct query_value values[QUERY_PARAMETERS_MAX], struct query_error *error)
{
    for (size_t i = 0; rules[i].name != NULL; i++)
        values[i] = (struct query_value){.number = rules[i].fallback};
    while (query != NULL && *query != '\0') {
        size_t length = strcspn(query, "&");
        if (length > 0 && !query_read_pair(query, length, rules, values, error))
            return false;
        query += length + (query[length] == '&');
    }
    for (size_t i = 0; rules[i].name != NULL; i++)
        if (rules[i].required && !values[i].given)
            return query_fail(
                error, "missing_parameter", rules[i].name, "\"%s\" is missing", rules[i].name);
    return true;
}
