// What a supervisor hands over to the one that takes its place (upgrade.h): one JSON object in a
// sealed memfd, and the descriptors that it names. This file knows the format: tables of fields for
// plain structs, texts that may be any bytes, descriptors; what is in it is the business of the
// modules, each of which has a pair of functions NOUN_hand_over() and NOUN_take_over().
//
// A reader takes each value away from its object. A value that is missing, that is not what it
// should be, or that is left because nobody knows it, is a failure; the first one is kept, and
// the readers go on with harmless values, so that they need no branches. Whoever began asks for it
// at the end, before anything of what was read is put to work.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ev.h>
#include <jansson.h>

#include "supervisor/reason.h"

// Changes with every change of what is handed over.
#define HANDOVER_VERSION 1

// --- Tables

enum handover_type {
    HANDOVER_BOOL,
    HANDOVER_INT,
    HANDOVER_UNSIGNED,
    HANDOVER_INT64,
    HANDOVER_UINT64,
    HANDOVER_DOUBLE,
    HANDOVER_TEXT,    // char *, on the heap
    HANDOVER_ENUM,    // by its name, so that a version may put in another one
    HANDOVER_INT64S,  // an array of them
    HANDOVER_COUNTS,  // int64_t by an enum, as far as they are not 0
    HANDOVER_STRUCT,  // one with a table of its own
    HANDOVER_NOTHING, // somebody else sees to it, or nobody need to
};

struct handover_names {
    const char *const *names; // NULL: that value has none, and is written as null
    size_t count;
};

struct handover_field {
    const char *key;
    enum handover_type type;
    size_t offset, size;
    const struct handover_names *names;
    const struct handover_table *table;
};

struct handover_table {
    const struct handover_field *fields;
    size_t count;
    size_t size; // of the struct
};

#define HANDOVER_TYPE(value)                                                                       \
    _Generic((value), bool                                                                         \
             : HANDOVER_BOOL, int                                                                  \
             : HANDOVER_INT, unsigned                                                              \
             : HANDOVER_UNSIGNED, int64_t                                                          \
             : HANDOVER_INT64, uint64_t                                                            \
             : HANDOVER_UINT64, double                                                             \
             : HANDOVER_DOUBLE, char *                                                             \
             : HANDOVER_TEXT)

#define HANDOVER_MEMBER(of, member, as)                                                            \
    .key = #member, .type = (as), .offset = offsetof(of, member), .size = sizeof(((of *)0)->member)

// The rows of a table, by the type of the struct and its member.
#define HANDOVER_VALUE(of, member)                                                                 \
    {                                                                                              \
        HANDOVER_MEMBER(of, member, HANDOVER_TYPE(((of *)0)->member))                              \
    }
#define HANDOVER_NAMED(of, member, list)                                                           \
    {                                                                                              \
        HANDOVER_MEMBER(of, member, HANDOVER_ENUM), .names = (list)                                \
    }
#define HANDOVER_NUMBERS(of, member)                                                               \
    {                                                                                              \
        HANDOVER_MEMBER(of, member, HANDOVER_INT64S)                                               \
    }
#define HANDOVER_COUNTED(of, member, list)                                                         \
    {                                                                                              \
        HANDOVER_MEMBER(of, member, HANDOVER_COUNTS), .names = (list)                              \
    }
#define HANDOVER_INNER(of, member, its_table)                                                      \
    {                                                                                              \
        HANDOVER_MEMBER(of, member, HANDOVER_STRUCT), .table = (its_table)                         \
    }
#define HANDOVER_SKIP(of, member)                                                                  \
    {                                                                                              \
        HANDOVER_MEMBER(of, member, HANDOVER_NOTHING)                                              \
    }

#define HANDOVER_TABLE(of, rows)                                                                   \
    {                                                                                              \
        .fields = (rows), .count = ARRAY_LENGTH(rows), .size = sizeof(of)                          \
    }

extern const struct handover_names handover_reasons;

// --- Writing

// Zero to begin with.
struct handover_writer {
    int *fds; // that go along
    size_t fd_count, fd_capacity;
};

void handover_writer_fini(struct handover_writer *writer);

// An object with what the table says of the struct.
json_t *handover_write(const struct handover_table *table, const void *from);

// A text, which may be NULL, and which need not be UTF-8.
json_t *handover_text(const char *text);
json_t *handover_bytes(const void *bytes, size_t size);

// A descriptor that goes along; -1: there is none.
json_t *handover_fd(struct handover_writer *writer, int fd);

// How long a timer has to run, or null when it does not.
json_t *handover_timer(struct ev_loop *loop, const ev_timer *timer);

// Puts it all into a sealed memfd, takes the reference. Returns the descriptor, or -1 with *cause
// set.
int handover_store(json_t *root, char **cause);

// Lets the descriptors live through an exec, or not.
void handover_keep_fds(const struct handover_writer *writer, bool keep);

// --- Reading

struct handover_reader {
    bool is_trial; // descriptors and processes are another process's: nothing is to be run
    char *cause;   // the first failure
    json_t *taken; // keeps alive what was taken
};

// Reads what handover_store() wrote. Returns NULL with *cause set.
json_t *handover_load(int fd, char **cause);

void handover_reader_init(struct handover_reader *reader, bool is_trial);
void handover_reader_fini(struct handover_reader *reader);

// Notes a failure, unless there is one already.
void handover_fail(struct handover_reader *reader, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

// Fills the struct with what the table says; the object is to be empty then. Texts are the
// caller's; what the struct's own texts were before is forgotten.
void handover_read(
    struct handover_reader *reader, json_t *object, const struct handover_table *table, void *to);

// Takes a value out of an object. They live as long as the reader. NULL after a failure; `type` is
// what it must be, and JSON_NULL: anything.
json_t *handover_take(
    struct handover_reader *reader, json_t *object, const char *key, json_type type);
json_t *handover_take_or_null(
    struct handover_reader *reader, json_t *object, const char *key, json_type type);
int64_t handover_take_int(
    struct handover_reader *reader, json_t *object, const char *key, int64_t min, int64_t max);
bool handover_take_bool(struct handover_reader *reader, json_t *object, const char *key);

// NULL where it was. The caller owns it.
char *handover_take_text(struct handover_reader *reader, json_t *object, const char *key);

// The same, but never NULL: that is a failure.
char *handover_take_name(struct handover_reader *reader, json_t *object, const char *key);

// With *size set, and a '\0' behind it; at most `size_max` bytes.
char *handover_take_bytes(
    struct handover_reader *reader, json_t *object, const char *key, size_t size_max, size_t *size);

// A descriptor of that kind (S_IFIFO and the like), close-on-exec again; -1: there is none.
int handover_take_fd(
    struct handover_reader *reader, json_t *object, const char *key, unsigned kind);

// Starts a timer that ran, to run as long as it had. Returns whether it did.
bool handover_take_timer(struct handover_reader *reader, json_t *object, const char *key,
    struct ev_loop *loop, ev_timer *timer);

// Nobody knows what is left in it.
void handover_end(struct handover_reader *reader, const json_t *object);
