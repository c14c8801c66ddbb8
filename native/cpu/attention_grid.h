/*
 * What both kinds of paged attention share; not part of the interface. The file that includes it defines
 *   TARGET          the instructions of its functions,
 *   DOT(sum, x, w)  sixteen sums of products of PACK numbers in 32 bits,
 *   PACK            numbers in 32 bits,
 *   PARTS           rows of 32 bits that one query row, or one row of weights, is divided into,
 *   QUERY_STRIDE    32-bit words from one such row of queries to the next,
 *   WEIGHT_STRIDE   32-bit words from one such row of weights to the next.
 */
#include <math.h>
#include <string.h>

#include "attention.h"
#include "avx512.h"

#define SLOTS 16
/* Positions whose scores exist at a time; tiles start at multiples of it. */
#define TILE 128
#define TILE_BLOCKS (TILE / SLOTS)
/* Rows and columns of registers that are summed in at a time: rows times columns is at most 24. */
#define MOST_ROWS 6
#define LOG2_E 1.44269504f
#define LN_2 0.693147181f

/* Compilers see that sums leave a loop for memory, and then may keep a copy of each there all along. */
#define IN_REGISTER(value) __asm__("" : "+v"(value))

typedef struct tile {
    const uint8_t *keys[TILE_BLOCKS];
    const uint8_t *values[TILE / PACK]; /* each PACK slots' values */
    const uint8_t *next[TILE / PACK];   /* as much of the next tile's keys, or of this one's values again */
    int64_t key_bytes;                  /* of one block; its values follow */
    int32_t blocks;
    int32_t first;      /* first position that any row sees, from the tile's first block on */
    int32_t count;      /* positions up to the last one */
    uint8_t last[1024]; /* where the last PACK slots are not all filled: a copy with nothing in the others */
} tile;

MS_INLINE TARGET __mmask16 visible(int32_t block, int32_t from, int32_t to) {
    const int32_t low = from - block * SLOTS, high = to - block * SLOTS;
    const uint32_t above = low <= 0 ? 0xFFFFu : low > 15 ? 0u : 0xFFFFu << low;
    const uint32_t below = high >= 15 ? 0xFFFFu : high < 0 ? 0u : 0xFFFFu >> (15 - high);
    return (__mmask16)(above & below);
}

/* 2 to the power of x, for x at most 0; exactly 0 below -126. Relative error 3e-6. */
MS_INLINE TARGET __m512 power(__m512 x) {
    const __m512 whole = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    const __m512 rest = _mm512_sub_ps(x, whole);
    __m512 p = _mm512_set1_ps(0.00133335581f);
    p = _mm512_fmadd_ps(p, rest, _mm512_set1_ps(0.00961812911f));
    p = _mm512_fmadd_ps(p, rest, _mm512_set1_ps(0.0555041087f));
    p = _mm512_fmadd_ps(p, rest, _mm512_set1_ps(0.240226507f));
    p = _mm512_fmadd_ps(p, rest, _mm512_set1_ps(0.693147181f));
    p = _mm512_fmadd_ps(p, rest, _mm512_set1_ps(1.0f));

    /* "Not less" lets what is not a number through. */
    return _mm512_maskz_scalef_ps(_mm512_cmp_ps_mask(x, _mm512_set1_ps(-126.0f), _CMP_NLT_UQ), p, whole);
}

/* Turns a row's scores of a tile into weights relative to its greatest score so far; returns what earlier sums must be multiplied by. */
MS_INLINE TARGET float soften(float *scores, int32_t blocks, int32_t from, int32_t to, float *greatest, float *totals) {
    const __m512 hidden = _mm512_set1_ps(-INFINITY);
    if (from > to) {
        memset(scores, 0, (size_t)blocks * SLOTS * sizeof(float));
        return 1.0f;
    }

    __m512 most = hidden;
    for (int32_t block = 0; block < blocks; block++) {
        const __mmask16 seen = visible(block, from, to);
        const __m512 score = _mm512_mask_loadu_ps(hidden, seen, scores + block * SLOTS);
        _mm512_storeu_ps(scores + block * SLOTS, score);
        most = _mm512_max_ps(most, score);
    }

    const float here = _mm512_reduce_max_ps(most);
    const float bound = here > *greatest ? here : *greatest;
    const float factor = bound > *greatest ? _mm512_cvtss_f32(power(_mm512_set1_ps(*greatest - bound))) : 1.0f;
    *greatest = bound;
    __m512 total = _mm512_mul_ps(_mm512_loadu_ps(totals), _mm512_set1_ps(factor));
    for (int32_t block = 0; block < blocks; block++) {
        const __m512 weight = power(_mm512_sub_ps(_mm512_loadu_ps(scores + block * SLOTS), _mm512_set1_ps(bound)));
        _mm512_storeu_ps(scores + block * SLOTS, weight);
        total = _mm512_add_ps(total, weight);
    }

    _mm512_storeu_ps(totals, total);
    return factor;
}

/* Scores of some rows with some blocks of keys; each has one sum, which meets the head's elements in order. */
MS_INLINE TARGET void score_grid(
    const uint32_t *x, const tile *t, int32_t block, int32_t steps, uint32_t *scores, const int rows, const int columns, const int ahead) {
    __m512i sum[24];
    const uint8_t *keys[8];
#pragma GCC unroll 8
    for (int n = 0; n < columns; n++) {
        keys[n] = t->keys[block + n];
    }

#pragma GCC unroll 24
    for (int i = 0; i < rows * columns; i++) {
        sum[i] = _mm512_setzero_si512();
    }

    const int64_t values = t->key_bytes;
    for (int64_t step = 0; step < steps; step++) {
        __m512i w[8];
#pragma GCC unroll 8
        for (int n = 0; n < columns; n++) {
            w[n] = _mm512_loadu_si512(keys[n] + step * 64);
            if (ahead) {
                _mm_prefetch((const char *)(keys[n] + values + step * 64), _MM_HINT_T0);
            }
        }

#pragma GCC unroll 6
        for (int m = 0; m < rows; m++) {
            const __m512i both = _mm512_set1_epi32((int)x[m * QUERY_STRIDE + step]);
#pragma GCC unroll 8
            for (int n = 0; n < columns; n++) {
                sum[m * columns + n] = DOT(sum[m * columns + n], both, w[n]);
                IN_REGISTER(sum[m * columns + n]);
            }
        }
    }

#pragma GCC unroll 6
    for (int m = 0; m < rows; m++) {
#pragma GCC unroll 8
        for (int n = 0; n < columns; n++) {
            _mm512_storeu_si512(scores + m * TILE + (block + n) * SLOTS, sum[m * columns + n]);
        }
    }
}

/* Scores of some rows with all blocks of a tile. */
MS_INLINE TARGET void score_rows(const uint32_t *x, const tile *t, int32_t steps, uint32_t *scores, const int rows, const int ahead) {
    int32_t block = 0;
    if (rows <= 3) {
        for (; block + 8 <= t->blocks; block += 8) {
            score_grid(x, t, block, steps, scores, rows, 8, ahead);
        }
    }

    for (; block + 4 <= t->blocks; block += 4) {
        score_grid(x, t, block, steps, scores, rows, 4, ahead);
    }

    for (; block + 2 <= t->blocks; block += 2) {
        score_grid(x, t, block, steps, scores, rows, 2, ahead);
    }

    if (block < t->blocks) {
        score_grid(x, t, block, steps, scores, rows, 1, ahead);
    }
}

/* Sums of some rows' weighted values, for sixteen elements of the head in each column. */
MS_INLINE TARGET void value_grid(
    const uint32_t *x, const tile *t, int64_t place, __m512i *sum, const int rows, const int columns, const int ahead) {
#pragma GCC unroll 24
    for (int i = 0; i < rows * columns; i++) {
        sum[i] = _mm512_setzero_si512();
    }

    const int64_t steps = (t->count + PACK - 1) / PACK;
    for (int64_t step = t->first / PACK; step < steps; step++) {
        const uint8_t *values = t->values[step] + place;
        const uint8_t *next = t->next[step] + place;
        __m512i w[4];
#pragma GCC unroll 4
        for (int n = 0; n < columns; n++) {
            w[n] = _mm512_loadu_si512(values + n * 64);
            if (ahead) {
                _mm_prefetch((const char *)(next + n * 64), _MM_HINT_T0);
            }
        }

#pragma GCC unroll 6
        for (int m = 0; m < rows; m++) {
            const __m512i both = _mm512_set1_epi32((int)x[m * WEIGHT_STRIDE + step]);
#pragma GCC unroll 4
            for (int n = 0; n < columns; n++) {
                sum[m * columns + n] = DOT(sum[m * columns + n], both, w[n]);
                IN_REGISTER(sum[m * columns + n]);
            }
        }
    }
}

/* The blocks of the tile at a position, and of the one after it. */
MS_INLINE TARGET void find_tile(tile *t, const ms_cpu_attention *a, int32_t begin) {
    const int32_t end = begin / TILE * TILE + TILE < a->end ? begin / TILE * TILE + TILE : a->end;
    const int32_t low = a->window == 0 ? 0 : a->first_position - a->window + 1;
    t->key_bytes = (int64_t)SLOTS * a->head_dim * 4 / PACK;
    t->blocks = (end - begin + SLOTS - 1) / SLOTS;
    t->first = low > begin ? low - begin : 0;
    t->count = end - begin;
    const int32_t *table = a->blocks + begin / SLOTS;
    const int32_t all = (a->end - begin + SLOTS - 1) / SLOTS;
    for (int32_t block = 0; block < t->blocks; block++) {
        t->keys[block] = a->cache + a->block_bytes * table[block];
        const uint8_t *values = t->keys[block] + t->key_bytes;
        const uint8_t *next = block + t->blocks < all ? a->cache + a->block_bytes * table[block + t->blocks] : values;
        for (int32_t i = 0; i < SLOTS / PACK; i++) {
            t->values[block * (SLOTS / PACK) + i] = values + (int64_t)i * a->head_dim * 4;
            t->next[block * (SLOTS / PACK) + i] = next + (int64_t)i * a->head_dim * 4;
        }
    }

    if (t->count % PACK != 0) {
        /* Such a slot may hold what is not a number, whose product with a weight of nothing would be seen. */
        const uint8_t *values = t->values[t->count / PACK];
        const __m512i filled = _mm512_set1_epi32((int)(0xFFFFFFFFu >> (32 - 32 / PACK * (t->count % PACK))));
        for (int32_t i = 0; i < a->head_dim * 4; i += 64) {
            _mm512_storeu_si512(t->last + i, _mm512_and_si512(_mm512_loadu_si512(values + i), filled));
        }

        t->values[t->count / PACK] = t->last;
    }
}
