// Streams of bits and adaptive numbers. See bits.h.
#include "lib/media/bits.h"

#include <string.h>

enum {
    BITS_QUOTIENT_MAX = 24,  // ones; as many stand for a number that follows raw
    BITS_PARAMETER_MAX = 30, // so that a code fits a word
    BITS_SHIFT = 4,          // the mean looks back over about sixteen numbers
    BITS_RUN_BELOW = 32,     // runs where the mean is under 32/256
    BITS_LEARN_FACTOR = 16,  // a number that is more than so many means counts as so many
    BITS_MEAN_MAX = 36,      // bits of the mean
};

void bits_flush(struct bits_writer *writer)
{
    for (; writer->used >= 8; writer->used -= 8)
        buf_put_u8(writer->out, (uint8_t)(writer->word >> (writer->used - 8)));
    if (writer->used > 0)
        buf_put_u8(writer->out, (uint8_t)(writer->word << (8 - writer->used)));
    writer->used = 0;
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

uint64_t bits_measure_numbers(const uint64_t *values, size_t count)
{
    struct bits_model model = {.mean = count > 0 ? values[0] << 8 & UINT32_MAX : 0};
    uint64_t bits = 0;
    for (size_t i = 0; i < count; i++) {
        unsigned parameter = bits_parameter(&model);
        uint64_t quotient = values[i] >> parameter;
        bits += quotient < BITS_QUOTIENT_MAX ? quotient + 1 + parameter
                                             : BITS_QUOTIENT_MAX + 6 + bits_length(values[i]);
        bits_learn(&model, values[i]);
    }
    return bits;
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

// Lengths of a code for these counts, by pairing the two least again and again (Huffman); counts
// are evened out until no code is too long.
static void bits_code_measure(uint64_t counts[BITS_TOKENS], uint8_t lengths[BITS_TOKENS])
{
    uint8_t greatest;
    do {
        uint64_t weights[BITS_TOKENS];
        uint16_t members[BITS_TOKENS]; // tokens of each group
        memset(lengths, 0, BITS_TOKENS);
        for (unsigned i = 0; i < BITS_TOKENS; i++) {
            weights[i] = counts[i];
            members[i] = (uint16_t)(1U << i);
        }
        for (;;) {
            int least = -1, next = -1;
            for (int i = 0; i < BITS_TOKENS; i++) {
                if (weights[i] == 0)
                    continue;
                if (least < 0 || weights[i] < weights[least]) {
                    next = least;
                    least = i;
                } else if (next < 0 || weights[i] < weights[next]) {
                    next = i;
                }
            }
            if (next < 0) {
                if (least >= 0 && (members[least] & (members[least] - 1)) == 0)
                    lengths[least] = 1; // one token alone
                break;
            }
            members[least] |= members[next];
            weights[least] += weights[next];
            weights[next] = 0;
            for (unsigned i = 0; i < BITS_TOKENS; i++)
                lengths[i] += members[least] >> i & 1;
        }
        greatest = 0;
        for (unsigned i = 0; i < BITS_TOKENS; i++) {
            greatest = lengths[i] > greatest ? lengths[i] : greatest;
            counts[i] = counts[i] > 0 ? counts[i] / 2 + 1 : 0;
        }
    } while (greatest > BITS_CODE_MAX);
}

static unsigned bits_token(const struct bits_code *code, uint64_t value)
{
    uint64_t token = value >> code->low;
    return token < BITS_TOKENS - 1 ? (unsigned)token : BITS_TOKENS - 1;
}

enum {
    BITS_LOWS = 5, // numbers of low bits that are tried
    BITS_BINS = BITS_TOKENS << (BITS_LOWS - 1),
};

// How numbers are spread, by their bits from `low` on; the last bin has all that is greater.
struct bits_spread {
    unsigned low;
    uint64_t counts[BITS_BINS + 1];
    uint64_t raws[BITS_BINS + 1]; // bits of the numbers, were they written raw
};

static void bits_spread_make(struct bits_spread *spread, const uint64_t *values, size_t count)
{
    struct bits_model model = {0};
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += values[i] < UINT32_MAX ? values[i] : UINT32_MAX;
    model.mean = count > 0 ? sum / count * 256 : 0;
    unsigned middle = bits_parameter(&model);
    *spread = (struct bits_spread){.low = middle > 3 ? middle - 3 : 0};
    for (size_t i = 0; i < count; i++) {
        uint64_t bin = values[i] >> spread->low;
        bin = bin < BITS_BINS ? bin : BITS_BINS;
        spread->counts[bin]++;
        spread->raws[bin] += 6 + bits_length(values[i] | 1);
    }
}

// Makes the code with `step` more low bits than the spread has. Returns the bits of all numbers.
static uint64_t bits_code_try(
    struct bits_code *code, const struct bits_spread *spread, unsigned step)
{
    uint64_t counts[BITS_TOKENS] = {0}, evened[BITS_TOKENS], bits = 0;
    code->low = (uint8_t)(spread->low + step);
    for (unsigned bin = 0; bin <= BITS_BINS; bin++) {
        unsigned token = bin >> step;
        bool raw = token >= BITS_TOKENS - 1;
        counts[raw ? BITS_TOKENS - 1 : token] += spread->counts[bin];
        bits += raw ? spread->raws[bin] : spread->counts[bin] * code->low;
    }
    memcpy(evened, counts, sizeof(evened));
    bits_code_measure(evened, code->lengths);
    for (unsigned i = 0; i < BITS_TOKENS; i++)
        bits += counts[i] * code->lengths[i];
    return bits;
}

uint64_t bits_code_make(struct bits_code *code, const uint64_t *values, size_t count)
{
    struct bits_spread spread;
    struct bits_code tried;
    uint64_t best = UINT64_MAX;
    bits_spread_make(&spread, values, count);
    for (unsigned step = 0; step < BITS_LOWS; step++) {
        uint64_t bits = bits_code_try(&tried, &spread, step);
        if (bits < best) {
            best = bits;
            code->low = tried.low;
            memcpy(code->lengths, tried.lengths, sizeof(code->lengths));
        }
    }
    bits_code_open(code);
    return best;
}

bool bits_code_open(struct bits_code *code)
{
    unsigned next = 0;
    if (code->low > 32)
        return false;
    memset(code->codes, 0, sizeof(code->codes));
    memset(code->tokens, 0, sizeof(code->tokens));
    for (unsigned length = 1; length <= BITS_CODE_MAX; length++) {
        for (unsigned token = 0; token < BITS_TOKENS; token++) {
            unsigned span = 1U << (BITS_CODE_MAX - length);
            if (code->lengths[token] != length)
                continue;
            if (next + span > sizeof(code->tokens))
                return false;
            code->codes[token] = (uint8_t)(next >> (BITS_CODE_MAX - length));
            memset(code->tokens + next, (int)(length << 4 | token), span);
            next += span;
        }
    }
    return true;
}

void bits_put_code(struct bits_writer *writer, const struct bits_code *code, uint64_t value)
{
    unsigned token = bits_token(code, value);
    bits_put(writer, code->codes[token], code->lengths[token]);
    if (token < BITS_TOKENS - 1)
        bits_put(writer, value, code->low);
    else
        bits_put_raw(writer, value);
}

uint64_t bits_get_code(struct bits_reader *reader, const struct bits_code *code)
{
    uint64_t word = bits_peek(reader);
    uint8_t entry = code->tokens[word >> (64 - BITS_CODE_MAX)];
    unsigned length = entry >> 4, token = entry & 0xf;
    if (length == 0) {
        reader->failed = true;
        return 0;
    }
    if (token == BITS_TOKENS - 1) {
        bits_skip(reader, length);
        return bits_get_raw(reader);
    }
    bits_skip(reader, length + code->low);
    if (code->low == 0)
        return token;
    return (uint64_t)token << code->low | word << length >> (64 - code->low);
}
