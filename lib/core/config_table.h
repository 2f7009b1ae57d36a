// The table of configuration keys: what may stand where, as what, with which default and range.
// Parsing, error messages, `check-config --print-keys` and the manual's list all come from it.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/core/buf.h"
#include "lib/core/config.h"

// The mappings in which keys stand. A key's `scopes` is a set of them.
enum config_scope {
    CONFIG_SCOPE_ROOT = 1 << 0,
    CONFIG_SCOPE_INCLUDED = 1 << 1, // the top of an included file
    CONFIG_SCOPE_STORAGE = 1 << 2,
    CONFIG_SCOPE_VOLUME = 1 << 3,
    CONFIG_SCOPE_HTTP = 1 << 4,
    CONFIG_SCOPE_RECORDING = 1 << 5,
    CONFIG_SCOPE_RETAIN = 1 << 6,
    CONFIG_SCOPE_FFMPEG = 1 << 7,
    CONFIG_SCOPE_CAMERA = 1 << 8,
    CONFIG_SCOPE_STREAM = 1 << 9,
    CONFIG_SCOPE_HOOK = 1 << 10,
    CONFIG_SCOPE_DOWN_HOOK = 1 << 11,
};

enum config_type {
    CONFIG_TYPE_PLANNED,  // designed, but not built: refused with these words
    CONFIG_TYPE_MAP,      // a mapping of the scope `inner`
    CONFIG_TYPE_VOLUMES,  // a list of mappings of the scope `inner`
    CONFIG_TYPE_CAMERAS,  // names with mappings of the scope `inner`
    CONFIG_TYPE_STREAMS,  // the same, inside a camera
    CONFIG_TYPE_INCLUDE,  // a glob or a list of globs
    CONFIG_TYPE_STRING,   //
    CONFIG_TYPE_PATH,     // relative to the file that names it
    CONFIG_TYPE_PROGRAM,  // a path, or a bare name that is looked up in PATH
    CONFIG_TYPE_LISTEN,   // ADDRESS:PORT
    CONFIG_TYPE_DURATION, //
    CONFIG_TYPE_AMOUNT,   // a percentage or a size
    CONFIG_TYPE_SIZE,     // in bytes
    CONFIG_TYPE_BOOL,     //
    CONFIG_TYPE_CHOICE,   // one word of `choices`
    CONFIG_TYPE_LIST,     // strings
    CONFIG_TYPE_OPTIONS,  // strings: name, value, name, value …
    CONFIG_TYPE_ORIGINS,  // web origins: SCHEME://HOST[:PORT]
    CONFIG_TYPE_SECRET,   // a string that no message may repeat; skipped without CONFIG_SECRETS
    CONFIG_TYPE_SECRET_FILE,
    CONFIG_TYPE_HOOK,    // a mapping of the scope `inner` that replaces an inherited one whole
    CONFIG_TYPE_COMMAND, // a program and its arguments
    CONFIG_TYPE_WEBHOOK, // an http:// or https:// address that no message may repeat
    CONFIG_TYPE_COUNT,
};

// The struct that a key's value is stored in, at `offset`.
enum config_target {
    CONFIG_TARGET_NONE,
    CONFIG_TARGET_CONFIG,    // struct config
    CONFIG_TARGET_VOLUME,    // struct config_volume
    CONFIG_TARGET_RECORDING, // struct config_recording
    CONFIG_TARGET_ACCESS,    // struct config_access
    CONFIG_TARGET_HOOK,      // struct config_hook
    CONFIG_TARGET_COUNT,
};

// How a camera is reached, while it is being read. The strings belong to the reader.
struct config_access {
    const char *url;
    const char *username;
    const char *password;
};

struct config_choice {
    const char *name;
    int value;
};

struct config_key {
    const char *name;
    unsigned scopes;
    enum config_type type;
    unsigned inner;
    enum config_target target;
    size_t offset;
    int64_t min, max;                    // of a duration, in microseconds
    const struct config_choice *choices; // ends with a NULL name
    const char *fallback;                // the default as one would write it, or NULL
    const char *help;
};

// In the order in which keys are applied: defaults before cameras, a camera's keys before its
// streams. Ends with a NULL name.
extern const struct config_key config_table[];

// The key of that name in that scope, or NULL.
const struct config_key *config_table_find(const char *name, enum config_scope scope);

// The known (not merely planned) key of the scope that is nearest to `name` in spelling, or NULL
// when none is near.
const char *config_table_suggest(const char *name, enum config_scope scope);

// Where a key of that name stands, in words, or NULL when none has it.
const char *config_table_place(const char *name);

// The reference of all keys in scdoc's markup, as it stands in keepframe.yaml(5).
void config_table_print(struct buf *out);
