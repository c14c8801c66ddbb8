/* The layouts of weights and activations that the bfloat16 product reads. */
#include <math.h>
#include <string.h>

#include "avx512.h"
#include "modelserve_cpu.h"

MS_TARGET_BF16 void ms_cpu_bf16_pack(
    uint16_t *weight, int32_t rows, int32_t columns, int32_t first, int32_t last, uint16_t *scratch) {
    const int64_t pairs = columns / 2;
    for (int32_t panel = first; panel < last; panel++) {
        const int32_t height = rows - panel * MS_PANEL < MS_PANEL ? rows - panel * MS_PANEL : MS_PANEL;
        uint16_t *place = weight + (int64_t)panel * MS_PANEL * columns;
        memcpy(scratch, place, (size_t)height * (size_t)columns * sizeof(uint16_t));
        const uint32_t *source = (const uint32_t *)scratch;
        uint32_t *target = (uint32_t *)place;
        const __mmask16 lanes = (__mmask16)((1u << height) - 1u);
        for (int64_t pair = 0; pair < pairs; pair += 16) {
            const int32_t width = pairs - pair < 16 ? (int32_t)(pairs - pair) : 16;
            const __mmask16 within = (__mmask16)((1u << width) - 1u);
            __m512i r[16];
            for (int i = 0; i < 16; i++) {
                r[i] = i < height ? _mm512_maskz_loadu_epi32(within, source + i * pairs + pair) : _mm512_setzero_si512();
            }

            ms_transpose16(r);
            for (int i = 0; i < width; i++) {
                _mm512_mask_storeu_epi32(target + (pair + i) * height, lanes, r[i]);
            }
        }
    }
}

/* Pairs of columns whose places are called in from the other processors' caches, which have read them, before they are written. */
#define ARRANGED_AHEAD 64

/* A block of rows of activations on its way to its place. */
typedef struct block {
    const float *x; /* first row */
    int64_t x_stride;
    const float *gain;             /* what columns are multiplied by after their row's factor */
    float factors[MS_BLOCK];       /* of the rows */
    uint32_t *target;
    int32_t height;
} block;

static void call_in(const uint32_t *words, int64_t count) {
    for (int64_t word = 0; word < count; word += 16) {
        __builtin_prefetch(words + word, 1);
    }
}

MS_INLINE MS_TARGET_BF16 __m512 scaled(const float *x, const float *gain, float factor, int64_t column, __mmask16 within, const int normed) {
    const __m512 value = _mm512_maskz_loadu_ps(within, x + column);
    return normed ? _mm512_mul_ps(_mm512_mul_ps(value, _mm512_set1_ps(factor)), _mm512_maskz_loadu_ps(within, gain + column)) : value;
}

/* Rounds pairs of columns [first, last) of a block and writes them row beside row. */
MS_INLINE MS_TARGET_BF16 void arrange_block(const block *b, int32_t first, int32_t last, const int normed) {
    const float *x = b->x, *gain = b->gain;
    const int64_t x_stride = b->x_stride, height = b->height;
    uint32_t *const target = b->target;
    const __mmask16 lanes = (__mmask16)((1u << height) - 1u);
    const int32_t begin = first + ARRANGED_AHEAD < last ? first + ARRANGED_AHEAD : last;
    call_in(target + first * height, (begin - first) * height);
    for (int32_t pair = first; pair < last; pair += 16) {
        const int32_t width = last - pair < 16 ? last - pair : 16;
        const uint32_t within = width == 16 ? 0xFFFFFFFFu : (1u << (2 * width)) - 1u;
        if (pair + ARRANGED_AHEAD < last) {
            call_in(target + (pair + ARRANGED_AHEAD) * height, 16 * height);
        }

        __m512i r[16];
        for (int i = 0; i < 16; i++) {
            r[i] = i < height
                ? (__m512i)_mm512_cvtne2ps_pbh(
                      scaled(x + i * x_stride, gain, normed ? b->factors[i] : 1, 2 * (int64_t)pair + 16, (__mmask16)(within >> 16), normed),
                      scaled(x + i * x_stride, gain, normed ? b->factors[i] : 1, 2 * (int64_t)pair, (__mmask16)within, normed))
                : _mm512_setzero_si512();
        }

        if (height == 1) {
            _mm512_mask_storeu_epi32(target + pair, (__mmask16)((1u << width) - 1u), r[0]);
            continue;
        }

        ms_transpose16(r);
        for (int i = 0; i < width; i++) {
            _mm512_mask_storeu_epi32(target + (int64_t)(pair + i) * height, lanes, r[i]);
        }
    }
}

/* Where a block of the product's activations goes, and where it comes from in a matrix of rows. */
static void find_block(const ms_cpu_product *product, int32_t number, const float *x, int64_t x_stride, block *b) {
    const int32_t blocks = (product->count + MS_BLOCK - 1) / MS_BLOCK;
    const int64_t start = (int64_t)product->count * number / blocks;
    b->height = (int32_t)((int64_t)product->count * (number + 1) / blocks - start);
    b->target = product->arranged + product->columns / 2 * start;
    b->x = x + start * x_stride;
    b->x_stride = x_stride;
}

MS_TARGET_BF16 void ms_cpu_bf16_arrange(const ms_cpu_product *product, int32_t first, int32_t last) {
    block b;
    for (int32_t number = 0; number < (product->count + MS_BLOCK - 1) / MS_BLOCK; number++) {
        find_block(product, number, product->x, product->x_stride, &b);
        arrange_block(&b, first, last, 0);
    }
}

/* Adds to a row where there is something to add, and sums its squares. */
MS_TARGET_BF16 static float add_and_square(float *x, const float *delta, int32_t columns) {
    __m512 sums[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()};
    for (int32_t i = 0; i < columns; i += 16) {
        const __mmask16 within = (__mmask16)(columns - i < 16 ? (1u << (columns - i)) - 1u : 0xFFFFu);
        __m512 value = _mm512_maskz_loadu_ps(within, x + i);
        if (delta) {
            /* The next row's share of it may be in another processor's cache. */
            _mm_prefetch((const char *)(delta + columns + i), _MM_HINT_T0);
            value = _mm512_add_ps(value, _mm512_maskz_loadu_ps(within, delta + i));
            _mm512_mask_storeu_ps(x + i, within, value);
        }

        sums[i / 16 % 2] = _mm512_fmadd_ps(value, value, sums[i / 16 % 2]);
    }

    return _mm512_reduce_add_ps(_mm512_add_ps(sums[0], sums[1]));
}

MS_TARGET_BF16 void ms_cpu_bf16_norm(const ms_cpu_product *product, const ms_cpu_norm *norm, int32_t first, int32_t last) {
    const int32_t columns = product->columns;
    block b;
    for (int32_t number = first; number < last; number++) {
        find_block(product, number, norm->residual, columns, &b);
        float *x = norm->residual + (b.x - norm->residual);
        const float *delta = norm->delta ? norm->delta + (b.x - norm->residual) : 0;
        for (int32_t row = 0; row < b.height; row++) {
            const float squares = add_and_square(x + row * (int64_t)columns, delta ? delta + row * (int64_t)columns : 0, columns);
            b.factors[row] = 1.0f / sqrtf(squares / (float)columns + norm->epsilon);
        }

        b.gain = norm->gain;
        arrange_block(&b, 0, columns / 2, 1);
    }
}

void ms_cpu_bf16_row(const uint16_t *weight, int32_t rows, int32_t columns, int32_t row, float *output) {
    const int32_t first = row / MS_PANEL * MS_PANEL;
    const int32_t height = rows - first < MS_PANEL ? rows - first : MS_PANEL;
    const uint16_t *source = weight + (int64_t)first * columns + (row - first) * 2;
    for (int32_t column = 0; column < columns; column += 2, source += 2 * height) {
        const uint32_t bits[2] = {(uint32_t)source[0] << 16, (uint32_t)source[1] << 16};
        memcpy(output + column, bits, sizeof bits);
    }
}
