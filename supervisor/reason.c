// Why a run ended. See reason.h.
#include "supervisor/reason.h"

#include <stddef.h>

static const struct {
    const char *name;
    enum reason_kind kind;
} reason_table[REASON_COUNT] = {
#define X(constant, text, what) [constant] = {.name = (text), .kind = (what)},
    REASON_MAP(X)
#undef X
};

const char *reason_name(enum reason reason)
{
    return reason_table[reason].name;
}

bool reason_is_planned(enum reason reason)
{
    return reason_table[reason].kind == REASON_PLANNED;
}
