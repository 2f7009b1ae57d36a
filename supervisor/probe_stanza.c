// The piece of configuration. See probe_stanza.h.
#include "supervisor/probe_stanza.h"

#include <ctype.h>
#include <string.h>

#include "lib/core/alloc.h"

enum {
    PROBE_STANZA_NAME_MAX = 63,
};

// Whether YAML takes the text for a string as it stands, whichever of its versions reads it.
static bool probe_stanza_is_plain(const char *text)
{
    static const char *const words[] = {
        "true", "false", "yes", "no", "on", "off", "y", "n", "null"};
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                "-_./:?=&%+~@";
    size_t length = strlen(text);
    if (length == 0 || text[strspn(text, plain)] != '\0' || text[length - 1] == ':' ||
        !(isalpha((unsigned char)text[0]) || text[0] == '/'))
        return false;
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++) {
        if (strcasecmp(text, words[i]) == 0)
            return false;
    }
    return true;
}

void probe_stanza_put_scalar(struct buf *out, const char *text)
{
    if (probe_stanza_is_plain(text)) {
        buf_printf(out, "%s", text);
        return;
    }
    buf_put_u8(out, '\'');
    for (; *text != '\0'; text++) {
        if (*text == '\'')
            buf_put_u8(out, '\'');
        // "${NAME}" would be looked up in the environment.
        if (text[0] == '$' && text[1] == '{')
            buf_put_u8(out, '$');
        buf_put_u8(out, (uint8_t)*text);
    }
    buf_put_u8(out, '\'');
}

// A name that a camera may have, from the host of its address: "camera-192-0-2-10".
static void probe_stanza_name(const char *url, char name[PROBE_STANZA_NAME_MAX + 1])
{
    static const char head[] = "camera-";
    const char *host = strstr(url, "://");
    host = host ? host + 3 : url;
    size_t length = strcspn(host, "/?#"), used = sizeof(head) - 1;
    if (*host == '[') {
        length = strcspn(host, "]");
        host++;
        length--;
    } else if (memchr(host, ':', length) != NULL) {
        length = strcspn(host, ":");
    }
    memcpy(name, head, used);
    for (size_t i = 0; i < length && used < PROBE_STANZA_NAME_MAX; i++) {
        unsigned char byte = (unsigned char)host[i];
        name[used++] = isalnum(byte) && byte < 0x80 ? (char)tolower(byte) : '-';
    }
    name[used] = '\0';
}

void probe_stanza_put(struct buf *out, const struct probe_stanza *stanza)
{
    char name[PROBE_STANZA_NAME_MAX + 1];
    const char *camera = stanza->camera ? stanza->camera : name;
    const char *indent = "    ";
    probe_stanza_name(stanza->url, name);
    buf_printf(out, "cameras:\n  %s:\n", camera);
    if (stanza->stream != NULL && strcmp(stanza->stream, "main") != 0) {
        buf_printf(out, "    streams:\n      %s:\n", stanza->stream);
        indent = "        ";
    }
    buf_printf(out, "%surl: ", indent);
    probe_stanza_put_scalar(out, stanza->url);
    if (stanza->username != NULL) {
        buf_printf(out, "\n%susername: ", indent);
        probe_stanza_put_scalar(out, stanza->username);
    }
    if (stanza->has_password) {
        buf_printf(out, "\n%spassword_file: ", indent);
        if (stanza->password_file != NULL)
            probe_stanza_put_scalar(out, stanza->password_file);
        else
            buf_printf(out, "/etc/keepframe/%s.secret", camera);
    }
    if (stanza->transport != NULL)
        buf_printf(out, "\n%stransport: %s", indent, stanza->transport);
    buf_put_u8(out, '\n');
}
