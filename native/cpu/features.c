#include "modelserve_cpu.h"

int32_t ms_cpu_abi_version(void) { return MS_CPU_ABI_VERSION; }

uint32_t ms_cpu_features(void) {
    uint32_t features = 0;

    /* The compiler's own test also asks whether the operating system saves the registers. */
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        features |= MS_CPU_AVX2;
    }

    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl")) {
        features |= MS_CPU_AVX512;
        if (__builtin_cpu_supports("avx512bf16")) {
            features |= MS_CPU_AVX512_BF16;
        }

        if (__builtin_cpu_supports("avx512vnni")) {
            features |= MS_CPU_AVX512_VNNI;
        }
    }

    return features;
}
