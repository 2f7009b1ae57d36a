// Single values of the configuration as text. See config_value.h.
#include "lib/core/config_value.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>

#include "lib/core/alloc.h"
#include "lib/core/buf.h"
#include "lib/core/percent.h"

struct config_unit {
    const char *name;
    int64_t factor;
};

// Ascending; the formatter takes the largest that fits evenly.
static const struct config_unit config_duration_units[] = {
    {"ms", 1000},
    {"s", US_PER_SECOND},
    {"m", 60 * US_PER_SECOND},
    {"h", 3600 * US_PER_SECOND},
    {"d", US_PER_DAY},
    {NULL, 0},
};

static const struct config_unit config_size_units[] = {
    {"B", 1},
    {"KiB", INT64_C(1) << 10},
    {"MiB", INT64_C(1) << 20},
    {"GiB", INT64_C(1) << 30},
    {"TiB", INT64_C(1) << 40},
    {NULL, 0},
};

static const char *config_digits_parse(const char *text, int64_t *number)
{
    *number = 0;
    if (!isdigit((unsigned char)*text))
        return NULL;
    for (; isdigit((unsigned char)*text); text++) {
        if (__builtin_mul_overflow(*number, 10, number) ||
            __builtin_add_overflow(*number, *text - '0', number))
            return NULL;
    }
    return text;
}

static bool config_number_parse(const char *text, const struct config_unit *units, int64_t *value)
{
    int64_t number;
    const char *unit = config_digits_parse(text, &number);
    if (unit == NULL)
        return false;
    if (*unit == '\0' && number == 0) {
        *value = 0;
        return true;
    }
    for (; units->name != NULL; units++) {
        if (strcmp(unit, units->name) == 0)
            return !__builtin_mul_overflow(number, units->factor, value);
    }
    return false;
}

static void config_number_format(
    int64_t value, const struct config_unit *units, char text[TIME_TEXT_SIZE])
{
    const struct config_unit *best = units;
    for (; units->name != NULL; units++) {
        if (value % units->factor == 0)
            best = units;
    }
    if (value == 0)
        snprintf(text, TIME_TEXT_SIZE, "0");
    else
        snprintf(text, TIME_TEXT_SIZE, "%" PRId64 "%s", value / best->factor, best->name);
}

bool config_duration_parse(const char *text, int64_t *duration_us)
{
    return config_number_parse(text, config_duration_units, duration_us);
}

void config_duration_format(int64_t duration_us, char text[TIME_TEXT_SIZE])
{
    config_number_format(duration_us, config_duration_units, text);
}

bool config_amount_parse(const char *text, struct config_amount *amount)
{
    int64_t number;
    const char *rest = config_digits_parse(text, &number);
    amount->is_percent = rest != NULL && strcmp(rest, "%") == 0;
    if (amount->is_percent) {
        amount->value = number;
        return number <= 99;
    }
    return config_number_parse(text, config_size_units, &amount->value);
}

bool config_bool_parse(const char *text, bool *value)
{
    static const char *const words[][2] = {{"false", "true"}, {"no", "yes"}, {"off", "on"}};
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++) {
        for (int truth = 0; truth < 2; truth++) {
            if (strcasecmp(text, words[i][truth]) == 0) {
                *value = truth;
                return true;
            }
        }
    }
    return false;
}

bool config_name_valid(const char *name)
{
    size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-");
    return length > 0 && length <= 63 && name[length] == '\0' && isalnum((unsigned char)*name);
}

bool config_has_control(const char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return true;
    }
    return false;
}

static const char *config_environment(const char *name, char **reason)
{
    const char *value = getenv(name);
    if (value == NULL) {
        *reason = xasprintf("the environment variable %s is not set", name);
        return NULL;
    }
    json_t *string = json_string(value);
    bool is_utf8 = string != NULL;
    json_decref(string);
    if (is_utf8)
        return value;
    *reason = xasprintf("the environment variable %s is not UTF-8 text", name);
    return NULL;
}

// Appends what stands for the reference that `text` begins with. Returns the text behind it, or
// NULL with *reason set.
static const char *config_expand_one(struct buf *out, const char *text, char **reason)
{
    const char *name = text + 2;
    size_t length = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
    if (length == 0 || name[length] != '}' || isdigit((unsigned char)*name)) {
        *reason = xstrdup("${ must be followed by a variable's name and }; "
                          "$${ stands for a literal ${");
        return NULL;
    }
    char *copy = xstrndup(name, length);
    const char *value = config_environment(copy, reason);
    free(copy);
    if (value == NULL)
        return NULL;
    buf_put(out, value, strlen(value));
    return name + length + 1;
}

char *config_expand(const char *text, char **reason)
{
    struct buf out = BUF_INIT;
    while (text != NULL && *text != '\0') {
        if (strncmp(text, "$${", 3) == 0) {
            buf_put(&out, "${", 2);
            text += 3;
        } else if (strncmp(text, "${", 2) == 0) {
            text = config_expand_one(&out, text, reason);
        } else {
            buf_put_u8(&out, (uint8_t)*text++);
        }
    }
    if (text == NULL) {
        buf_fini(&out);
        return NULL;
    }
    return buf_string(&out);
}

// Whether the text is a numeric loopback address; IPv6 stands without brackets.
static bool config_is_loopback(const char *address, bool *is_address)
{
    struct in_addr v4;
    struct in6_addr v6;
    *is_address = true;
    if (inet_pton(AF_INET, address, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    if (inet_pton(AF_INET6, address, &v6) == 1)
        return IN6_IS_ADDR_LOOPBACK(&v6);
    *is_address = false;
    return false;
}

char *config_listen_parse(const char *text, char **reason)
{
    char *listen = NULL, *address = NULL;
    const char *colon = strrchr(text, ':');
    int64_t port = 0;
    const char *rest = colon ? config_digits_parse(colon + 1, &port) : NULL;
    if (rest == NULL || *rest != '\0' || port > 65535) {
        *reason = xstrdup("an address and a port up to 65535 are needed, as 127.0.0.1:8080");
        return NULL;
    }
    size_t length = (size_t)(colon - text);
    bool has_brackets = length >= 2 && text[0] == '[' && text[length - 1] == ']';
    address = has_brackets ? xstrndup(text + 1, length - 2) : xstrndup(text, length);
    if (strcmp(address, "localhost") == 0) {
        free(address);
        address = xstrdup("127.0.0.1");
    }
    bool is_address;
    bool is_loopback = config_is_loopback(address, &is_address);
    if (!is_address || has_brackets != (strchr(address, ':') != NULL))
        *reason = xstrdup("the address must be a numeric one, as 127.0.0.1:8080 or [::1]:8080");
    else if (!is_loopback)
        *reason = xasprintf(
            "%s is not allowed: only a loopback address is (127.0.0.1 or [::1]), because this "
            "version knows no users and whoever reaches the port may see everything",
            text);
    else
        listen = xasprintf(has_brackets ? "[%s]:%d" : "%s:%d", address, (int)port);
    free(address);
    return listen;
}

char *config_origin_parse(const char *text)
{
    static const struct {
        const char *scheme;
        int64_t port;
    } schemes[] = {{"http://", 80}, {"https://", 443}};
    size_t kind = strncasecmp(text, schemes[0].scheme, strlen(schemes[0].scheme)) == 0 ? 0 : 1;
    size_t length = strlen(schemes[kind].scheme);
    if (strncasecmp(text, schemes[kind].scheme, length) != 0)
        return NULL;
    const char *host = text + length;
    size_t host_length = *host == '[' ? strspn(host + 1, "0123456789abcdefABCDEF:.") + 2
                                      : strspn(host, "0123456789abcdefghijklmnopqrstuvwxyz"
                                                     "ABCDEFGHIJKLMNOPQRSTUVWXYZ-._");
    if (host_length == 0 || host_length > 255 || host_length > strlen(host) ||
        (*host == '[' && (host_length == 2 || host[host_length - 1] != ']')))
        return NULL;
    const char *rest = host + host_length;
    int64_t port = schemes[kind].port;
    if (*rest == ':')
        rest = config_digits_parse(rest + 1, &port);
    if (rest == NULL || *rest != '\0' || port < 1 || port > 65535)
        return NULL;
    char *name = xstrndup(host, host_length);
    char *origin = port == schemes[kind].port
                       ? xasprintf("%s%s", schemes[kind].scheme, name)
                       : xasprintf("%s%s:%d", schemes[kind].scheme, name, (int)port);
    free(name);
    for (char *at = origin; *at != '\0'; at++)
        *at = (char)tolower((unsigned char)*at);
    return origin;
}

// Decodes `length` percent-encoded bytes. Returns NULL for a broken escape or one of a NUL.
static char *config_percent_decode(const char *text, size_t length)
{
    struct buf out = BUF_INIT;
    for (size_t i = 0; i < length; i++) {
        if (text[i] != '%') {
            buf_put_u8(&out, (uint8_t)text[i]);
            continue;
        }
        int byte = percent_byte(text + i, length - i);
        if (byte <= 0) {
            buf_fini(&out);
            return NULL;
        }
        buf_put_u8(&out, (uint8_t)byte);
        i += 2;
    }
    return buf_string(&out);
}

static const char *config_host_check(const char *host, size_t length)
{
    const char *port = NULL;
    size_t name_length = length;
    if (length > 0 && *host == '[') {
        const char *end = memchr(host, ']', length);
        if (end == NULL)
            return "the ] behind the address is missing";
        name_length = (size_t)(end - host) + 1;
        if (name_length < length && *(end + 1) != ':')
            return "a port must follow the ] behind the address, or nothing";
    } else {
        const char *colon = memchr(host, ':', length);
        name_length = colon ? (size_t)(colon - host) : length;
    }
    if (name_length == 0)
        return "the address behind the // is missing";
    if (name_length == length)
        return NULL;
    port = host + name_length + 1;
    int64_t number = 0;
    const char *rest = config_digits_parse(port, &number);
    if (rest != host + length || number < 1 || number > 65535)
        return "the port is not a number from 1 to 65535 (in a user name or password the "
               "characters / ? # @ : and % must be percent-encoded, or use username: and "
               "password:)";
    return NULL;
}

const char *config_webhook_check(const char *text)
{
    size_t scheme_length = strncasecmp(text, "http://", 7) == 0    ? 7
                           : strncasecmp(text, "https://", 8) == 0 ? 8
                                                                   : 0;
    if (scheme_length == 0)
        return "must begin with http:// or https://";
    const char *authority = text + scheme_length;
    size_t length = strcspn(authority, "/?#");
    const char *at = memrchr(authority, '@', length);
    const char *host = at ? at + 1 : authority;
    if (strchr(text, ' ') != NULL)
        return "a space must be written as %20";
    return config_host_check(host, length - (size_t)(host - authority));
}

static const char *config_userinfo_parse(const char *text, size_t length, struct config_url *url)
{
    const char *colon = memchr(text, ':', length);
    size_t username_length = colon ? (size_t)(colon - text) : length;
    url->username = config_percent_decode(text, username_length);
    if (colon != NULL)
        url->password = config_percent_decode(colon + 1, length - username_length - 1);
    if (url->username == NULL || (colon != NULL && url->password == NULL))
        return "a % in the user name or password must be followed by two hexadecimal digits "
               "(%25 stands for %)";
    if (*url->username == '\0')
        return "the user name before the @ is empty";
    if (config_has_control(url->username) || (url->password && config_has_control(url->password)))
        return "control characters are not allowed";
    return NULL;
}

int config_url_parse(const char *text, struct config_url *url, const char **reason)
{
    *url = (struct config_url){0};
    size_t scheme_length = strncasecmp(text, "rtsp://", 7) == 0    ? 7
                           : strncasecmp(text, "rtsps://", 8) == 0 ? 8
                                                                   : 0;
    if (scheme_length == 0) {
        *reason = "must begin with rtsp:// or rtsps://";
        return -1;
    }
    const char *authority = text + scheme_length;
    size_t length = strcspn(authority, "/?#");
    const char *at = memrchr(authority, '@', length);
    *reason = at ? config_userinfo_parse(authority, (size_t)(at - authority), url) : NULL;
    const char *host = at ? at + 1 : authority;
    if (*reason == NULL)
        *reason = config_host_check(host, length - (size_t)(host - authority));
    if (*reason == NULL && strchr(host, ' ') != NULL)
        *reason = "a space must be written as %20";
    if (*reason != NULL) {
        config_url_fini(url);
        return -1;
    }
    url->url = xasprintf("%s%s", scheme_length == 7 ? "rtsp://" : "rtsps://", host);
    return 0;
}

void config_url_fini(struct config_url *url)
{
    free(url->url);
    free(url->username);
    free(url->password);
    *url = (struct config_url){0};
}
