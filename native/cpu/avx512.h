/* What the kernels for AVX-512 share; not part of the interface. */
#ifndef MODELSERVE_CPU_AVX512_H
#define MODELSERVE_CPU_AVX512_H

#include <immintrin.h>

#define MS_TARGET_BF16 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,prfchw")))
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

/* x / (1 + exp(-x)); relative error 3e-7. What is not a number stays so. */
MS_INLINE MS_TARGET_BF16 __m512 ms_silu(__m512 x) {
    /* Bounds, given first, let through what is not a number; beyond them the power is 0, or large enough that the quotient is. */
    const __m512 minus = _mm512_sub_ps(_mm512_setzero_ps(), x);
    const __m512 bounded = _mm512_max_ps(_mm512_set1_ps(-104.0f), _mm512_min_ps(_mm512_set1_ps(104.0f), minus));
    const __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(bounded, _mm512_set1_ps(1.44269504f)), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);

    /* ln 2 in two parts: the first has few enough bits that its product with a whole number is exact. */
    __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375f), bounded);
    r = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.12194440e-4f), r);
    __m512 p = _mm512_set1_ps(1.0f / 5040);
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 720));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 120));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 24));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 6));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.5f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
    return _mm512_div_ps(x, _mm512_add_ps(_mm512_set1_ps(1.0f), _mm512_scalef_ps(p, n)));
}

#endif
