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
#define MS_CPU_ABI_VERSION 4

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

/*
 * One product y[m, n] = sum over k of x[m, k] * weight[n, k] (+ bias[n]).
 *
 * Weights are packed in panels of 16 rows: panel p starts 16 * p * columns elements in and holds its pairs of columns in order,
 * each as [row of the panel, 2]. The last panel has as many rows as are left. A packed matrix takes the bytes of a plain one.
 * Narrow panels hold the same weights in about three quarters of that: a head of head_lines * 64 bytes and 12 bits a weight. The
 * library alone knows their order; panels start ms_cpu_bf16_panel_bytes apart.
 * Activations are arranged in blocks of at most 12 rows, as even as they come (block b of n takes rows count * b / n to
 * count * (b + 1) / n): block b starts columns / 2 * count * b / n elements in and holds its pairs of columns, each as [row].
 */
typedef struct ms_cpu_product {
    const uint16_t *weight; /* packed, [rows, columns] */
    const float *bias;      /* [rows] or null */
    const float *x;         /* [count, x_stride] */
    int64_t x_stride;
    uint32_t *arranged;     /* pairs of bfloat16, count * columns / 2 of them; 64-byte aligned */
    float *y;               /* [count, y_stride] */
    int64_t y_stride;
    int32_t rows;
    int32_t columns;        /* even */
    int32_t count;          /* at least 1 */
    int32_t head_lines;     /* of the weight's panels; 0 where they are not narrow */
    float *gated;           /* [count, gated_stride], or null: what gates let through, see ms_cpu_bf16_multiply */
    int64_t gated_stride;
} ms_cpu_product;

/* Packs panels [first, last) of a plain row-major matrix in place; scratch holds 16 * columns elements. AVX512_BF16. */
MS_CPU_EXPORT void ms_cpu_bf16_pack(uint16_t *weight, int32_t rows, int32_t columns, int32_t first, int32_t last, uint16_t *scratch);

/* What narrow panels would be of some weights. */
typedef struct ms_cpu_survey {
    int32_t most;      /* exceptions in one panel: weights that take 6 bytes more, since their exponents lie outside the 16 that their row's code can say */
    int32_t unfit;     /* rows with a weight that is no finite number, or far too large a one: no narrow panels */
    int32_t zero_rows; /* rows of zeros; what they are multiplied to has no bias */
} ms_cpu_survey;

/* Looks at panels [first, last) of a plain row-major matrix. AVX512_BF16. */
MS_CPU_EXPORT void ms_cpu_bf16_survey(
    const uint16_t *weight, int32_t rows, int32_t columns, int32_t first, int32_t last, ms_cpu_survey *survey);

/* Lines of a head that has room for that many exceptions. */
MS_CPU_EXPORT int32_t ms_cpu_bf16_head_lines(int32_t exceptions);

/* Bytes from one panel to the next. */
MS_CPU_EXPORT int64_t ms_cpu_bf16_panel_bytes(int32_t columns, int32_t head_lines);

/*
 * Makes narrow panels of panels [first, last) of a plain row-major matrix, one after the other from the place of the first on. The
 * matrix has a multiple of 16 rows and of 8 columns, none unfit, and head_lines are enough for every panel's exceptions and leave the
 * panel no larger than it was; scratch holds 16 * columns elements. AVX512_BF16.
 */
MS_CPU_EXPORT void ms_cpu_bf16_narrow(
    uint16_t *weight, int32_t columns, int32_t first, int32_t last, int32_t head_lines, uint16_t *scratch);

/* Rounds and arranges pairs of columns [first, last) of the activations. AVX512_BF16. */
MS_CPU_EXPORT void ms_cpu_bf16_arrange(const ms_cpu_product *product, int32_t first, int32_t last);

/* What root-mean-square normalisation of a product's activations needs; rows have as many columns as the product. */
typedef struct ms_cpu_norm {
    float *residual;    /* [count, columns] what is normalised; where delta is given, the sum is written back */
    const float *delta; /* [count, columns] added first, or null */
    const float *gain;  /* [columns] */
    float epsilon;      /* added to the mean square */
    int32_t reserved;
} ms_cpu_norm;

/*
 * Normalises the rows of blocks [first, last) of the activations, rounds and arranges them, in place of x. AVX512_BF16.
 * A row's result is the same bit for bit whatever is computed beside it.
 */
MS_CPU_EXPORT void ms_cpu_bf16_norm(const ms_cpu_product *product, const ms_cpu_norm *norm, int32_t first, int32_t last);

/*
 * Computes the rows of panels [first, last). AVX512_BF16.
 * Has the cache fetch meanwhile the first panels that this thread will read afterwards: those from next_panel on of next, of which only
 * weight, rows, columns, count and whether it is gated matter; null for none.
 * Where gated is given, the first half of the weight's rows, a multiple of 16, are gates and the second half what they let through:
 * panels [first, last) of the first half are computed with their partners of the second, gated receives g / (1 + exp(-g)) * u for the rows
 * of the first half, and y is scratch.
 * Sums are float32. Each result has one accumulator, which starts at the bias and meets the pairs of columns in order: it is the same
 * bit for bit whatever rows are computed beside it and however the panels are divided. Of narrow panels it is that of the others,
 * as long as no sum or product is beyond 2^95 or below 2^-94; what a weight outside its row's window adds, and what takes back that
 * which its code will add, comes before the pairs of columns, in the columns' order.
 */
MS_CPU_EXPORT void ms_cpu_bf16_multiply(
    const ms_cpu_product *product, int32_t first, int32_t last, const ms_cpu_product *next, int32_t next_panel);

/*
 * Has the cache fetch some pairs of the panels that a multiplication from that panel on reads first. Of the product only weight, rows,
 * columns, count and whether it is gated matter; nothing is read, so that they may be anything. Any processor.
 */
MS_CPU_EXPORT void ms_cpu_bf16_fetch(const ms_cpu_product *product, int32_t panel, int32_t first_pair, int32_t pairs);

/* Widens one row of a packed matrix to float32; of narrow panels with AVX512_BF16. */
MS_CPU_EXPORT void ms_cpu_bf16_row(const uint16_t *weight, int32_t rows, int32_t columns, int32_t row, float *output);
MS_CPU_EXPORT void ms_cpu_bf16_narrow_row(const uint16_t *weight, int32_t columns, int32_t head_lines, int32_t row, float *output);

/* Dot products in registers alone, to measure the processor; returns the operations done, an addition or multiplication each. */
MS_CPU_EXPORT int64_t ms_cpu_bf16_peak(int64_t iterations); /* AVX512_BF16 */
MS_CPU_EXPORT int64_t ms_cpu_vnni_peak(int64_t iterations); /* AVX512_VNNI */

#ifdef __cplusplus
}
#endif

#endif
