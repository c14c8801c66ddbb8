/*
 * Paged attention of a few query rows over a run of one head's positions.
 *
 * The cache holds blocks of 16 slots. In bfloat16 a head's part of a block is its keys as [head_dim / 2, slot, 2], then its values as
 * [slot / 2, head_dim, 2]; in signed bytes its keys as [head_dim / 4, slot, 4], its values as [slot / 4, head_dim, 4], a float32
 * scale for each slot's key, and one for each slot's value. Slots that nobody has filled may hold anything.
 */
#ifndef MODELSERVE_CPU_ATTENTION_H
#define MODELSERVE_CPU_ATTENTION_H

#include <stdint.h>

#include "modelserve_cpu.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes of scratch for that many rows, rounded up to whole sixteens. */
#define MS_CPU_ATTENTION_SCRATCH(rows) ((rows) * 1920 + 512)

typedef struct ms_cpu_attention {
    const float *queries;   /* [rows, head_dim], multiplied by the scale of the scores; row r belongs to token r / group */
    float *sums;            /* [rows, head_dim] result: values times the exponentials of the scores less the greatest */
    float *greatest;        /* [rows] result: the greatest score, or minus infinity where a row sees none of the positions */
    float *totals;          /* [rows] result: the sum of the exponentials */
    uint8_t *scratch;       /* MS_CPU_ATTENTION_SCRATCH, aligned to 64 bytes */
    const uint8_t *cache;   /* the head's part of block 0 */
    int64_t block_bytes;    /* from one block to the next */
    const int32_t *blocks;  /* the sequence's blocks, from position 0 on */
    int32_t rows;           /* at least 1 */
    int32_t group;          /* rows of a token */
    int32_t head_dim;       /* a multiple of 16, at most 256 */
    int32_t first_position; /* of the first token; the next one's is one more */
    int32_t window;         /* a token at p sees positions j with p - window < j <= p; 0 for all up to p */
    int32_t begin;          /* the run of positions: a multiple of 16 */
    int32_t end;            /* at least begin + 1; every slot before it is filled */
    int32_t reserved;
} ms_cpu_attention;

/*
 * Queries and weights are rounded to bfloat16, sums are float32. AVX512_BF16.
 * A row's result is the same bit for bit whatever rows are computed beside it.
 */
MS_CPU_EXPORT void ms_cpu_bf16_attend(const ms_cpu_attention *attention);

/*
 * Queries are rounded to 16 bits with a scale for each row, weights to 16 bits with a scale for each row and 128 positions; products
 * and their sums over a head, or over 128 positions, are exact. AVX512_VNNI. As above otherwise.
 */
MS_CPU_EXPORT void ms_cpu_int8_attend(const ms_cpu_attention *attention);

#ifdef __cplusplus
}
#endif

#endif
