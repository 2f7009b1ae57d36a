// Takes secrets out of text. See mask.h.
#include "supervisor/mask.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/buf.h"
#include "lib/core/percent.h"

enum {
    MASK_SECRET_LENGTH_MIN = 4,
};

#define MASK_URL_END " \t\r\n'\"<>"

struct mask_secret {
    char *bytes; // decoded
    size_t size;
    bool is_query; // a value of the URL's query
};

struct mask {
    struct mask_secret *secrets;
    size_t count, capacity;
};

// Where in a text we are.
struct mask_place {
    size_t url_left; // bytes up to the end of the URL that we are in
    bool in_query;   // of that URL
    bool at_value;   // a value of the query can begin here
    char before;     // the byte before, '\0' at the start
};

// --- What is secret ---

static void mask_add(struct mask *mask, const char *text, size_t length, bool is_query)
{
    struct buf bytes = BUF_INIT;
    for (size_t i = 0; i < length; i++) {
        int byte = is_query ? percent_byte(text + i, length - i) : -1;
        buf_put_u8(&bytes, byte >= 0 ? (uint8_t)byte : (uint8_t)text[i]);
        i += byte >= 0 ? 2 : 0;
    }
    if (bytes.size == 0) {
        buf_fini(&bytes);
        return;
    }
    struct mask_secret secret = {.is_query = is_query};
    secret.bytes = (char *)buf_take(&bytes, &secret.size);
    ARRAY_RESERVE(mask->secrets, mask->count, mask->capacity);
    mask->secrets[mask->count++] = secret;
}

static void mask_add_query(struct mask *mask, const char *url)
{
    const char *item = strchr(url, '?');
    while (item != NULL && *item != '\0' && *item != '#') {
        item++; // the '?' or '&'
        size_t length = strcspn(item, "&;#");
        const char *equals = memchr(item, '=', length);
        const char *value = equals ? equals + 1 : item;
        mask_add(mask, value, length - (size_t)(value - item), true);
        item += length;
    }
}

// Some cameras take the password in the path: "/user=admin&password=geheim&channel=1", and the same
// with '_' between.
static void mask_add_path(struct mask *mask, const char *url)
{
    static const char key[] = "password=";
    const char *authority = strstr(url, "://");
    const char *value = authority ? strcasestr(authority + 3, key) : NULL;
    if (value == NULL)
        return;
    value += strlen(key);
    size_t length = strcspn(value, "&;/?#");
    const char *next = memchr(value, '=', length);
    const char *end = next ? memrchr(value, '_', (size_t)(next - value)) : NULL;
    mask_add(mask, value, end ? (size_t)(end - value) : length, false);
}

struct mask *mask_new(const char *url, const char *password)
{
    struct mask *mask = xcalloc(1, sizeof(*mask));
    if (password != NULL)
        mask_add(mask, password, strlen(password), false);
    if (url != NULL) {
        mask_add_query(mask, url);
        mask_add_path(mask, url);
    }
    return mask;
}

void mask_free(struct mask *mask)
{
    if (mask == NULL)
        return;
    for (size_t i = 0; i < mask->count; i++)
        free(mask->secrets[i].bytes);
    free(mask->secrets);
    free(mask);
}

// --- Where it appears ---

// How many bytes at `text` stand for `byte`: 1 raw, 3 percent-encoded, 4 as a quote inside the
// quotes of a script, 0 for none of them.
static size_t mask_match_byte(const char *text, char byte)
{
    if (percent_byte(text, strnlen(text, 3)) == (unsigned char)byte)
        return 3;
    if (byte == '\'' && strncmp(text, "'\\''", 4) == 0)
        return 4;
    return *text != '\0' && *text == byte ? 1 : 0;
}

// How many bytes at `text` are the secret; 0 when they are not.
static size_t mask_match(const char *text, const struct mask_secret *secret)
{
    size_t length = 0;
    for (size_t i = 0; i < secret->size; i++) {
        size_t step = mask_match_byte(text + length, secret->bytes[i]);
        if (step == 0)
            return 0;
        length += step;
    }
    return length;
}

static bool mask_is_wanted(const struct mask_secret *secret, const struct mask_place *place)
{
    bool is_long = secret->size >= MASK_SECRET_LENGTH_MIN;
    if (!secret->is_query)
        return is_long;
    if (place->url_left > 0)
        return place->in_query && (is_long || place->at_value);
    return is_long && place->before != '/';
}

// The length of the longest secret at `text`, or 0.
static size_t mask_find(const struct mask *mask, const char *text, const struct mask_place *place)
{
    size_t longest = 0;
    for (size_t i = 0; mask != NULL && i < mask->count; i++) {
        if (!mask_is_wanted(&mask->secrets[i], place))
            continue;
        size_t length = mask_match(text, &mask->secrets[i]);
        longest = length > longest ? length : longest;
    }
    return longest;
}

// The length of the user information and its '@' behind a "://", or 0.
static size_t mask_userinfo(const char *text)
{
    // A password may hold a raw '/', '?' or '#' although it should not: all up to the last '@'
    // before a blank or a quote counts.
    size_t length = strcspn(text, MASK_URL_END);
    const char *at = memrchr(text, '@', length);
    return at ? (size_t)(at - text) + 1 : 0;
}

// Moves on by `length` bytes of the text, the last of which is `last`.
static void mask_move(struct mask_place *place, size_t length, char last)
{
    place->url_left -= length < place->url_left ? length : place->url_left;
    place->in_query = place->url_left > 0 && (place->in_query || last == '?');
    place->at_value = place->in_query && strchr("?&;=", last) != NULL;
    place->before = last;
}

char *mask_text(const char *text, const struct mask *mask)
{
    struct buf out = BUF_INIT;
    struct mask_place place = {0};
    while (*text != '\0') {
        size_t length = mask_find(mask, text, &place);
        if (length > 0) {
            buf_put(&out, "***", 3);
            text += length;
            mask_move(&place, length, '*');
        } else if (strncmp(text, "://", 3) == 0) {
            length = mask_userinfo(text + 3);
            buf_printf(&out, "://%s", length > 0 ? "***@" : "");
            text += 3 + length;
            place = (struct mask_place){.url_left = strcspn(text, MASK_URL_END), .before = '/'};
        } else {
            mask_move(&place, 1, *text);
            buf_put_u8(&out, (uint8_t)*text++);
        }
    }
    return buf_string(&out);
}

// --- Over an exec of ours ---

json_t *mask_hand_over(const struct mask *mask)
{
    json_t *list = json_array();
    for (size_t i = 0; mask != NULL && i < mask->count; i++) {
        const struct mask_secret *secret = &mask->secrets[i];
        json_array_append_new(
            list, json_pack("{s:o, s:b}", "bytes", handover_bytes(secret->bytes, secret->size),
                      "is_query", secret->is_query));
    }
    return list;
}

struct mask *mask_take_over(struct handover_reader *reader, json_t *list)
{
    struct mask *mask = xcalloc(1, sizeof(*mask));
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *object = json_array_get(list, i);
        struct mask_secret secret = {0};
        secret.bytes = handover_take_bytes(reader, object, "bytes", SIZE_MAX, &secret.size);
        secret.is_query = handover_take_bool(reader, object, "is_query");
        handover_end(reader, object);
        ARRAY_RESERVE(mask->secrets, mask->count, mask->capacity);
        mask->secrets[mask->count++] = secret;
    }
    return mask;
}
