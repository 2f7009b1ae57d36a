// SHA-256 of a file. See hash.h.
#include "indexer/hash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "lib/core/alloc.h"

enum {
    HASH_PIECE = 256 * 1024,
};

static int hash_read(int fd, EVP_MD_CTX *context, char **cause)
{
    uint8_t *piece = xmalloc(HASH_PIECE);
    ssize_t count;
    off_t offset = 0;
    while ((count = pread(fd, piece, HASH_PIECE, offset)) != 0) {
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0 || EVP_DigestUpdate(context, piece, (size_t)count) != 1)
            break;
        offset += count;
    }
    if (count < 0)
        *cause = xasprintf("it can not be read: %s", strerror(errno));
    else if (count > 0)
        *cause = xstrdup("libcrypto refuses to go on");
    free(piece);
    return count == 0 ? 0 : -1;
}

int hash_file(int fd, uint8_t hash[HASH_SIZE], char **cause)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    int result = -1;
    if (context == NULL || EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1)
        *cause = xstrdup("libcrypto has no SHA-256 here");
    else
        result = hash_read(fd, context, cause);
    if (result == 0 && EVP_DigestFinal_ex(context, hash, NULL) != 1) {
        *cause = xstrdup("libcrypto can not finish");
        result = -1;
    }
    EVP_MD_CTX_free(context);
    return result;
}
