// Which streams a command has disabled. See disabled.h.
#include "supervisor/disabled.h"

#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"

// How "CAMERA/STREAM" stands to a name of the list, as strcmp(3) says it.
static int disabled_compare(const char *camera, const char *stream, const char *name)
{
    size_t length = strlen(camera);
    int order = strncmp(camera, name, length);
    if (order != 0)
        return order;
    return name[length] == '/' ? strcmp(stream, name + length + 1) : '/' - name[length];
}

// The place of the first name that does not stand before that stream.
static size_t disabled_place(
    const struct disabled *disabled, const char *camera, const char *stream, bool *is_there)
{
    size_t low = 0, high = disabled->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (disabled_compare(camera, stream, disabled->names[middle]) > 0)
            low = middle + 1;
        else
            high = middle;
    }
    *is_there =
        low < disabled->count && disabled_compare(camera, stream, disabled->names[low]) == 0;
    return low;
}

bool disabled_has(const struct disabled *disabled, const char *camera, const char *stream)
{
    bool is_there;
    disabled_place(disabled, camera, stream, &is_there);
    return is_there;
}

bool disabled_set(
    struct disabled *disabled, const char *camera, const char *stream, bool is_disabled)
{
    bool is_there;
    size_t place = disabled_place(disabled, camera, stream, &is_there);
    if (is_there == is_disabled)
        return false;
    if (is_disabled)
        ARRAY_RESERVE(disabled->names, disabled->count, disabled->capacity);
    else
        free(disabled->names[place]);
    char **at = &disabled->names[place];
    size_t behind = disabled->count - place;
    if (is_disabled) {
        memmove(at + 1, at, behind * sizeof(*at));
        *at = xasprintf("%s/%s", camera, stream);
        disabled->count++;
    } else {
        memmove(at, at + 1, (behind - 1) * sizeof(*at));
        disabled->count--;
    }
    return true;
}

void disabled_fini(struct disabled *disabled)
{
    for (size_t i = 0; i < disabled->count; i++)
        free(disabled->names[i]);
    free(disabled->names);
    *disabled = (struct disabled){0};
}

json_t *disabled_hand_over(const struct disabled *disabled)
{
    json_t *list = json_array();
    for (size_t i = 0; i < disabled->count; i++)
        json_array_append_new(list, json_string(disabled->names[i]));
    return list;
}

void disabled_take_over(struct handover_reader *reader, json_t *list, struct disabled *disabled)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *name = json_string_value(json_array_get(list, i));
        const char *slash = name ? strchr(name, '/') : NULL;
        if (slash == NULL) {
            handover_fail(reader, "the state has a disabled stream without a name");
            return;
        }
        char *camera = xstrndup(name, (size_t)(slash - name));
        disabled_set(disabled, camera, slash + 1, true);
        free(camera);
    }
}
