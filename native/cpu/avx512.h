/* What the kernels for AVX-512 share; not part of the interface. */
#ifndef MODELSERVE_CPU_AVX512_H
#define MODELSERVE_CPU_AVX512_H

#include <immintrin.h>

#define MS_TARGET_BF16 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")))
#define MS_INLINE static inline __attribute__((always_inline))

/* Rows of a panel of weights: the lanes of a register. */
#define MS_PANEL 16
/* Most activation rows of a block: with two panels they fill 24 of the 32 registers. */
#define MS_BLOCK 12

/* Transposes sixteen vectors of sixteen 32-bit lanes. */
MS_INLINE MS_TARGET_BF16 void ms_transpose16(__m512i r[16]) {
    __m512i t[16];
    for (int i = 0; i < 16; i += 4) {
        __m512i a = _mm512_unpacklo_epi32(r[i], r[i + 1]), b = _mm512_unpackhi_epi32(r[i], r[i + 1]);
        __m512i c = _mm512_unpacklo_epi32(r[i + 2], r[i + 3]), d = _mm512_unpackhi_epi32(r[i + 2], r[i + 3]);
        t[i] = _mm512_unpacklo_epi64(a, c);
        t[i + 1] = _mm512_unpackhi_epi64(a, c);
        t[i + 2] = _mm512_unpacklo_epi64(b, d);
        t[i + 3] = _mm512_unpackhi_epi64(b, d);
    }

    /* t[4 * g + c], quarter q: column 4 * q + c of rows 4 * g .. 4 * g + 3. */
    for (int c = 0; c < 4; c++) {
        __m512i a = _mm512_shuffle_i32x4(t[c], t[4 + c], 0x44), b = _mm512_shuffle_i32x4(t[c], t[4 + c], 0xEE);
        __m512i d = _mm512_shuffle_i32x4(t[8 + c], t[12 + c], 0x44), e = _mm512_shuffle_i32x4(t[8 + c], t[12 + c], 0xEE);
        r[c] = _mm512_shuffle_i32x4(a, d, 0x88);
        r[4 + c] = _mm512_shuffle_i32x4(a, d, 0xDD);
        r[8 + c] = _mm512_shuffle_i32x4(b, e, 0x88);
        r[12 + c] = _mm512_shuffle_i32x4(b, e, 0xDD);
    }
}

#endif
