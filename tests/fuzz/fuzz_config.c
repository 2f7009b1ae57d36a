// The configuration's reader against any bytes: YAML trees, URLs, addresses, references, amounts.
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/config_tree.h"
#include "lib/core/config_value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_values(const char *text)
{
    struct config_url url;
    struct config_amount amount;
    const char *reason;
    char *cause = NULL;
    int64_t duration_us;
    if (config_url_parse(text, &url, &reason) == 0)
        config_url_fini(&url);
    free(config_listen_parse(text, &cause));
    free(cause);
    cause = NULL;
    free(config_expand(text, &cause));
    free(cause);
    config_amount_parse(text, &amount);
    config_duration_parse(text, &duration_us);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *cause = NULL;
    struct config_node *tree = config_tree_parse("fuzz", (const char *)data, size, &cause);
    if ((tree == NULL) == (cause == NULL))
        abort(); // either a tree or a cause
    config_tree_free(tree);
    free(cause);
    char *text = xstrndup((const char *)data, size);
    fuzz_values(text);
    free(text);
    return 0;
}
