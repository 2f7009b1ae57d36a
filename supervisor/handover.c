// What is handed over: the format. See handover.h.
#include "supervisor/handover.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/core/alloc.h"
#include "lib/core/buf.h"
#include "lib/core/timeutil.h"

enum {
    HANDOVER_SIZE_MAX = 1 << 30,
    HANDOVER_SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE,
};

#define HANDOVER_TIMER_MAX_US (7 * 24 * 3600 * US_PER_SECOND)

static const char *const handover_reason_names[REASON_COUNT] = {
#define X(constant, name, kind) [constant] = (name),
    REASON_MAP(X)
#undef X
};

const struct handover_names handover_reasons = {handover_reason_names, REASON_COUNT};

// --- Writing

void handover_writer_fini(struct handover_writer *writer)
{
    free(writer->fds);
    *writer = (struct handover_writer){0};
}

json_t *handover_bytes(const void *bytes, size_t size)
{
    json_t *string = json_stringn(bytes, size);
    if (string != NULL)
        return string;
    struct buf hex = BUF_INIT;
    for (size_t i = 0; i < size; i++)
        buf_printf(&hex, "%02x", ((const uint8_t *)bytes)[i]);
    json_t *object = json_pack("{s:s}", "hex", buf_string(&hex));
    buf_fini(&hex);
    return object;
}

json_t *handover_text(const char *text)
{
    return text ? handover_bytes(text, strlen(text)) : json_null();
}

json_t *handover_fd(struct handover_writer *writer, int fd)
{
    if (fd < 0)
        return json_null();
    ARRAY_RESERVE(writer->fds, writer->fd_count, writer->fd_capacity);
    writer->fds[writer->fd_count++] = fd;
    return json_integer(fd);
}

json_t *handover_timer(struct ev_loop *loop, const ev_timer *timer)
{
    if (!ev_is_active(timer))
        return json_null();
    double left_s = ev_timer_remaining(loop, (ev_timer *)timer);
    return json_integer(left_s > 0 ? (json_int_t)(left_s * US_PER_SECOND) : 0);
}

static json_t *handover_write_numbers(const int64_t *numbers, size_t count)
{
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(array, json_integer(numbers[i]));
    return array;
}

static json_t *handover_write_counts(const struct handover_names *names, const int64_t *counts)
{
    json_t *object = json_object();
    for (size_t i = 0; i < names->count; i++) {
        if (names->names[i] != NULL && counts[i] != 0)
            json_object_set_new(object, names->names[i], json_integer(counts[i]));
    }
    return object;
}

static json_t *handover_write_name(const struct handover_names *names, unsigned value)
{
    const char *name = value < names->count ? names->names[value] : NULL;
    return name ? json_string(name) : json_null();
}

static json_t *handover_write_field(const struct handover_field *field, const void *at)
{
    switch (field->type) {
    case HANDOVER_BOOL:
        return json_boolean(*(const bool *)at);
    case HANDOVER_INT:
        return json_integer(*(const int *)at);
    case HANDOVER_UNSIGNED:
        return json_integer(*(const unsigned *)at);
    case HANDOVER_INT64:
        return json_integer(*(const int64_t *)at);
    case HANDOVER_UINT64:
        return json_integer((json_int_t) * (const uint64_t *)at);
    case HANDOVER_DOUBLE:
        return json_real(isfinite(*(const double *)at) ? *(const double *)at : 0);
    case HANDOVER_TEXT:
        return handover_text(*(char *const *)at);
    case HANDOVER_ENUM:
        return handover_write_name(field->names, *(const unsigned *)at);
    case HANDOVER_INT64S:
        return handover_write_numbers(at, field->size / sizeof(int64_t));
    case HANDOVER_COUNTS:
        return handover_write_counts(field->names, at);
    case HANDOVER_STRUCT:
        return handover_write(field->table, at);
    case HANDOVER_NOTHING:
        break;
    }
    return NULL;
}

json_t *handover_write(const struct handover_table *table, const void *from)
{
    json_t *object = json_object();
    for (size_t i = 0; i < table->count; i++) {
        const struct handover_field *field = &table->fields[i];
        if (field->type != HANDOVER_NOTHING)
            json_object_set_new(object, field->key,
                handover_write_field(field, (const char *)from + field->offset));
    }
    return object;
}

static int handover_write_all(int fd, const char *text, size_t size)
{
    while (size > 0) {
        ssize_t written = write(fd, text, size);
        if (written < 0 && errno != EINTR)
            return -1;
        text += written > 0 ? written : 0;
        size -= written > 0 ? (size_t)written : 0;
    }
    return 0;
}

int handover_store(json_t *root, char **cause)
{
    char *text = json_dumps(root, JSON_COMPACT);
    size_t size = text ? strlen(text) : 0;
    json_decref(root);
    int fd = text ? memfd_create("keepframe-handover", MFD_CLOEXEC | MFD_ALLOW_SEALING) : -1;
    bool is_stored = fd >= 0 && handover_write_all(fd, text, size) == 0 &&
                     fcntl(fd, F_ADD_SEALS, HANDOVER_SEALS) == 0;
    if (!is_stored)
        *cause = xasprintf("the state can not be written: %s", text ? strerror(errno) : "no text");
    if (text != NULL)
        explicit_bzero(text, size);
    free(text);
    if (is_stored)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

void handover_keep_fds(const struct handover_writer *writer, bool keep)
{
    for (size_t i = 0; i < writer->fd_count; i++)
        fcntl(writer->fds[i], F_SETFD, keep ? 0 : FD_CLOEXEC);
}

// --- Reading

static json_t *handover_parse(const char *text, size_t size, char **cause)
{
    json_error_t error;
    json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    json_int_t version = json_integer_value(json_object_get(root, "version"));
    if (root == NULL)
        *cause = xasprintf("the state can not be read: %s", error.text);
    else if (version != HANDOVER_VERSION)
        *cause = xasprintf("the state has the format %" JSON_INTEGER_FORMAT
                           ", and this program knows %d alone",
            version, HANDOVER_VERSION);
    else
        return root;
    json_decref(root);
    return NULL;
}

json_t *handover_load(int fd, char **cause)
{
    struct stat info;
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || (seals & HANDOVER_SEALS) != HANDOVER_SEALS || fstat(fd, &info) < 0 ||
        info.st_size <= 0 || info.st_size > HANDOVER_SIZE_MAX) {
        *cause = xstrdup("there is no sealed state to take over");
        return NULL;
    }
    size_t size = (size_t)info.st_size;
    void *text = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    if (text == MAP_FAILED) {
        *cause = xasprintf("the state can not be read: %s", strerror(errno));
        return NULL;
    }
    json_t *root = handover_parse(text, size, cause);
    munmap(text, size);
    return root;
}

void handover_reader_init(struct handover_reader *reader, bool is_trial)
{
    *reader = (struct handover_reader){.is_trial = is_trial, .taken = json_array()};
}

void handover_reader_fini(struct handover_reader *reader)
{
    json_decref(reader->taken);
    free(reader->cause);
    *reader = (struct handover_reader){0};
}

void handover_fail(struct handover_reader *reader, const char *format, ...)
{
    if (reader->cause != NULL)
        return;
    va_list args;
    va_start(args, format);
    reader->cause = xvasprintf(format, args);
    va_end(args);
}

json_t *handover_take_or_null(
    struct handover_reader *reader, json_t *object, const char *key, json_type type)
{
    json_t *value = json_object_get(object, key);
    if (value == NULL) {
        handover_fail(reader, "the state has no \"%s\" where it should", key);
        return NULL;
    }
    json_array_append(reader->taken, value);
    json_object_del(object, key);
    if (json_is_null(value))
        return NULL;
    if (type == JSON_NULL || json_typeof(value) == type)
        return value;
    handover_fail(reader, "the state's \"%s\" is not what it should be", key);
    return NULL;
}

json_t *handover_take(
    struct handover_reader *reader, json_t *object, const char *key, json_type type)
{
    json_t *value = handover_take_or_null(reader, object, key, type);
    if (value == NULL)
        handover_fail(reader, "the state's \"%s\" is null where it should not", key);
    return value;
}

static int64_t handover_integer(
    struct handover_reader *reader, const json_t *value, const char *key, int64_t min, int64_t max)
{
    int64_t number = json_integer_value(value);
    if (json_is_integer(value) && number >= min && number <= max)
        return number;
    handover_fail(reader, "the state's \"%s\" is not a number that it may be", key);
    return min > 0 ? min : 0;
}

int64_t handover_take_int(
    struct handover_reader *reader, json_t *object, const char *key, int64_t min, int64_t max)
{
    const json_t *value = handover_take(reader, object, key, JSON_INTEGER);
    return handover_integer(reader, value, key, min, max);
}

static bool handover_boolean(struct handover_reader *reader, const json_t *value, const char *key)
{
    if (!json_is_boolean(value))
        handover_fail(reader, "the state's \"%s\" is neither true nor false", key);
    return json_is_true(value);
}

bool handover_take_bool(struct handover_reader *reader, json_t *object, const char *key)
{
    return handover_boolean(reader, handover_take(reader, object, key, JSON_NULL), key);
}

static char *handover_unhex(const char *hex, size_t *size)
{
    size_t length = strlen(hex);
    char *bytes = xmalloc(length / 2 + 1);
    *size = 0;
    for (size_t i = 0; i + 1 < length; i += 2) {
        char pair[3] = {hex[i], hex[i + 1], '\0'}, *end;
        long byte = strtol(pair, &end, 16);
        if (end != pair + 2)
            break;
        bytes[(*size)++] = (char)byte;
    }
    bytes[*size] = '\0';
    if (*size * 2 == length)
        return bytes;
    free(bytes);
    return NULL;
}

// NULL when it is neither a string nor hexadecimal.
static char *handover_decode(const json_t *value, size_t *size)
{
    const char *hex = json_string_value(json_object_get(value, "hex"));
    if (hex != NULL && json_object_size(value) == 1)
        return handover_unhex(hex, size);
    if (!json_is_string(value))
        return NULL;
    *size = json_string_length(value);
    char *bytes = xmalloc(*size + 1);
    memcpy(bytes, json_string_value(value), *size);
    bytes[*size] = '\0';
    return bytes;
}

static char *handover_string(struct handover_reader *reader, const json_t *value, const char *key)
{
    size_t size = 0;
    if (value == NULL || json_is_null(value))
        return NULL;
    char *text = handover_decode(value, &size);
    if (text != NULL && strlen(text) == size)
        return text;
    free(text);
    handover_fail(reader, "the state's \"%s\" is no text", key);
    return NULL;
}

char *handover_take_text(struct handover_reader *reader, json_t *object, const char *key)
{
    return handover_string(reader, handover_take_or_null(reader, object, key, JSON_NULL), key);
}

char *handover_take_name(struct handover_reader *reader, json_t *object, const char *key)
{
    char *text = handover_take_text(reader, object, key);
    if (text == NULL)
        handover_fail(reader, "the state's \"%s\" is no text", key);
    return text ? text : xstrdup("");
}

char *handover_take_bytes(
    struct handover_reader *reader, json_t *object, const char *key, size_t size_max, size_t *size)
{
    const json_t *value = handover_take(reader, object, key, JSON_NULL);
    char *bytes = handover_decode(value, size);
    if (bytes != NULL && *size <= size_max)
        return bytes;
    free(bytes);
    handover_fail(reader, "the state's \"%s\" is no text of its size", key);
    *size = 0;
    return xstrdup("");
}

int handover_take_fd(struct handover_reader *reader, json_t *object, const char *key, unsigned kind)
{
    const json_t *value = handover_take_or_null(reader, object, key, JSON_INTEGER);
    struct stat info;
    if (value == NULL)
        return -1;
    int fd = (int)handover_integer(reader, value, key, STDERR_FILENO + 1, INT_MAX);
    if (reader->is_trial || reader->cause != NULL)
        return fd;
    if (fstat(fd, &info) == 0 && (info.st_mode & S_IFMT) == kind &&
        fcntl(fd, F_SETFD, FD_CLOEXEC) == 0)
        return fd;
    handover_fail(reader, "the state's descriptor \"%s\" is not what it should be", key);
    return -1;
}

bool handover_take_timer(struct handover_reader *reader, json_t *object, const char *key,
    struct ev_loop *loop, ev_timer *timer)
{
    const json_t *value = handover_take_or_null(reader, object, key, JSON_INTEGER);
    if (value == NULL)
        return false;
    int64_t left_us = handover_integer(reader, value, key, 0, HANDOVER_TIMER_MAX_US);
    ev_timer_set(timer, (double)left_us / US_PER_SECOND, 0.);
    ev_timer_start(loop, timer);
    return true;
}

static void handover_read_numbers(struct handover_reader *reader, const json_t *value,
    const char *key, int64_t *numbers, size_t count)
{
    if (!json_is_array(value) || json_array_size(value) != count)
        handover_fail(reader, "the state's \"%s\" is no list of its length", key);
    for (size_t i = 0; i < count; i++)
        numbers[i] = handover_integer(reader, json_array_get(value, i), key, INT64_MIN, INT64_MAX);
}

static void handover_read_counts(struct handover_reader *reader, json_t *value, const char *key,
    const struct handover_names *names, int64_t *counts)
{
    if (!json_is_object(value))
        handover_fail(reader, "the state's \"%s\" is not what it should be", key);
    for (size_t i = 0; i < names->count; i++) {
        counts[i] = 0;
        if (names->names[i] != NULL && json_object_get(value, names->names[i]) != NULL)
            counts[i] = handover_take_int(reader, value, names->names[i], INT64_MIN, INT64_MAX);
    }
    handover_end(reader, value);
}

static unsigned handover_read_name(struct handover_reader *reader, const json_t *value,
    const char *key, const struct handover_names *names)
{
    const char *text = json_string_value(value);
    for (unsigned i = 0; i < names->count; i++) {
        const char *name = names->names[i];
        if (text && name ? strcmp(text, name) == 0 : json_is_null(value) && name == NULL)
            return i;
    }
    handover_fail(
        reader, "the state's \"%s\" has a name that is not known: %s", key, text ? text : "null");
    return 0;
}

static void handover_read_field(
    struct handover_reader *reader, const struct handover_field *field, json_t *value, void *at)
{
    const char *key = field->key;
    switch (field->type) {
    case HANDOVER_BOOL:
        *(bool *)at = handover_boolean(reader, value, key);
        break;
    case HANDOVER_INT:
        *(int *)at = (int)handover_integer(reader, value, key, INT_MIN, INT_MAX);
        break;
    case HANDOVER_UNSIGNED:
        *(unsigned *)at = (unsigned)handover_integer(reader, value, key, 0, UINT_MAX);
        break;
    case HANDOVER_INT64:
        *(int64_t *)at = handover_integer(reader, value, key, INT64_MIN, INT64_MAX);
        break;
    case HANDOVER_UINT64:
        *(uint64_t *)at = (uint64_t)handover_integer(reader, value, key, 0, INT64_MAX);
        break;
    case HANDOVER_DOUBLE:
        if (!json_is_number(value))
            handover_fail(reader, "the state's \"%s\" is no number", key);
        *(double *)at = json_number_value(value);
        break;
    case HANDOVER_TEXT:
        *(char **)at = handover_string(reader, value, key);
        break;
    case HANDOVER_ENUM:
        *(unsigned *)at = handover_read_name(reader, value, key, field->names);
        break;
    case HANDOVER_INT64S:
        handover_read_numbers(reader, value, key, at, field->size / sizeof(int64_t));
        break;
    case HANDOVER_COUNTS:
        handover_read_counts(reader, value, key, field->names, at);
        break;
    case HANDOVER_STRUCT:
        handover_read(reader, value, field->table, at);
        break;
    case HANDOVER_NOTHING:
        break;
    }
}

void handover_read(
    struct handover_reader *reader, json_t *object, const struct handover_table *table, void *to)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct handover_field *field = &table->fields[i];
        if (field->type == HANDOVER_NOTHING)
            continue;
        json_t *value = json_object_get(object, field->key);
        if (value != NULL)
            json_array_append(reader->taken, value);
        else
            handover_fail(reader, "the state has no \"%s\" where it should", field->key);
        json_object_del(object, field->key);
        handover_read_field(reader, field, value, (char *)to + field->offset);
    }
    handover_end(reader, object);
}

void handover_end(struct handover_reader *reader, const json_t *object)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value)
    {
        handover_fail(reader, "the state has \"%s\", which this program does not know", key);
        break;
    }
}
