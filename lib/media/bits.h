// Streams of bits and the numbers in them: what the packed sample table is made of. Private to
// samples*.c.
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/core/buf.h"

// Bits are appended to `out` from the highest on, some of them only by bits_flush(), which fills
// the last byte up with zeros.
struct bits_writer {
    struct buf *out;
    uint64_t word;
    unsigned used; // of the word, under 32
};

static inline void bits_put(struct bits_writer *writer, uint64_t value, unsigned count) // ≤ 32
{
    assert(count <= 32);
    writer->word = writer->word << count | (value & ((UINT64_C(1) << count) - 1));
    writer->used += count;
    if (writer->used >= 32) {
        writer->used -= 32;
        buf_put_u32(writer->out, (uint32_t)(writer->word >> writer->used));
    }
}

void bits_flush(struct bits_writer *writer);

// A read past the end gives zeros and sets `failed`.
struct bits_reader {
    const uint8_t *data;
    size_t size;     // bytes
    size_t position; // bits
    bool failed;
};

// Golomb-Rice codes whose parameter follows the mean of the numbers so far, and runs of zeros in
// their place while that mean is next to nothing: a number that is the same all the time costs no
// bits but those of one run.
struct bits_model {
    uint64_t mean; // in 256ths
    uint64_t zeros;
    bool after_zeros; // a run ended: the next number is not zero, and one less is written
};

// Any number up to 64 bits in 6 bits and its own length.
void bits_put_raw(struct bits_writer *writer, uint64_t value);
uint64_t bits_get_raw(struct bits_reader *reader);

// One number by the model, which learns from it.
void bits_put_number(struct bits_writer *writer, struct bits_model *model, uint64_t value);
uint64_t bits_get_number(struct bits_reader *reader, struct bits_model *model);

// The bits that numbers would take one behind the other, by one new model.
uint64_t bits_measure_numbers(const uint64_t *values, size_t count);

// The same with runs. The writer is given all numbers that are still to come, this one first.
void bits_put_run_number(
    struct bits_writer *writer, struct bits_model *model, const uint64_t *values, size_t left);
uint64_t bits_get_run_number(struct bits_reader *reader, struct bits_model *model);

enum {
    BITS_TOKENS = 16,
    BITS_CODE_MAX = 8, // bits of a token
};

// A prefix code for numbers that are spread as no Golomb-Rice code fits, jitter above all: their
// high bits are a token of 1 to 8 bits, of a code made for these very numbers, their low bits
// follow as they are. The last token stands for a number that follows raw.
struct bits_code {
    uint8_t low; // bits that are no part of the token
    uint8_t lengths[BITS_TOKENS];
    uint8_t codes[BITS_TOKENS];
    uint8_t tokens[1 << BITS_CODE_MAX]; // by the next bits: length << 4 | token; 0 is no code
};

// Makes the code that is best for these numbers. Returns how many bits they take.
uint64_t bits_code_make(struct bits_code *code, const uint64_t *values, size_t count);

// Fills in codes and tokens where low and lengths are given. Returns false where they are no code.
bool bits_code_open(struct bits_code *code);

void bits_put_code(struct bits_writer *writer, const struct bits_code *code, uint64_t value);
uint64_t bits_get_code(struct bits_reader *reader, const struct bits_code *code);

// Signed numbers as unsigned ones: 0, -1, 1, -2 … become 0, 1, 2, 3 …
static inline uint64_t bits_fold(int64_t value)
{
    return (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
}

static inline int64_t bits_unfold(uint64_t value)
{
    return (int64_t)(value >> 1 ^ -(value & 1));
}
