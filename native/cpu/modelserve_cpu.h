/*
 * Kernels for x86-64 processors that C# cannot express: bfloat16 and integer dot products.
 *
 * Plain C11 with intrinsics, no dependency but the C library, no threads and no state: the caller divides the work and calls from
 * as many threads as it likes. Each function names the features it needs; ms_cpu_features says which of them this processor and
 * its operating system have, and calling a function without them ends the process with an illegal instruction.
 * Pointers are the caller's and are only used during the call. Matrices of weights start at a multiple of 64 bytes.
 */
#ifndef MODELSERVE_CPU_H
#define MODELSERVE_CPU_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MS_CPU_EXPORT __attribute__((visibility("default")))

/* Raised whenever a function or a struct below changes. */
#define MS_CPU_ABI_VERSION 1

/* AVX-512 F, BW, DQ and VL. */
#define MS_CPU_AVX512 1u
/* Dot products of bfloat16 pairs (AVX-512 BF16). */
#define MS_CPU_AVX512_BF16 2u
/* Dot products of four bytes (AVX-512 VNNI). */
#define MS_CPU_AVX512_VNNI 4u
/* AVX2 and FMA. */
#define MS_CPU_AVX2 8u

/* MS_CPU_ABI_VERSION of the library. */
MS_CPU_EXPORT int32_t ms_cpu_abi_version(void);

/* The features that this processor and its operating system have, of those above. */
MS_CPU_EXPORT uint32_t ms_cpu_features(void);

#ifdef __cplusplus
}
#endif

#endif
