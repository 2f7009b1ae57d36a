// RUN.json. See runfile.h.
#include "lib/core/runfile.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "lib/core/alloc.h"
#include "lib/core/fsutil.h"

enum {
    RUNFILE_VERSION = 1,
    RUNFILE_SIZE_MAX = 64 * 1024,
};

void runfile_fini(struct runfile *runfile)
{
    free(runfile->camera);
    free(runfile->stream);
    free(runfile->node);
    free(runfile->reason);
    free(runfile->detail);
    *runfile = (struct runfile){0};
}

static char *runfile_string(const json_t *value)
{
    return json_is_string(value) ? xstrdup(json_string_value(value)) : NULL;
}

int runfile_load(struct runfile *runfile, const char *path, char **cause)
{
    size_t size;
    char *text = fs_read_file(path, RUNFILE_SIZE_MAX, &size, cause);
    if (text == NULL)
        return -1;
    json_error_t error;
    json_t *root = json_loadb(text, size, 0, &error);
    free(text);
    int version;
    const char *camera, *stream, *node;
    json_int_t run, start_us, end_us = 0;
    json_t *end = NULL, *reason = NULL, *detail = NULL;
    if (root == NULL ||
        json_unpack_ex(root, &error, 0, "{s:i, s:s, s:s, s:I, s:s, s:I, s?o, s?o, s?o}", "version",
            &version, "camera", &camera, "stream", &stream, "run", &run, "node", &node, "start_us",
            &start_us, "end_us", &end, "reason", &reason, "detail", &detail) < 0) {
        *cause = xasprintf("%s: not a run file: %s", path, error.text);
        json_decref(root);
        return -1;
    }
    if (version != RUNFILE_VERSION) {
        *cause = xasprintf("%s: version %d is not known to this program", path, version);
        json_decref(root);
        return -1;
    }
    if (json_is_integer(end))
        end_us = json_integer_value(end);
    *runfile = (struct runfile){
        .camera = xstrdup(camera),
        .stream = xstrdup(stream),
        .run = run,
        .node = xstrdup(node),
        .start_us = start_us,
        .end_us = end_us,
        .reason = runfile_string(reason),
        .detail = runfile_string(detail),
    };
    json_decref(root);
    return 0;
}

int runfile_store(const struct runfile *runfile, const char *path, char **cause)
{
    json_t *root = json_pack("{s:i, s:s, s:s, s:I, s:s, s:I, s:o, s:s?, s:s?}", "version",
        RUNFILE_VERSION, "camera", runfile->camera, "stream", runfile->stream, "run",
        (json_int_t)runfile->run, "node", runfile->node, "start_us", (json_int_t)runfile->start_us,
        "end_us", runfile->end_us ? json_integer(runfile->end_us) : json_null(), "reason",
        runfile->reason, "detail", runfile->detail);
    if (root == NULL) {
        *cause = xasprintf("%s: the run file holds text that is not UTF-8", path);
        return -1;
    }
    char *text = json_dumps(root, JSON_COMPACT);
    json_decref(root);
    int result = fs_write_file(path, text, strlen(text), 0640, cause);
    free(text);
    return result;
}
