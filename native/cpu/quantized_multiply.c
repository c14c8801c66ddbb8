/* Products of bytes: unsigned weights of 8 or 4 bits from memory, signed activations from the cache. */
#include "avx512.h"
#include "quantized.h"

#define TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,prfchw")))

/* Up to as many rows each result has two integer sums, because one would wait for its own last addition. */
#define MOST_SPLIT_ROWS 6

MS_INLINE TARGET __m512i four_columns(const int8_t *x) { return _mm512_set1_epi32(*(const int32_t *)(const void *)x); }

/* One group of columns times the rows of the block; returns where the activations of the next group start. */
MS_INLINE TARGET const int8_t *multiply_group(
    const uint8_t *w, const int8_t *x, const int64_t ahead, const int rows, const int bits, __m512i sum[MS_CPU_QUANTIZED_ROWS]) {
    const int lines = MS_CPU_GROUP / (bits == 8 ? 4 : 8);
    const int split = rows <= MOST_SPLIT_ROWS;
    __m512i more[MOST_SPLIT_ROWS];
    if (split) {
#pragma GCC unroll 6
        for (int m = 0; m < rows; m++) {
            more[m] = _mm512_setzero_si512();
        }
    }

#pragma GCC unroll 4
    for (int line = 0; line < lines; line++) {
        const __m512i bytes = _mm512_load_si512(w + 64 * line);
        _mm_prefetch((const char *)w + 64 * line + ahead, _MM_HINT_T1);
        if (bits == 8) {
#pragma GCC unroll 12
            for (int m = 0; m < rows; m++) {
                __m512i *target = split && line % 2 != 0 ? &more[m] : &sum[m];
                *target = _mm512_dpbusd_epi32(*target, bytes, four_columns(x + 4 * m));
            }

            x += 4 * rows;
        } else {
            const __m512i mask = _mm512_set1_epi8(15);
            const __m512i low = _mm512_and_si512(bytes, mask);
            const __m512i high = _mm512_and_si512(_mm512_srli_epi16(bytes, 4), mask);
#pragma GCC unroll 12
            for (int m = 0; m < rows; m++) {
                sum[m] = _mm512_dpbusd_epi32(sum[m], low, four_columns(x + 4 * m));
            }

#pragma GCC unroll 12
            for (int m = 0; m < rows; m++) {
                __m512i *target = split ? &more[m] : &sum[m];
                *target = _mm512_dpbusd_epi32(*target, high, four_columns(x + 4 * rows + 4 * m));
            }

            x += 8 * rows;
        }
    }

    if (split) {
#pragma GCC unroll 6
        for (int m = 0; m < rows; m++) {
            sum[m] = _mm512_add_epi32(sum[m], more[m]);
        }
    }

    return x;
}

MS_INLINE TARGET void multiply_panel(const ms_cpu_quantized_tile *t, const int panel, const int rows, const int bits) {
    const int group_bytes = MS_CPU_GROUP * 16 * bits / 8;
    const uint8_t *w = t->weight + panel * t->panel_bytes;
    const int8_t *x = t->x;
    const float *scales = t->scales;
    const int32_t *corrections = t->corrections;
    const int64_t ahead = t->ahead;
    __m512 result[MS_CPU_QUANTIZED_ROWS];
#pragma GCC unroll 12
    for (int m = 0; m < rows; m++) {
        /* Another processor may have read what was here before. */
        __builtin_prefetch(t->y + m * t->y_stride + panel * MS_PANEL, 1);
        result[m] = _mm512_setzero_ps();
    }

    for (int32_t block = t->blocks; block > 0; block--) {
        const __m512i both = _mm512_load_si512(w);
        _mm_prefetch((const char *)w + ahead, _MM_HINT_T1);
        w += 64;
        for (int half = 0; half < 2; half++) {
            __m512i sum[MS_CPU_QUANTIZED_ROWS];
#pragma GCC unroll 12
            for (int m = 0; m < rows; m++) {
                sum[m] = _mm512_set1_epi32(corrections[m]);
            }

            x = multiply_group(w, x, ahead, rows, bits, sum);
            const __m512 scale = _mm512_castsi512_ps(
                half == 0 ? _mm512_slli_epi32(both, 16) : _mm512_and_si512(both, _mm512_set1_epi32((int)0xFFFF0000u)));
#pragma GCC unroll 12
            for (int m = 0; m < rows; m++) {
                result[m] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum[m]), _mm512_mul_ps(scale, _mm512_set1_ps(scales[m])), result[m]);
            }

            w += group_bytes;
            scales += rows;
            corrections += rows;
        }
    }

    const int32_t first = panel * MS_PANEL;
    const int32_t height = t->rows - first < MS_PANEL ? t->rows - first : MS_PANEL;
    const __mmask16 lanes = (__mmask16)((1u << height) - 1u);
    const __m512 bias = t->bias ? _mm512_maskz_loadu_ps(lanes, t->bias + first) : _mm512_setzero_ps();
#pragma GCC unroll 12
    for (int m = 0; m < rows; m++) {
        _mm512_mask_storeu_ps(t->y + m * t->y_stride + first, lanes, t->bias ? _mm512_add_ps(result[m], bias) : result[m]);
    }
}

#define TILE(ROWS)                                                             \
    TARGET static void eight_##ROWS(const ms_cpu_quantized_tile *t) {          \
        for (int32_t panel = 0; panel < t->panels; panel++) {                  \
            multiply_panel(t, panel, ROWS, 8);                                 \
        }                                                                      \
    }                                                                          \
    TARGET static void four_##ROWS(const ms_cpu_quantized_tile *t) {           \
        for (int32_t panel = 0; panel < t->panels; panel++) {                  \
            multiply_panel(t, panel, ROWS, 4);                                 \
        }                                                                      \
    }

TILE(1)
TILE(2)
TILE(3)
TILE(4)
TILE(5)
TILE(6)
TILE(7)
TILE(8)
TILE(9)
TILE(10)
TILE(11)
TILE(12)

typedef void (*tile_function)(const ms_cpu_quantized_tile *);

#define TWELVE(NAME) NAME##1, NAME##2, NAME##3, NAME##4, NAME##5, NAME##6, NAME##7, NAME##8, NAME##9, NAME##10, NAME##11, NAME##12
static const tile_function EIGHT[] = {TWELVE(eight_)};
static const tile_function FOUR[] = {TWELVE(four_)};

void ms_cpu_quantized_multiply(const ms_cpu_quantized_tile *tile) {
    (tile->bits == 8 ? EIGHT : FOUR)[tile->width - 1](tile);
}
