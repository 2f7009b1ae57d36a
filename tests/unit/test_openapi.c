// links: kf-webui
// docs/openapi.yaml against the table of routes: each path, method and query parameter stands in
// both. The file is written plainly, so it is read line by line: a path at two spaces, a method at
// four, a parameter at eight.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "webui/route.h"

enum {
    OPERATIONS_MAX = 128,
    NAMES_MAX = 16,
    NAME_SIZE = 96,
};

struct operation {
    char path[NAME_SIZE];
    char method[NAME_SIZE]; // "GET"
    char names[NAMES_MAX][NAME_SIZE];
    bool required[NAMES_MAX];
    size_t name_count;
};

static struct operation operations[OPERATIONS_MAX];
static size_t operation_count;

static void take_parameter(struct operation *operation, const char *line)
{
    if (strstr(line, "in: query") == NULL)
        return;
    assert_true(operation->name_count < NAMES_MAX);
    assert_int_equal(
        sscanf(line, " - {name: %95[A-Za-z_],", operation->names[operation->name_count]), 1);
    operation->required[operation->name_count++] = strstr(line, "required: true") != NULL;
}

static void take_line(const char *line, char path[NAME_SIZE])
{
    char word[NAME_SIZE];
    if (strncmp(line, "  /", 3) == 0) {
        assert_int_equal(sscanf(line, "  %95[^:\n]:", path), 1);
    } else if (strncmp(line, "    ", 4) == 0 && line[4] != ' ' && path[0] &&
               sscanf(line, "    %95[a-z]:", word) == 1) {
        assert_true(operation_count < OPERATIONS_MAX);
        struct operation *operation = &operations[operation_count++];
        snprintf(operation->path, NAME_SIZE, "%s", path);
        for (size_t i = 0; word[i] != '\0'; i++)
            word[i] = (char)(word[i] - 'a' + 'A');
        memcpy(operation->method, word, NAME_SIZE);
    } else if (strncmp(line, "        - {name:", 16) == 0) {
        take_parameter(&operations[operation_count - 1], line);
    }
}

static int file_read(void **state)
{
    (void)state;
    FILE *file = fopen(SOURCE_DIR "/docs/openapi.yaml", "r");
    assert_non_null(file);
    char line[1024], path[NAME_SIZE] = "";
    bool in_paths = false;
    while (fgets(line, sizeof(line), file) != NULL) {
        if (line[0] != ' ' && line[0] != '#')
            in_paths = strncmp(line, "paths:", 6) == 0;
        else if (in_paths)
            take_line(line, path);
    }
    fclose(file);
    return 0;
}

static const struct operation *find_operation(const char *path, const char *method)
{
    for (size_t i = 0; i < operation_count; i++)
        if (strcmp(operations[i].path, path) == 0 && strcmp(operations[i].method, method) == 0)
            return &operations[i];
    return NULL;
}

static const struct route *find_route(const char *pattern)
{
    for (const struct route *route = route_table; route->pattern != NULL; route++)
        if (strcmp(route->pattern, pattern) == 0)
            return route;
    return NULL;
}

static void compare_parameters(const struct operation *operation, const struct query_rule *rules)
{
    size_t count = 0;
    for (; rules[count].name != NULL; count++) {
        size_t i = 0;
        while (i < operation->name_count && strcmp(operation->names[i], rules[count].name) != 0)
            i++;
        if (i == operation->name_count || operation->required[i] != rules[count].required)
            fail_msg("%s: parameter %s is missing, or not as needed as it is", operation->path,
                rules[count].name);
    }
    if (count != operation->name_count)
        fail_msg("%s: there is a parameter that the route does not know", operation->path);
}

static void every_route_is_described(void **state)
{
    (void)state;
    static const struct query_rule none[] = {{0}};
    for (const struct route *route = route_table; route->pattern != NULL; route++) {
        if (strncmp(route->pattern, "/static/", 8) == 0)
            continue;
        const struct operation *operation = find_operation(route->pattern, "GET");
        if ((operation != NULL) != (route->handle != NULL))
            fail_msg("%s: GET is described, or answered, but not both", route->pattern);
        if (operation != NULL)
            compare_parameters(operation, route->rules);
        for (size_t i = 0; i < ROUTE_WRITES_MAX && route->writes[i].method != NULL; i++) {
            operation = find_operation(route->pattern, route->writes[i].method);
            if (operation == NULL)
                fail_msg("%s: %s is not described", route->pattern, route->writes[i].method);
            compare_parameters(operation, none);
        }
    }
}

static void nothing_else_is_described(void **state)
{
    (void)state;
    assert_true(operation_count > 20);
    for (size_t i = 0; i < operation_count; i++) {
        struct request request = {.route = find_route(operations[i].path)};
        char known[ROUTE_METHODS_SIZE];
        if (request.route == NULL || !route_find_method(&request, operations[i].method, known))
            fail_msg("%s %s has no route", operations[i].method, operations[i].path);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_route_is_described),
        cmocka_unit_test(nothing_else_is_described),
    };
    return cmocka_run_group_tests(tests, file_read, NULL);
}
