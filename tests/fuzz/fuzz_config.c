// The configuration's reader against any bytes: YAML trees, the table of keys with what hangs on
// it, URLs, addresses, references, amounts. Files that it names are not read: keys that name them
// are passed over.
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/core/alloc.h"
#include "lib/core/config.h"
#include "lib/core/config_tree.h"
#include "lib/core/config_value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool right)
{
    if (!right)
        abort();
}

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
    config_webhook_check(text);
    config_amount_parse(text, &amount);
    config_duration_parse(text, &duration_us);
}

// Whether the configuration names other files to read.
static bool names_files(const struct config_node *node)
{
    if (node->key != NULL &&
        (strcmp(node->key, "include") == 0 || strcmp(node->key, "password_file") == 0))
        return true;
    for (size_t i = 0; i < node->count; i++) {
        if (names_files(node->children[i]))
            return true;
    }
    return false;
}

// What a configuration promises to those who use it.
static void check_config(const struct config *config, bool has_secrets)
{
    check(config->node != NULL && config->runtime != NULL && config->http.listen != NULL);
    check(config->storage.volume_count > 0);
    for (size_t i = 0; i < config->storage.volume_count; i++)
        check(*config->storage.volumes[i].path == '/');
    for (size_t i = 0; i < config->stream_count; i++) {
        const struct config_stream *stream = &config->streams[i];
        check(config_name_valid(stream->camera) && config_name_valid(stream->name));
        check((stream->url != NULL) == has_secrets);
        check(config_stream_find(config, stream->camera, stream->name) == stream);
        check(stream->recording.segment_us > 0 && stream->recording.timeout_us > 0);
    }
}

static void fuzz_load(const uint8_t *data, size_t size, unsigned flags)
{
    static char file[32];
    static int fd = -1;
    if (fd < 0) {
        fd = memfd_create("fuzz", MFD_CLOEXEC);
        snprintf(file, sizeof(file), "/proc/self/fd/%d", fd);
    }
    check(fd >= 0 && ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
    const struct config_source source = {.file = file, .flags = flags};
    char *cause = NULL;
    struct config *config = config_load(&source, &cause);
    check((config == NULL) == (cause != NULL));
    if (config != NULL)
        check_config(config, flags & CONFIG_SECRETS);
    free(cause);
    config_free(config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *cause = NULL;
    struct config_node *tree = config_tree_parse("fuzz", (const char *)data, size, &cause);
    check((tree == NULL) == (cause != NULL));
    if (tree != NULL && !names_files(tree))
        fuzz_load(data, size, size & 1 ? CONFIG_SECRETS : 0);
    config_tree_free(tree);
    free(cause);
    char *text = xstrndup((const char *)data, size);
    fuzz_values(text);
    free(text);
    return 0;
}
