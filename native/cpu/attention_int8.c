/* Paged attention over a cache of signed bytes. */
#define TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")))
#define DOT(sum, x, w) _mm512_dpbusd_epi32(sum, x, w)
#define PACK 4
/* Numbers of 16 bits go through units for bytes as a high and a low part. */
#define PARTS 2
#define QUERY_STRIDE 64
#define WEIGHT_STRIDE 32
#include "attention_grid.h"

#define MOST_QUERIES (MOST_ROWS / PARTS)

typedef struct state {
    uint32_t *queries;   /* [row, part, QUERY_STRIDE], unsigned with an offset of 32768 */
    uint32_t *weights;   /* [row, part, WEIGHT_STRIDE], unsigned */
    float *scores;       /* [row, part, TILE] whole numbers; scores of a row lie in its first part */
    int32_t *keys;       /* [TILE] sums of each key's elements */
    float *totals;       /* [row, 16] */
    float *factors;      /* [row] what earlier sums are multiplied by */
    float *query_scales; /* [row] */
    float *weight_scales;
} state;

/* Splits sixteen numbers into their high and low bytes. */
MS_INLINE TARGET void split(__m512i value, uint32_t *high, uint32_t *low) {
    _mm_storeu_si128((__m128i *)high, _mm512_cvtepi32_epi8(_mm512_srli_epi32(value, 8)));
    _mm_storeu_si128((__m128i *)low, _mm512_cvtepi32_epi8(value));
}

MS_INLINE TARGET void round_queries(const ms_cpu_attention *a, const state *s) {
    for (int32_t row = 0; row < a->rows; row++) {
        const float *source = a->queries + (int64_t)row * a->head_dim;
        uint32_t *target = s->queries + row * PARTS * QUERY_STRIDE;
        __m512 most = _mm512_setzero_ps(), sum = _mm512_setzero_ps();
        for (int32_t d = 0; d < a->head_dim; d += 16) {
            const __m512 query = _mm512_loadu_ps(source + d);
            most = _mm512_max_ps(most, _mm512_abs_ps(query));
            sum = _mm512_add_ps(sum, query);
        }

        /* A query that is not finite makes a scale that is not a number. */
        const float bound = _mm512_reduce_max_ps(most);
        s->query_scales[row] = LOG2_E * bound / 32767.0f + 0.0f * _mm512_reduce_add_ps(sum);
        const __m512 inverse = _mm512_set1_ps(bound > 0.0f ? 32767.0f / bound : 0.0f);
        for (int32_t d = 0; d < a->head_dim; d += 16) {
            const __m512i whole = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(source + d), inverse));
            split(_mm512_add_epi32(whole, _mm512_set1_epi32(32768)), target + d / PACK, target + QUERY_STRIDE + d / PACK);
        }
    }
}

MS_INLINE TARGET void sum_columns(
    const uint32_t *x, const tile *t, float *sums, const state *s, int32_t row, int32_t dim, int32_t d, const int rows,
    const int columns, const int ahead) {
    __m512i sum[24];
    value_grid(x, t, d * 4, sum, PARTS * rows, columns, ahead);
#pragma GCC unroll 3
    for (int m = 0; m < rows; m++) {
#pragma GCC unroll 4
        for (int n = 0; n < columns; n++) {
            float *place = sums + d + m * dim + n * 16;
            const __m512i whole =
                _mm512_add_epi32(_mm512_slli_epi32(sum[2 * m * columns + n], 8), sum[(2 * m + 1) * columns + n]);
            const __m512 before = _mm512_mul_ps(_mm512_loadu_ps(place), _mm512_set1_ps(s->factors[row + m]));
            _mm512_storeu_ps(place, _mm512_fmadd_ps(_mm512_cvtepi32_ps(whole), _mm512_set1_ps(s->weight_scales[row + m]), before));
        }
    }
}

MS_INLINE TARGET void sum_rows(
    const tile *t, float *sums, const state *s, int32_t row, int32_t dim, const int rows, const int ahead) {
    const uint32_t *x = s->weights + row * PARTS * WEIGHT_STRIDE;
    int32_t d = 0;
    for (; d + 64 <= dim; d += 64) {
        sum_columns(x, t, sums, s, row, dim, d, rows, 4, ahead);
    }

    for (; d + 32 <= dim; d += 32) {
        sum_columns(x, t, sums, s, row, dim, d, rows, 2, ahead);
    }

    if (d < dim) {
        sum_columns(x, t, sums, s, row, dim, d, rows, 1, ahead);
    }
}

#define ROWS(N)                                                                                                           \
    TARGET static void score_##N(const uint32_t *x, const tile *t, int32_t steps, uint32_t *scores, int ahead) {          \
        if (ahead) {                                                                                                      \
            score_rows(x, t, steps, scores, PARTS * N, 1);                                                                \
        } else {                                                                                                          \
            score_rows(x, t, steps, scores, PARTS * N, 0);                                                                \
        }                                                                                                                 \
    }                                                                                                                     \
    TARGET static void sum_##N(const tile *t, float *sums, const state *s, int32_t row, int32_t dim, int ahead) {         \
        if (ahead) {                                                                                                      \
            sum_rows(t, sums, s, row, dim, N, 1);                                                                         \
        } else {                                                                                                          \
            sum_rows(t, sums, s, row, dim, N, 0);                                                                         \
        }                                                                                                                 \
    }

ROWS(1)
ROWS(2)
ROWS(3)

typedef void (*score_function)(const uint32_t *, const tile *, int32_t, uint32_t *, int);
typedef void (*sum_function)(const tile *, float *, const state *, int32_t, int32_t, int);
static const score_function SCORE[] = {score_1, score_2, score_3};
static const sum_function SUM[] = {sum_1, sum_2, sum_3};

/* A row's scores: whole numbers meet the scales of the query and of each key. */
MS_INLINE TARGET void scale_scores(const tile *t, const state *s, int32_t row) {
    float *scores = s->scores + row * PARTS * TILE;
    for (int32_t block = 0; block < t->blocks; block++) {
        float *place = scores + block * SLOTS;
        const __m512i high = _mm512_slli_epi32(_mm512_loadu_si512(place), 8);
        const __m512i offset = _mm512_slli_epi32(_mm512_loadu_si512(s->keys + block * SLOTS), 15);
        const __m512i whole = _mm512_sub_epi32(_mm512_add_epi32(high, _mm512_loadu_si512(place + TILE)), offset);
        const __m512 scale =
            _mm512_mul_ps(_mm512_set1_ps(s->query_scales[row]), _mm512_loadu_ps(t->keys[block] + 2 * t->key_bytes));
        _mm512_storeu_ps(place, _mm512_mul_ps(_mm512_cvtepi32_ps(whole), scale));
    }
}

/* A row's weights meet the scale of each value, and are rounded to 16 bits with a scale of their own. */
MS_INLINE TARGET void round_weights(const tile *t, const state *s, int32_t row, int32_t from, int32_t to) {
    float *scores = s->scores + row * PARTS * TILE;
    uint32_t *target = s->weights + row * PARTS * WEIGHT_STRIDE;
    __m512 most = _mm512_setzero_ps(), sum = _mm512_setzero_ps();
    for (int32_t block = 0; block < t->blocks; block++) {
        const __m512 scale = _mm512_maskz_loadu_ps(visible(block, from, to), t->keys[block] + 2 * t->key_bytes + SLOTS * sizeof(float));
        const __m512 weight = _mm512_mul_ps(_mm512_loadu_ps(scores + block * SLOTS), scale);
        _mm512_storeu_ps(scores + block * SLOTS, weight);
        most = _mm512_max_ps(most, weight);
        sum = _mm512_add_ps(sum, weight);
    }

    const float bound = _mm512_reduce_max_ps(most);
    s->weight_scales[row] = bound / 65535.0f + 0.0f * _mm512_reduce_add_ps(sum);
    const __m512 inverse = _mm512_set1_ps(bound > 0.0f ? 65535.0f / bound : 0.0f);
    for (int32_t block = 0; block < t->blocks; block++) {
        const __m512i whole = _mm512_cvtps_epu32(_mm512_mul_ps(_mm512_loadu_ps(scores + block * SLOTS), inverse));
        uint32_t *place = target + block * SLOTS / PACK;
        split(_mm512_min_epu32(whole, _mm512_set1_epi32(65535)), place, place + WEIGHT_STRIDE);
    }
}

TARGET static void attend_tile(const ms_cpu_attention *a, const state *s, int32_t begin) {
    tile t;
    find_tile(&t, a, begin);
    const uint32_t ones[QUERY_STRIDE] = {
#define FOUR 0x01010101u, 0x01010101u, 0x01010101u, 0x01010101u
#define SIXTEEN FOUR, FOUR, FOUR, FOUR
        SIXTEEN, SIXTEEN, SIXTEEN, SIXTEEN};
    score_rows(ones, &t, a->head_dim / PACK, (uint32_t *)s->keys, 1, 1);
    const int32_t passes = (a->rows + MOST_QUERIES - 1) / MOST_QUERIES;
    for (int32_t pass = 0; pass < passes; pass++) {
        const int32_t first = a->rows * pass / passes, rows = a->rows * (pass + 1) / passes - first;
        SCORE[rows - 1](
            s->queries + first * PARTS * QUERY_STRIDE, &t, a->head_dim / PACK, (uint32_t *)s->scores + first * PARTS * TILE, 0);
    }

    for (int32_t row = 0; row < a->rows; row++) {
        const int32_t position = a->first_position + row / a->group;
        const int32_t low = a->window == 0 ? 0 : position - a->window + 1 - begin, from = low < 0 ? 0 : low;
        const int32_t to = (position < begin + t.count - 1 ? position : begin + t.count - 1) - begin;
        scale_scores(&t, s, row);
        s->factors[row] =
            soften(s->scores + row * PARTS * TILE, t.blocks, from, to, a->greatest + row, s->totals + row * 16);
        round_weights(&t, s, row, from, to);
    }

    for (int32_t pass = 0; pass < passes; pass++) {
        const int32_t first = a->rows * pass / passes, rows = a->rows * (pass + 1) / passes - first;
        SUM[rows - 1](&t, a->sums + (int64_t)first * a->head_dim, s, first, a->head_dim, pass == 0);
    }
}

TARGET void ms_cpu_int8_attend(const ms_cpu_attention *a) {
    const int64_t padded = (a->rows + 15) / 16 * 16;
    state s;
    s.queries = (uint32_t *)a->scratch;
    s.weights = s.queries + padded * PARTS * QUERY_STRIDE;
    s.scores = (float *)(s.weights + padded * PARTS * WEIGHT_STRIDE);
    s.totals = s.scores + padded * PARTS * TILE;
    s.factors = s.totals + padded * 16;
    s.query_scales = s.factors + padded;
    s.weight_scales = s.query_scales + padded;
    s.keys = (int32_t *)(s.weight_scales + padded);
    round_queries(a, &s);
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
