/* What the processor's dot products can do at most. */
#include <immintrin.h>

#include "modelserve_cpu.h"

#define CHAINS 12

/* Twelve chains of results are more than a dot product's latency asks for. */
#define PEAK(NAME, TARGET, TYPE, ZERO, STEP, LANE_OPERATIONS)                                                            \
    __attribute__((target(TARGET))) int64_t NAME(int64_t iterations) {                                                   \
        TYPE a = ZERO, b = ZERO, c = ZERO, d = ZERO, e = ZERO, f = ZERO;                                                  \
        TYPE g = ZERO, h = ZERO, i = ZERO, j = ZERO, k = ZERO, l = ZERO;                                                  \
        for (int64_t n = 0; n < iterations; n++) {                                                                        \
            STEP(a), STEP(b), STEP(c), STEP(d), STEP(e), STEP(f), STEP(g), STEP(h), STEP(i), STEP(j), STEP(k), STEP(l);   \
            /* The compiler must not see that nothing changes. */                                                         \
            __asm__ volatile("" : "+v"(a), "+v"(b), "+v"(c), "+v"(d), "+v"(e), "+v"(f));                                  \
            __asm__ volatile("" : "+v"(g), "+v"(h), "+v"(i), "+v"(j), "+v"(k), "+v"(l));                                  \
        }                                                                                                                 \
        return iterations * CHAINS * 16 * LANE_OPERATIONS;                                                                \
    }

#define BF16_STEP(x) x = _mm512_dpbf16_ps(x, (__m512bh)_mm512_setzero_si512(), (__m512bh)_mm512_setzero_si512())
#define VNNI_STEP(x) x = _mm512_dpbusd_epi32(x, _mm512_setzero_si512(), _mm512_setzero_si512())

PEAK(ms_cpu_bf16_peak, "avx512f,avx512bf16", __m512, _mm512_setzero_ps(), BF16_STEP, 4)
PEAK(ms_cpu_vnni_peak, "avx512f,avx512vnni", __m512i, _mm512_setzero_si512(), VNNI_STEP, 8)
