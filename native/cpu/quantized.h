/*
 * Products with weights of 8 or 4 bits: part of the interface of modelserve_cpu.h, under its rules and its version.
 */
#ifndef MODELSERVE_CPU_QUANTIZED_H
#define MODELSERVE_CPU_QUANTIZED_H

#include "modelserve_cpu.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Columns that share a scale. */
#define MS_CPU_GROUP 64
/* Most activation rows of a tile. */
#define MS_CPU_QUANTIZED_ROWS 12

/*
 * One tile: some panels of 16 weight rows times one block of activation rows.
 *
 * A panel is a run of blocks of two groups of columns. A block is one line of 64 bytes with the scales, row r's as bfloat16 in
 * bytes 4 r, 4 r + 1 for the first group and 4 r + 2, 4 r + 3 for the second, then the lines of the first and of the second group.
 * Of 8 bits: a line holds 4 columns, row r's in bytes 4 r .. 4 r + 3, unsigned with an offset of 128.
 * Of 4 bits: a line holds 8 columns, row r's first four in the low halves of those bytes and the next four in the high halves,
 * unsigned with an offset of 8.
 * Activations are signed bytes, -127 .. 127, as [4 columns][width][4].
 */
typedef struct ms_cpu_quantized_tile {
    const uint8_t *weight;      /* first panel; 64-byte aligned */
    int64_t panel_bytes;        /* from one panel to the next */
    const int8_t *x;            /* activations */
    const float *scales;        /* of the activations, [group][width] */
    const int32_t *corrections; /* minus the offset times the sum of the group's activations, [group][width] */
    const float *bias;          /* [rows], or null */
    float *y;                   /* [width, y_stride] */
    int64_t y_stride;
    int64_t ahead;              /* how many bytes before their use the weights are fetched */
    int32_t panels;
    int32_t rows;               /* weight rows that are there, of 16 * panels */
    int32_t blocks;             /* of a panel */
    int32_t width;              /* activation rows, 1 .. MS_CPU_QUANTIZED_ROWS */
    int32_t bits;               /* 8 or 4 */
    int32_t reserved;
} ms_cpu_quantized_tile;

/*
 * Computes a tile. AVX512_VNNI.
 * A group's products are summed as integers, exactly; sums meet their scales in float32, one group after the other, in one
 * accumulator for each result, and the bias at the end. So a result is the same bit for bit whatever is computed beside it.
 */
MS_CPU_EXPORT void ms_cpu_quantized_multiply(const ms_cpu_quantized_tile *tile);

#ifdef __cplusplus
}
#endif

#endif
