/* The layouts of weights and activations that the bfloat16 product reads. */
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

MS_TARGET_BF16 static __m512i rounded_pairs(const float *source, int32_t width) {
    const uint32_t within = width == 16 ? 0xFFFFFFFFu : (1u << (2 * width)) - 1u;
    __m512 low = _mm512_maskz_loadu_ps((__mmask16)within, source);
    __m512 high = _mm512_maskz_loadu_ps((__mmask16)(within >> 16), source + 16);
    return (__m512i)_mm512_cvtne2ps_pbh(high, low);
}

MS_TARGET_BF16 void ms_cpu_bf16_arrange(const ms_cpu_product *product, int32_t first, int32_t last) {
    const int64_t pairs = product->columns / 2;
    const int32_t count = product->count;
    const int32_t blocks = (count + MS_BLOCK - 1) / MS_BLOCK;
    for (int32_t block = 0; block < blocks; block++) {
        const int32_t start = (int32_t)((int64_t)count * block / blocks);
        const int32_t height = (int32_t)((int64_t)count * (block + 1) / blocks) - start;
        const __mmask16 lanes = (__mmask16)((1u << height) - 1u);
        uint32_t *target = product->arranged + pairs * start;
        const int64_t step = 16 * height;
        for (int64_t word = first * (int64_t)height; word < (first + ARRANGED_AHEAD) * (int64_t)height; word += 16) {
            __builtin_prefetch(target + word, 1);
        }

        for (int32_t pair = first; pair < last; pair += 16) {
            const int32_t width = last - pair < 16 ? last - pair : 16;
            const __mmask16 within = (__mmask16)((1u << width) - 1u);
            if (pair + ARRANGED_AHEAD < last) {
                for (int64_t word = 0; word < step; word += 16) {
                    __builtin_prefetch(target + (pair + ARRANGED_AHEAD) * (int64_t)height + word, 1);
                }
            }

            __m512i r[16];
            for (int i = 0; i < 16; i++) {
                r[i] = i < height ? rounded_pairs(product->x + (start + i) * product->x_stride + 2 * pair, width)
                                  : _mm512_setzero_si512();
            }

            if (height == 1) {
                _mm512_mask_storeu_epi32(target + pair, within, r[0]);
                continue;
            }

            ms_transpose16(r);
            for (int i = 0; i < width; i++) {
                _mm512_mask_storeu_epi32(target + (int64_t)(pair + i) * height, lanes, r[i]);
            }
        }
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
