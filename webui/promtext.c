// Prometheus' text format. See promtext.h.
#include "webui/promtext.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PROMTEXT_NUMBER_SIZE = 32,
};

void promtext_begin(struct promtext *text, struct buf *out, const char *name,
    enum promtext_type type, const char *help)
{
    *text = (struct promtext){.out = out, .name = name, .type = type, .help = help};
}

static void promtext_text(struct buf *out, const char *text)
{
    buf_put(out, text, strlen(text));
}

// A label's value or a help text, with what would end it escaped.
static void promtext_escape(struct buf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        size_t plain = strcspn(text, "\\\"\n");
        buf_put(out, text, plain);
        text += plain;
        if (*text == '\0')
            return;
        buf_put_u8(out, '\\');
        buf_put_u8(out, *text == '\n' ? 'n' : (uint8_t)*text);
    }
}

static void promtext_head(struct promtext *text)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};
    if (text->begun)
        return;
    text->begun = true;
    buf_printf(text->out, "# HELP %s %s\n# TYPE %s %s\n", text->name, text->help, text->name,
        types[text->type]);
}

// A whole number as it is, any other with as many digits as it takes.
static void promtext_number(char number[PROMTEXT_NUMBER_SIZE], double value)
{
    if (isnan(value)) {
        snprintf(number, PROMTEXT_NUMBER_SIZE, "NaN");
        return;
    }
    if (isinf(value)) {
        snprintf(number, PROMTEXT_NUMBER_SIZE, value > 0 ? "+Inf" : "-Inf");
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(number, PROMTEXT_NUMBER_SIZE, "%.*g", digits, value);
        if (strtod(number, NULL) == value)
            return;
    }
}

static void promtext_sample(struct promtext *text, const char *suffix,
    const struct promtext_label *labels, size_t label_count, double value)
{
    char number[PROMTEXT_NUMBER_SIZE];
    char before = '{';
    promtext_head(text);
    promtext_text(text->out, text->name);
    promtext_text(text->out, suffix);
    for (size_t i = 0; i < label_count; i++) {
        if (labels[i].name == NULL)
            continue;
        buf_put_u8(text->out, (uint8_t)before);
        promtext_text(text->out, labels[i].name);
        promtext_text(text->out, "=\"");
        promtext_escape(text->out, labels[i].value);
        buf_put_u8(text->out, '"');
        before = ',';
    }
    if (before == ',')
        buf_put_u8(text->out, '}');
    promtext_number(number, value);
    buf_put_u8(text->out, ' ');
    promtext_text(text->out, number);
    buf_put_u8(text->out, '\n');
}

void promtext_put(
    struct promtext *text, const struct promtext_label labels[PROMTEXT_LABELS_MAX], double value)
{
    promtext_sample(text, "", labels, PROMTEXT_LABELS_MAX, value);
}

void promtext_put_histogram(struct promtext *text, struct promtext_label label,
    const double *bounds, const double *counts, size_t bound_count, double sum)
{
    double total = 0;
    for (size_t i = 0; i <= bound_count; i++) {
        char bound[PROMTEXT_NUMBER_SIZE];
        promtext_number(bound, i < bound_count ? bounds[i] : (double)INFINITY);
        const struct promtext_label labels[] = {label, {"le", bound}};
        total += counts[i];
        promtext_sample(text, "_bucket", labels, 2, total);
    }
    promtext_sample(text, "_sum", &label, 1, sum);
    promtext_sample(text, "_count", &label, 1, total);
}
