// What the camera sees: a drawn picture, the same for the same frame number and settings.
//
// Layout, for a picture of W × H, from the top:
//
//  1. The band, for programs: 20 square cells side by side from the left edge, each CELL = W / 20
//     (rounded down to even) pixels wide and high, white (luma 235) for 1 and black (16) for 0:
//       cell 0        1
//       cell 1        0
//       cells 2…17    the frame number within the loop, 16 bits, most significant first
//       cell 18       parity: the number of ones in cells 2…18 is odd
//       cell 19       0
//     The mean luma of a cell's middle half is above or below 128, whatever the encoder did. The
//     frame's time within the loop is its number / fps.
//  2. The clock, for people: that time as MM:SS.mmm in white on black, to the millisecond.
//  3. The rest: a gradient that drifts, a bouncing square, and noise in every pixel, so that frames
//     between key frames have as much to say as a real camera's at night.
#include "tests/tools/testcam.h"

#include <string.h>

#define CELLS 20
#define WHITE 235
#define BLACK 16

// Three by five pixels a glyph, the top row in the highest three bits.
static const uint16_t glyph_table[] = {
    0x7b6f, 0x2c97, 0x73e7, 0x73cf, 0x5bc9, 0x79cf, 0x79ef, 0x7249, 0x7bef, 0x7bcf, 0x0410, 0x0002};

struct plane {
    uint8_t *pixels;
    int width, height;
};

static void fill(const struct plane *p, int x, int y, int w, int h, uint8_t value)
{
    for (int row = MAX(y, 0); row < MIN(y + h, p->height); row++)
        for (int col = MAX(x, 0); col < MIN(x + w, p->width); col++)
            p->pixels[(size_t)row * p->width + col] = value;
}

static void draw_band(const struct plane *p, int number)
{
    int cell = p->width / CELLS & ~1;
    uint32_t parity = (uint32_t)~__builtin_popcount((uint32_t)number) & 1;
    uint32_t bits = 1U << 19 | (uint32_t)number << 2 | parity << 1;

    for (int i = 0; i < CELLS; i++)
        fill(p, i * cell, 0, cell, cell, bits >> (CELLS - 1 - i) & 1 ? WHITE : BLACK);
}

static void draw_clock(const struct plane *p, int64_t time_ms)
{
    char text[32];
    int scale = MAX(p->width / 64, 2);
    int x = scale, y = (p->width / CELLS & ~1) + scale;

    g_snprintf(text, sizeof(text), "%02d:%02d.%03d", (int)(time_ms / 60000),
        (int)(time_ms / 1000 % 60), (int)(time_ms % 1000));
    fill(p, 0, y - scale, ((int)strlen(text) * 4 + 1) * scale, 7 * scale, BLACK);
    for (const char *c = text; *c; c++, x += 4 * scale) {
        uint16_t glyph = glyph_table[*c == ':' ? 10 : *c == '.' ? 11 : *c - '0'];

        for (int bit = 0; bit < 15; bit++)
            if (glyph >> (14 - bit) & 1)
                fill(p, x + bit % 3 * scale, y + bit / 3 * scale, scale, scale, WHITE);
    }
}

// xorshift: cheap noise that is the same on every machine.
static uint32_t noise_next(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

static void draw_scene(const struct plane *p, int number)
{
    uint32_t state = 0x9e3779b9U * (uint32_t)(number + 1) | 1;
    uint32_t noise = 0;
    int size = p->height / 5;
    int span_x = p->width - size, span_y = p->height - size;
    int x = number * 4 % (2 * span_x), y = number * 3 % (2 * span_y);

    for (int row = 0; row < p->height; row++) {
        uint8_t *line = p->pixels + (size_t)row * p->width;

        for (int col = 0; col < p->width; col++) {
            if (col % 8 == 0)
                noise = noise_next(&state);
            line[col] =
                (uint8_t)(60 + ((col + row + number * 2) / 4 & 127) + (noise >> col % 8 * 4 & 15));
        }
    }
    fill(p, x < span_x ? x : 2 * span_x - x, y < span_y ? y : 2 * span_y - y, size, size, 200);
}

size_t picture_size_bytes(const struct mount *m)
{
    return (size_t)m->width * m->height * 3 / 2;
}

void picture_draw(const struct mount *m, int number, uint8_t *yuv)
{
    struct plane luma = {yuv, m->width, m->height};
    size_t chroma_bytes = (size_t)m->width * m->height / 4;

    draw_scene(&luma, number);
    draw_band(&luma, number);
    draw_clock(&luma, (int64_t)number * 1000 / m->fps);
    memset(yuv + 4 * chroma_bytes, 118, chroma_bytes);
    memset(yuv + 5 * chroma_bytes, 138, chroma_bytes);
}
