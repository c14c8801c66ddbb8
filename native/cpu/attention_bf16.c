/* Paged attention over a cache of bfloat16. */
#define TARGET MS_TARGET_BF16
#define DOT(sum, x, w) ((__m512i)_mm512_dpbf16_ps((__m512)(sum), (__m512bh)(x), (__m512bh)(w)))
#define PACK 2
#define PARTS 1
#define QUERY_STRIDE 128
#define WEIGHT_STRIDE 64
#include "attention_grid.h"

typedef struct state {
    uint32_t *queries; /* [row, QUERY_STRIDE] pairs */
    uint32_t *weights; /* [row, WEIGHT_STRIDE] pairs */
    float *scores;     /* [row, TILE] */
    float *totals;     /* [row, 16] */
    float *factors;    /* [row] */
} state;

MS_INLINE TARGET void round_queries(const ms_cpu_attention *a, uint32_t *queries) {
    const __m512 scale = _mm512_set1_ps(LOG2_E);
    for (int32_t row = 0; row < a->rows; row++) {
        const float *source = a->queries + (int64_t)row * a->head_dim;
        for (int32_t d = 0; d < a->head_dim; d += 16) {
            const __m256bh pairs = _mm512_cvtneps_pbh(_mm512_mul_ps(_mm512_loadu_ps(source + d), scale));
            _mm256_storeu_si256((__m256i *)(queries + row * QUERY_STRIDE + d / 2), (__m256i)pairs);
        }
    }
}

MS_INLINE TARGET void sum_columns(
    const uint32_t *x, const tile *t, float *sums, const float *factors, int32_t dim, int32_t d, const int rows, const int columns,
    const int ahead) {
    __m512i sum[24];
    value_grid(x, t, d * 4, sum, rows, columns, ahead);
#pragma GCC unroll 6
    for (int m = 0; m < rows; m++) {
#pragma GCC unroll 4
        for (int n = 0; n < columns; n++) {
            float *place = sums + d + m * dim + n * 16;
            const __m512 before = _mm512_loadu_ps(place);
            _mm512_storeu_ps(place, _mm512_fmadd_ps(before, _mm512_set1_ps(factors[m]), (__m512)sum[m * columns + n]));
        }
    }
}

MS_INLINE TARGET void sum_rows(
    const uint32_t *x, const tile *t, float *sums, const float *factors, int32_t dim, const int rows, const int ahead) {
    int32_t d = 0;
    for (; d + 64 <= dim; d += 64) {
        sum_columns(x, t, sums, factors, dim, d, rows, 4, ahead);
    }

    for (; d + 32 <= dim; d += 32) {
        sum_columns(x, t, sums, factors, dim, d, rows, 2, ahead);
    }

    if (d < dim) {
        sum_columns(x, t, sums, factors, dim, d, rows, 1, ahead);
    }
}

#define ROWS(N)                                                                                                           \
    TARGET static void score_##N(const uint32_t *x, const tile *t, int32_t steps, uint32_t *scores, int ahead) {          \
        if (ahead) {                                                                                                      \
            score_rows(x, t, steps, scores, N, 1);                                                                        \
        } else {                                                                                                          \
            score_rows(x, t, steps, scores, N, 0);                                                                        \
        }                                                                                                                 \
    }                                                                                                                     \
    TARGET static void sum_##N(                                                                                           \
        const uint32_t *x, const tile *t, float *sums, const float *factors, int32_t dim, int ahead) {                    \
        if (ahead) {                                                                                                      \
            sum_rows(x, t, sums, factors, dim, N, 1);                                                                     \
        } else {                                                                                                          \
            sum_rows(x, t, sums, factors, dim, N, 0);                                                                     \
        }                                                                                                                 \
    }

ROWS(1)
ROWS(2)
ROWS(3)
ROWS(4)
ROWS(5)
ROWS(6)

typedef void (*score_function)(const uint32_t *, const tile *, int32_t, uint32_t *, int);
typedef void (*sum_function)(const uint32_t *, const tile *, float *, const float *, int32_t, int);
static const score_function SCORE[] = {score_1, score_2, score_3, score_4, score_5, score_6};
static const sum_function SUM[] = {sum_1, sum_2, sum_3, sum_4, sum_5, sum_6};

TARGET static void attend_tile(const ms_cpu_attention *a, const state *s, int32_t begin) {
    tile t;
    find_tile(&t, a, begin);
    const int32_t passes = (a->rows + MOST_ROWS - 1) / MOST_ROWS;
    for (int32_t pass = 0; pass < passes; pass++) {
        const int32_t first = a->rows * pass / passes, rows = a->rows * (pass + 1) / passes - first;
        SCORE[rows - 1](s->queries + first * QUERY_STRIDE, &t, a->head_dim / PACK, (uint32_t *)s->scores + first * TILE, pass == 0);
    }

    for (int32_t row = 0; row < a->rows; row++) {
        const int32_t position = a->first_position + row / a->group;
        const int32_t from = a->window == 0 ? 0 : position - a->window + 1 - begin;
        const int32_t to = (position < begin + t.count - 1 ? position : begin + t.count - 1) - begin;
        float *scores = s->scores + row * TILE;
        s->factors[row] = soften(scores, t.blocks, from < 0 ? 0 : from, to, a->greatest + row, s->totals + row * 16);
        for (int32_t block = 0; block < t.blocks; block += 2) {
            /* What lies beyond an odd last block is not read. */
            const __m512bh pairs =
                _mm512_cvtne2ps_pbh(_mm512_loadu_ps(scores + block * SLOTS + SLOTS), _mm512_loadu_ps(scores + block * SLOTS));
            _mm512_storeu_si512(s->weights + row * WEIGHT_STRIDE + block * SLOTS / PACK, (__m512i)pairs);
        }
    }

    for (int32_t pass = 0; pass < passes; pass++) {
        const int32_t first = a->rows * pass / passes, rows = a->rows * (pass + 1) / passes - first;
        SUM[rows - 1](
            s->weights + first * WEIGHT_STRIDE, &t, a->sums + (int64_t)first * a->head_dim, s->factors + first, a->head_dim, pass == 0);
    }
}

TARGET void ms_cpu_bf16_attend(const ms_cpu_attention *a) {
    const int64_t padded = (a->rows + 15) / 16 * 16;
    state s;
    s.queries = (uint32_t *)a->scratch;
    s.weights = s.queries + padded * QUERY_STRIDE;
    s.scores = (float *)(s.weights + padded * WEIGHT_STRIDE);
    s.totals = s.scores + padded * TILE;
    s.factors = s.totals + padded * 16;
    round_queries(a, s.queries);
    memset(a->sums, 0, (size_t)a->rows * (size_t)a->head_dim * sizeof(float));
    memset(s.totals, 0, (size_t)a->rows * 16 * sizeof(float));
    for (int32_t row = 0; row < a->rows; row++) {
        a->greatest[row] = -INFINITY;
    }

    for (int32_t begin = a->begin; begin < a->end; begin = begin / TILE * TILE + TILE) {
        attend_tile(a, &s, begin);
    }

    for (int32_t row = 0; row < a->rows; row++) {
        a->greatest[row] *= LN_2;
        a->totals[row] = _mm512_reduce_add_ps(_mm512_loadu_ps(s.totals + row * 16));
    }
}
