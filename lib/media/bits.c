// Streams of bits and adaptive numbers. See bits.h.
#include "lib/media/bits.h"

#include <assert.h>
#include <string.h>

enum {
    BITS_QUOTIENT_MAX = 24,  // ones; as many stand for a number that follows raw
    BITS_PARAMETER_MAX = 30, // so that a code fits a word
    BITS_SHIFT = 4,          // the mean looks back over about sixteen numbers
    BITS_RUN_BELOW = 32,     // runs where the mean is under 32/256
    BITS_LEARN_FACTOR = 16,  // a number that is more than so many means counts as so many
    BITS_MEAN_MAX = 36,      // bits of the mean
};

void bits_put(struct bits_writer *writer, uint64_t value, unsigned count)
{
    assert(count <= 32);
    writer->word = writer->word << count | (value & ((UINT64_C(1) << count) - 1));
    writer->used += count;
    while (writer->used >= 8) {
        writer->used -= 8;
        buf_put_u8(writer->out, (uint8_t)(writer->word >> writer->used));
    }
}

void bits_flush(struct bits_writer *writer)
{
    if (writer->used > 0)
        bits_put(writer, 0, 8 - writer->used);
}

// The next 57 bits or more, from the highest on; zeros behind the end.
static uint64_t bits_peek(const struct bits_reader *reader)
{
    size_t byte = reader->position / 8;
    uint64_t word = 0;
    if (byte + 8 <= reader->size) {
        memcpy(&word, reader->data + byte, 8);
        word = __builtin_bswap64(word);
    } else {
        for (size_t i = 0; i < 8 && byte + i < reader->size; i++)
            word |= (uint64_t)reader->data[byte + i] << (56 - 8 * i);
    }
    return word << reader->position % 8;
}

static void bits_skip(struct bits_reader *reader, unsigned count)
{
    reader->position += count;
    if (reader->position > reader->size * 8) {
        reader->position = reader->size * 8;
        reader->failed = true;
    }
}

static uint64_t bits_get(struct bits_reader *reader, unsigned count)
{
    if (count == 0)
        return 0;
    uint64_t value = bits_peek(reader) >> (64 - count);
    bits_skip(reader, count);
    return value;
}

static unsigned bits_length(uint64_t value)
{
    return value == 0 ? 0 : 64 - (unsigned)__builtin_clzll(value);
}

void bits_put_raw(struct bits_writer *writer, uint64_t value)
{
    unsigned length = value == 0 ? 1 : bits_length(value);
    bits_put(writer, length - 1, 6);
    if (length > 32)
        bits_put(writer, value >> 32, length - 32);
    bits_put(writer, value, length < 32 ? length : 32);
}

uint64_t bits_get_raw(struct bits_reader *reader)
{
    unsigned length = (unsigned)bits_get(reader, 6) + 1;
    uint64_t high = length > 32 ? bits_get(reader, length - 32) : 0;
    return high << 32 | bits_get(reader, length < 32 ? length : 32);
}

static unsigned bits_parameter(const struct bits_model *model)
{
    unsigned length = bits_length(model->mean >> 8);
    if (length <= 1)
        return 0;
    return length - 1 < BITS_PARAMETER_MAX ? length - 1 : BITS_PARAMETER_MAX;
}

static void bits_learn(struct bits_model *model, uint64_t value)
{
    uint64_t most = (model->mean >> 8) * BITS_LEARN_FACTOR + BITS_LEARN_FACTOR;
    if (most >> BITS_MEAN_MAX != 0)
        most = UINT64_C(1) << BITS_MEAN_MAX;
    if (value > most)
        value = most;
    model->mean += (value << (8 - BITS_SHIFT)) - (model->mean >> BITS_SHIFT);
}

void bits_put_number(struct bits_writer *writer, struct bits_model *model, uint64_t value)
{
    unsigned parameter = bits_parameter(model);
    uint64_t quotient = value >> parameter;
    if (quotient < BITS_QUOTIENT_MAX) {
        bits_put(writer, (UINT64_C(2) << quotient) - 2, (unsigned)quotient + 1);
        bits_put(writer, value, parameter);
    } else {
        bits_put(writer, (UINT64_C(1) << BITS_QUOTIENT_MAX) - 1, BITS_QUOTIENT_MAX);
        bits_put_raw(writer, value);
    }
    bits_learn(model, value);
}

uint64_t bits_get_number(struct bits_reader *reader, struct bits_model *model)
{
    unsigned parameter = bits_parameter(model);
    uint64_t word = bits_peek(reader);
    unsigned quotient = ~word == 0 ? 64 : (unsigned)__builtin_clzll(~word);
    uint64_t value;
    if (quotient < BITS_QUOTIENT_MAX) {
        // Quotient, its end and the rest are 54 bits at most.
        value = quotient;
        if (parameter > 0)
            value = value << parameter | word << (quotient + 1) >> (64 - parameter);
        bits_skip(reader, quotient + 1 + parameter);
    } else {
        bits_skip(reader, BITS_QUOTIENT_MAX);
        value = bits_get_raw(reader);
    }
    bits_learn(model, value);
    return value;
}

void bits_put_run_number(
    struct bits_writer *writer, struct bits_model *model, const uint64_t *values, size_t left)
{
    if (model->zeros > 0) {
        model->zeros--;
        return;
    }
    if (!model->after_zeros && model->mean < BITS_RUN_BELOW) {
        size_t zeros = 0;
        while (zeros < left && values[zeros] == 0)
            zeros++;
        bits_put_raw(writer, zeros);
        model->after_zeros = true;
        if (zeros > 0) {
            model->zeros = zeros - 1;
            return;
        }
    }
    bits_put_number(writer, model, values[0] - model->after_zeros);
    model->after_zeros = false;
}

uint64_t bits_get_run_number(struct bits_reader *reader, struct bits_model *model)
{
    if (model->zeros > 0) {
        model->zeros--;
        return 0;
    }
    if (!model->after_zeros && model->mean < BITS_RUN_BELOW) {
        uint64_t zeros = bits_get_raw(reader);
        model->after_zeros = true;
        if (zeros > 0) {
            model->zeros = zeros - 1;
            return 0;
        }
    }
    uint64_t value = bits_get_number(reader, model) + model->after_zeros;
    model->after_zeros = false;
    return value;
}
