/* Tiles: a few panels of weights times one block of activations, sums in registers; not part of the interface. */
#ifndef MODELSERVE_CPU_BF16_TILES_H
#define MODELSERVE_CPU_BF16_TILES_H

#include "bf16_narrow.h"

/* Pairs of columns for which a few rows fetch ahead of themselves: 2 KiB of each panel, enough for the memory. */
#define RUN_AHEAD 32

/* Bytes of narrow panels that two or one of them call from the second-level cache ahead of their use: it does not follow them by itself. */
#define NARROW_AHEAD (8 * MS_NARROW_QUAD_BYTES)

/* Words of activations that are fetched before their use: another processor's cache may have them, and be a microsecond's fifth away. */
#define ACTIVATIONS_AHEAD 512

/* Pairs of columns that one pass covers, a multiple of 4: two panels of them and the next two leave room in a second-level cache of 1 MiB. */
#define MOST_PAIRS 1024

/* Bytes of a panel that a pass has decoded, at most. */
#define DECODED_BYTES (MOST_PAIRS * 64)

/* Where weights lie: a few panels, each from some pair of columns on. Of four, the second two lie a group's distance from the first. */
typedef struct place {
    const uint8_t *start;
    int64_t panel_bytes;
    int64_t group_bytes;
} place;

/* One tile: a few panels times one block of activations, over a range of pairs of columns. */
typedef struct tile {
    place weight;
    place ahead;        /* what the cache should fetch meanwhile */
    int64_t ahead_step; /* bytes of it for each line, in each panel */
    const uint32_t *x;  /* first pair of the block */
    int64_t pairs;
    float *y; /* first row, first lane */
    int64_t y_stride;
    int64_t y_panel; /* lanes from one panel to the next */
    int64_t y_group;
    const float *bias; /* of the first lane, or null */
    place heads;          /* of narrow panels */
    const float *begin;   /* of narrow panels, in place of the bias: what sums start with, [panel, lane] */
    uint8_t *decoded;     /* [panel] where KEEPING tiles of narrow panels leave their weights as they are used, for those after them */
    const float *down;    /* [panel, lane] what sums of narrow panels are multiplied by in the last pass; else null */
    float *gated;      /* first row, first lane of what the gates let through, if this is where it is made; or null */
    int64_t gated_stride;
    int resume;      /* whether y holds the sums of earlier pairs */
    __mmask16 lanes; /* rows of the panel that are there */
    int32_t height;  /* how many */
} tile;

MS_INLINE int64_t panel_place(const int n, const int panels, int64_t panel, int64_t group) {
    return panels == 4 ? (n & 1) * panel + (n >> 1) * group : n * panel;
}

/* Adds the products of one pair of columns in every row and panel. */
MS_INLINE MS_TARGET_BF16 void add_products(const uint32_t *x, const __m512bh *weights, const int rows, const int panels, __m512 *sum) {
    _mm_prefetch((const char *)(x + ACTIVATIONS_AHEAD), _MM_HINT_T0);
#pragma GCC unroll 12
    for (int m = 0; m < rows; m++) {
        const __m512bh both = (__m512bh)_mm512_set1_epi32((int)x[m]);
#pragma GCC unroll 4
        for (int n = 0; n < panels; n++) {
            sum[m * panels + n] = _mm512_dpbf16_ps(sum[m * panels + n], both, weights[n]);
        }
    }
}

/* Adds the products of some pairs; the weights' place and the activations' move on. */
MS_INLINE MS_TARGET_BF16 void add_pairs(
    place *weight,
    const uint32_t **activations,
    int64_t pairs,
    place fetched,
    const int64_t fetched_step,
    const __mmask16 lanes,
    const int64_t pair_bytes,
    const int rows,
    const int panels,
    const int partial,
    const int fetches,
    __m512 *sum) {
    const uint8_t *w = weight->start;
    const int64_t panel_bytes = weight->panel_bytes, group_bytes = weight->group_bytes;
    const uint32_t *x = *activations;
    for (; pairs > 0; pairs--) {
        __m512bh weights[4];
#pragma GCC unroll 4
        for (int n = 0; n < panels; n++) {
            const uint8_t *line = w + panel_place(n, panels, panel_bytes, group_bytes);
            weights[n] = (__m512bh)(partial ? _mm512_maskz_loadu_epi32(lanes, line) : _mm512_loadu_si512(line));
            if (fetches) {
                _mm_prefetch(
                    (const char *)(fetched.start + panel_place(n, panels, fetched.panel_bytes, fetched.group_bytes)), _MM_HINT_T1);
            }
        }

        add_products(x, weights, rows, panels, sum);

        w += pair_bytes;
        fetched.start += fetched_step;
        x += rows;
    }

    weight->start = w;
    *activations = x;
}

/* As add_pairs, of narrow panels and four pairs at a time. */
MS_INLINE MS_TARGET_BF16 void add_quads(
    place *weight,
    const uint32_t **activations,
    int64_t quads,
    place fetched,
    const int64_t fetched_step,
    const int rows,
    const int panels,
    const int fetches,
    uint8_t *decoded,
    const int keeps,
    __m512 *sum) {
    const __m512i kept = _mm512_set1_epi32(MS_NARROW_KEPT), fixed = _mm512_set1_epi32(MS_NARROW_FIXED);
    const uint8_t *w = weight->start;
    const int64_t panel_bytes = weight->panel_bytes, group_bytes = weight->group_bytes;
    const uint32_t *x = *activations;
    for (; quads > 0; quads--) {
#pragma GCC unroll 4
        for (int line = 0; line < 4; line++) {
            __m512bh weights[4];
#pragma GCC unroll 4
            for (int n = 0; n < panels; n++) {
                const uint8_t *lines = w + panel_place(n, panels, panel_bytes, group_bytes);
                weights[n] = (__m512bh)(line < 3 ? ms_narrow_own(lines + 64 * line, kept, fixed) : ms_narrow_fourth(lines, kept, fixed));
                if (keeps) {
                    _mm512_store_si512(decoded + n * DECODED_BYTES + line * 64, (__m512i)weights[n]);
                }

                if (panels < 4 && line < 3) {
                    _mm_prefetch((const char *)(lines + NARROW_AHEAD + 64 * line), _MM_HINT_T0);
                }

                if (fetches && line < 3) {
                    _mm_prefetch(
                        (const char *)(fetched.start + panel_place(n, panels, fetched.panel_bytes, fetched.group_bytes)), _MM_HINT_T1);
                }
            }

            add_products(x, weights, rows, panels, sum);

            fetched.start += line < 3 ? fetched_step : 0;
            x += rows;
        }

        w += MS_NARROW_QUAD_BYTES;
        decoded += keeps ? 256 : 0;
    }

    weight->start = w;
    *activations = x;
}

/* Panels of 16 rows, and of fewer; narrow ones, the same when the decoded weights are kept, and what was kept. */
enum { WHOLE, PARTIAL, NARROW, KEEPING, DECODED };

MS_INLINE MS_TARGET_BF16 void add_some(
    place *weight,
    const uint32_t **x,
    int64_t pairs,
    place fetched,
    const int64_t fetched_step,
    const tile *t,
    const int rows,
    const int panels,
    const int kind,
    const int fetches,
    __m512 *sum) {
    if (kind == NARROW || kind == KEEPING) {
        add_quads(weight, x, pairs / 4, fetched, fetched_step, rows, panels, fetches, t->decoded, kind == KEEPING, sum);
    } else {
        const int partial = kind == PARTIAL;
        const __mmask16 lanes = partial ? t->lanes : (__mmask16)0xFFFF;
        add_pairs(weight, x, pairs, fetched, fetched_step, lanes, partial ? 4 * (int64_t)t->height : 64, rows, panels, partial, fetches, sum);
    }
}

MS_INLINE MS_TARGET_BF16 void multiply_tile(const tile *t, const int rows, const int panels, const int kind) {
    const __mmask16 lanes = kind == PARTIAL ? t->lanes : (__mmask16)0xFFFF;
    place weight = t->weight;
    const uint32_t *x = t->x;
    float *const y = t->y;
    const int64_t y_stride = t->y_stride, y_panel = t->y_panel, y_group = t->y_group;
    float *const gated = t->gated;
    const int64_t gated_stride = t->gated_stride;
    __m512 sum[24];
#pragma GCC unroll 12
    for (int m = 0; m < rows; m++) {
        /* Another processor may have read what was here before: its lines are called in now, and not when they are stored to. */
        if (panels != 1 && gated) {
            __builtin_prefetch(gated + m * gated_stride, 1);
            if (panels == 4) {
                __builtin_prefetch(gated + m * gated_stride + MS_PANEL, 1);
            }
        }

#pragma GCC unroll 4
        for (int n = 0; n < panels; n++) {
            const int64_t lane = panel_place(n, panels, y_panel, y_group);
            if (panels == 1 || !gated) {
                __builtin_prefetch(y + m * y_stride + lane, 1);
            }

            sum[m * panels + n] = t->resume        ? _mm512_maskz_loadu_ps(lanes, y + m * y_stride + lane)
                                  : kind >= NARROW ? _mm512_loadu_ps(t->begin + n * MS_PANEL)
                                  : t->bias        ? _mm512_maskz_loadu_ps(lanes, t->bias + lane)
                                                   : _mm512_setzero_ps();
        }
    }

    if (kind >= NARROW && !t->resume) {
        /* An exception's own pair of columns, twice more: what it adds, and what its code will add too much. */
#pragma GCC unroll 4
        for (int n = 0; n < panels; n++) {
            const uint8_t *const head = t->heads.start + panel_place(n, panels, t->heads.panel_bytes, t->heads.group_bytes);
            const int32_t count = ms_narrow_count(head);
            for (int32_t number = 0; number < count; number++) {
                const ms_narrow_item item = ms_narrow_get(head, number);
                const int upper = item.column % 2 * 16;
                const __mmask16 lane = (__mmask16)(1u << item.lane);
                const __m512bh adds = (__m512bh)_mm512_maskz_set1_epi32(lane, (int)((uint32_t)ms_narrow_scaled(item.half, head[item.lane]) << upper));
                const __m512bh takes = (__m512bh)_mm512_maskz_set1_epi32(lane, (int)(MS_NARROW_LESS << upper));
                const uint32_t *from = x + (int64_t)(item.column / 2) * rows;
#pragma GCC unroll 12
                for (int m = 0; m < rows; m++) {
                    const __m512bh both = (__m512bh)_mm512_set1_epi32((int)from[m]);
                    sum[m * panels + n] = _mm512_dpbf16_ps(_mm512_dpbf16_ps(sum[m * panels + n], both, adds), both, takes);
                }
            }
        }
    }

    if (panels == 4) {
        /*
         * Four panels are four streams, which the processor's own prefetcher follows by itself; it only starts late. So the last
         * pairs fetch the first ones of the next panels, and one or two rows, which ask for more than it gives, run ahead.
         */
        const int64_t last = t->pairs < RUN_AHEAD ? t->pairs : RUN_AHEAD;
        place own = weight;
        own.start += RUN_AHEAD * (kind == NARROW ? MS_NARROW_PAIR_BYTES : 64);
        add_some(&weight, &x, t->pairs - last, own, 64, t, rows, panels, kind, rows < 3, sum);
        add_some(&weight, &x, last, t->ahead, 64, t, rows, panels, kind, 1, sum);
    } else {
        add_some(&weight, &x, t->pairs, t->ahead, t->ahead_step, t, rows, panels, kind, 1, sum);
    }

    if (kind >= NARROW && t->down) {
#pragma GCC unroll 12
        for (int m = 0; m < rows; m++) {
#pragma GCC unroll 4
            for (int n = 0; n < panels; n++) {
                sum[m * panels + n] = _mm512_mul_ps(sum[m * panels + n], _mm512_loadu_ps(t->down + n * MS_PANEL));
            }
        }
    }

    if (panels != 1 && gated) {
        /* The first half of the panels are gates, the second what they let through. */
        const int gates = panels / 2;
#pragma GCC unroll 12
        for (int m = 0; m < rows; m++) {
#pragma GCC unroll 2
            for (int n = 0; n < gates; n++) {
                _mm512_storeu_ps(
                    gated + m * gated_stride + n * MS_PANEL,
                    _mm512_mul_ps(ms_silu(sum[m * panels + n]), sum[m * panels + n + gates]));
            }
        }

        return;
    }

#pragma GCC unroll 12
    for (int m = 0; m < rows; m++) {
#pragma GCC unroll 4
        for (int n = 0; n < panels; n++) {
            _mm512_mask_storeu_ps(y + m * y_stride + panel_place(n, panels, y_panel, y_group), lanes, sum[m * panels + n]);
        }
    }
}

#define TILE(NAME, ROWS, PANELS, KIND) \
    MS_TARGET_BF16 static void NAME(const tile *t) { multiply_tile(t, ROWS, PANELS, KIND); }
#define TILES(PREFIX, PANELS, KIND)                                                                                    \
    TILE(PREFIX##1, 1, PANELS, KIND)                                                                                   \
    TILE(PREFIX##2, 2, PANELS, KIND)                                                                                   \
    TILE(PREFIX##3, 3, PANELS, KIND)                                                                                   \
    TILE(PREFIX##4, 4, PANELS, KIND)                                                                                   \
    TILE(PREFIX##5, 5, PANELS, KIND)                                                                                   \
    TILE(PREFIX##6, 6, PANELS, KIND)
#define LAST_TILES(PREFIX, PANELS, KIND)                                                                               \
    TILE(PREFIX##7, 7, PANELS, KIND)                                                                                   \
    TILE(PREFIX##8, 8, PANELS, KIND)                                                                                   \
    TILE(PREFIX##9, 9, PANELS, KIND)                                                                                   \
    TILE(PREFIX##10, 10, PANELS, KIND)                                                                                 \
    TILE(PREFIX##11, 11, PANELS, KIND)                                                                                 \
    TILE(PREFIX##12, 12, PANELS, KIND)
#define SOME_TILES(PREFIX, PANELS, KIND)                                                                               \
    TILE(PREFIX##6, 6, PANELS, KIND)                                                                                   \
    LAST_TILES(PREFIX, PANELS, KIND)
#define MORE_TILES(PREFIX, PANELS, KIND)                                                                               \
    TILES(PREFIX, PANELS, KIND)                                                                                        \
    LAST_TILES(PREFIX, PANELS, KIND)

TILES(four_, 4, WHOLE)
MORE_TILES(two_, 2, WHOLE)
MORE_TILES(one_, 1, WHOLE)
MORE_TILES(part_, 1, PARTIAL)
TILES(narrow_four_, 4, NARROW)
MORE_TILES(narrow_two_, 2, NARROW)
MORE_TILES(narrow_one_, 1, NARROW)
SOME_TILES(keeping_two_, 2, KEEPING)
SOME_TILES(keeping_one_, 1, KEEPING)
SOME_TILES(decoded_two_, 2, DECODED)
SOME_TILES(decoded_one_, 1, DECODED)

typedef void (*tile_function)(const tile *);

#define SIX(PREFIX) PREFIX##1, PREFIX##2, PREFIX##3, PREFIX##4, PREFIX##5, PREFIX##6
#define LAST_SIX(PREFIX) PREFIX##7, PREFIX##8, PREFIX##9, PREFIX##10, PREFIX##11, PREFIX##12
#define TWELVE(PREFIX) SIX(PREFIX), LAST_SIX(PREFIX)
static const tile_function FOUR[] = {SIX(four_)};
static const tile_function TWO[] = {TWELVE(two_)};
static const tile_function ONE[] = {TWELVE(one_)};
static const tile_function PART[] = {TWELVE(part_)};
static const tile_function NARROW_FOUR[] = {SIX(narrow_four_)};
static const tile_function NARROW_TWO[] = {TWELVE(narrow_two_)};
static const tile_function NARROW_ONE[] = {TWELVE(narrow_one_)};


/* Of one and of two panels, for the blocks that there are where one is not enough: from LEAST_OF_SEVERAL rows on. */
#define LEAST_OF_SEVERAL ((MS_BLOCK + 1) / 2)
#define SEVEN(PREFIX) PREFIX##6, LAST_SIX(PREFIX)
static const tile_function KEEPING_TILES[2][MS_BLOCK - LEAST_OF_SEVERAL + 1] = {{SEVEN(keeping_one_)}, {SEVEN(keeping_two_)}};
static const tile_function DECODED_TILES[2][MS_BLOCK - LEAST_OF_SEVERAL + 1] = {{SEVEN(decoded_one_)}, {SEVEN(decoded_two_)}};

static const tile_function *tiles_of(int32_t panels, int narrow) {
    return panels == 4 ? (narrow ? NARROW_FOUR : FOUR) : panels == 2 ? (narrow ? NARROW_TWO : TWO) : narrow ? NARROW_ONE : ONE;
}

#endif
