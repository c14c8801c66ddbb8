/* Products of bfloat16: weights from memory, activations from the cache, sums in registers. */
#include "avx512.h"
#include "modelserve_cpu.h"

/* Pairs of columns for which a few rows fetch ahead of themselves: 2 KiB of each panel, enough for the memory. */
#define RUN_AHEAD 32

/* Words of activations that are fetched before their use: another processor's cache may have them, and be a microsecond's fifth away. */
#define ACTIVATIONS_AHEAD 512

/* Pairs of columns that one pass covers: two panels of them and the next two leave room in a second-level cache of 1 MiB. */
#define MOST_PAIRS 1024

/* Blocks of activations, the last of a pass, that fetch the next weights between them: any earlier, and they might be gone again. */
#define FETCHING_BLOCKS 4

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
    int64_t ahead_step; /* bytes of it for each pair, in each panel */
    const uint32_t *x;  /* first pair of the block */
    int64_t pairs;
    float *y; /* first row, first lane */
    int64_t y_stride;
    int64_t y_panel; /* lanes from one panel to the next */
    int64_t y_group;
    const float *bias; /* of the first lane, or null */
    float *gated;      /* first row, first lane of what the gates let through, if this is where it is made; or null */
    int64_t gated_stride;
    int resume;      /* whether y holds the sums of earlier pairs */
    __mmask16 lanes; /* rows of the panel that are there */
    int32_t height;  /* how many */
} tile;

MS_INLINE int64_t panel_place(const int n, const int panels, int64_t panel, int64_t group) {
    return panels == 4 ? (n & 1) * panel + (n >> 1) * group : n * panel;
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

        _mm_prefetch((const char *)(x + ACTIVATIONS_AHEAD), _MM_HINT_T0);
#pragma GCC unroll 12
        for (int m = 0; m < rows; m++) {
            const __m512bh both = (__m512bh)_mm512_set1_epi32((int)x[m]);
#pragma GCC unroll 4
            for (int n = 0; n < panels; n++) {
                sum[m * panels + n] = _mm512_dpbf16_ps(sum[m * panels + n], both, weights[n]);
            }
        }

        w += pair_bytes;
        fetched.start += fetched_step;
        x += rows;
    }

    weight->start = w;
    *activations = x;
}

MS_INLINE MS_TARGET_BF16 void multiply_tile(const tile *t, const int rows, const int panels, const int partial) {
    const __mmask16 lanes = partial ? t->lanes : (__mmask16)0xFFFF;
    const int64_t pair_bytes = partial ? 4 * (int64_t)t->height : 64;
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

            sum[m * panels + n] = t->resume ? _mm512_maskz_loadu_ps(lanes, y + m * y_stride + lane)
                                  : t->bias ? _mm512_maskz_loadu_ps(lanes, t->bias + lane)
                                            : _mm512_setzero_ps();
        }
    }

    if (panels == 4) {
        /*
         * Four panels are four streams, which the processor's own prefetcher follows by itself; it only starts late. So the last
         * pairs fetch the first ones of the next panels, and one or two rows, which ask for more than it gives, run ahead.
         */
        const int64_t last = t->pairs < RUN_AHEAD ? t->pairs : RUN_AHEAD;
        place own = weight;
        own.start += RUN_AHEAD * 64;
        add_pairs(&weight, &x, t->pairs - last, own, 64, lanes, pair_bytes, rows, panels, partial, rows < 3, sum);
        add_pairs(&weight, &x, last, t->ahead, 64, lanes, pair_bytes, rows, panels, partial, 1, sum);
    } else {
        add_pairs(&weight, &x, t->pairs, t->ahead, t->ahead_step, lanes, pair_bytes, rows, panels, partial, 1, sum);
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

#define TILE(NAME, ROWS, PANELS, PARTIAL) \
    MS_TARGET_BF16 static void NAME(const tile *t) { multiply_tile(t, ROWS, PANELS, PARTIAL); }
#define TILES(PREFIX, PANELS, PARTIAL)                                                                                    \
    TILE(PREFIX##1, 1, PANELS, PARTIAL)                                                                                   \
    TILE(PREFIX##2, 2, PANELS, PARTIAL)                                                                                   \
    TILE(PREFIX##3, 3, PANELS, PARTIAL)                                                                                   \
    TILE(PREFIX##4, 4, PANELS, PARTIAL)                                                                                   \
    TILE(PREFIX##5, 5, PANELS, PARTIAL)                                                                                   \
    TILE(PREFIX##6, 6, PANELS, PARTIAL)
#define MORE_TILES(PREFIX, PANELS, PARTIAL)                                                                               \
    TILES(PREFIX, PANELS, PARTIAL)                                                                                        \
    TILE(PREFIX##7, 7, PANELS, PARTIAL)                                                                                   \
    TILE(PREFIX##8, 8, PANELS, PARTIAL)                                                                                   \
    TILE(PREFIX##9, 9, PANELS, PARTIAL)                                                                                   \
    TILE(PREFIX##10, 10, PANELS, PARTIAL)                                                                                 \
    TILE(PREFIX##11, 11, PANELS, PARTIAL)                                                                                 \
    TILE(PREFIX##12, 12, PANELS, PARTIAL)

TILES(four_, 4, 0)
MORE_TILES(two_, 2, 0)
MORE_TILES(one_, 1, 0)
MORE_TILES(part_, 1, 1)

typedef void (*tile_function)(const tile *);

#define SIX(PREFIX) PREFIX##1, PREFIX##2, PREFIX##3, PREFIX##4, PREFIX##5, PREFIX##6
#define TWELVE(PREFIX) SIX(PREFIX), PREFIX##7, PREFIX##8, PREFIX##9, PREFIX##10, PREFIX##11, PREFIX##12
static const tile_function FOUR[] = {SIX(four_)};
static const tile_function TWO[] = {TWELVE(two_)};
static const tile_function ONE[] = {TWELVE(one_)};
static const tile_function PART[] = {TWELVE(part_)};

/* All activations times a few panels, from a row of the weights on; the weights come from memory once. */
static void multiply_panels(const ms_cpu_product *product, tile t, int32_t row, const tile_function *functions, place start, place next) {
    const int64_t all_pairs = product->columns / 2;
    const int64_t pair_bytes = 4 * (int64_t)t.height;
    const int32_t blocks = (product->count + MS_BLOCK - 1) / MS_BLOCK;
    const int32_t fetching = blocks < FETCHING_BLOCKS ? blocks : FETCHING_BLOCKS;
    const int64_t most_pairs = product->count < 3 ? all_pairs : MOST_PAIRS;
    t.bias = product->bias ? product->bias + row : 0;
    for (int64_t pair = 0; pair < all_pairs; pair += most_pairs) {
        const int last = all_pairs - pair <= most_pairs;
        place ahead = last ? next : start;
        ahead.start += last ? 0 : (pair + most_pairs) * pair_bytes;
        t.pairs = last ? all_pairs - pair : most_pairs;
        t.resume = pair > 0;
        t.weight = start;
        t.weight.start += pair * pair_bytes;
        for (int32_t block = 0; block < blocks; block++) {
            const int32_t first = (int32_t)((int64_t)product->count * block / blocks);
            const int32_t rows = (int32_t)((int64_t)product->count * (block + 1) / blocks) - first;
            const int32_t turn = block - (blocks - fetching);
            t.ahead = turn < 0 ? t.weight : ahead;
            t.ahead_step = turn < 0 ? 0 : 64 / fetching;
            t.ahead.start += turn < 0 ? 0 : turn * t.pairs * t.ahead_step;
            t.x = product->arranged + all_pairs * first + pair * rows;
            t.y = product->y + first * product->y_stride + row;
            t.gated = product->gated && last ? product->gated + first * product->gated_stride + row : 0;
            functions[rows - 1](&t);
        }
    }
}

/* Panels of which tiles of so many activations take some at a time; gated ones are followed by their partners. */
static int32_t own_panels(const ms_cpu_product *product) {
    return (product->gated ? product->rows / 2 : product->rows) / MS_PANEL;
}

/* Where the panels lie that are read together from this one on, and how many of the product's own they are. */
static place place_of(const ms_cpu_product *product, int32_t panel, int32_t end, int32_t *step) {
    const int64_t panel_bytes = (int64_t)MS_PANEL * product->columns * 2;
    const int64_t partner = product->rows / 2 / MS_PANEL * panel_bytes;
    const uint8_t *start = (const uint8_t *)product->weight + panel * panel_bytes;

    /* Few activations need more panels at a time: their sums must keep the multiplier busy while it waits for its own results. */
    const int32_t most = (product->count <= 6 ? 4 : 2) / (product->gated ? 2 : 1);
    *step = end - panel >= most ? most : end - panel >= 2 ? 2 : 1;
    return product->gated ? (place){start, *step == 1 ? partner : panel_bytes, partner} : (place){start, panel_bytes, 2 * panel_bytes};
}

void ms_cpu_bf16_multiply(const ms_cpu_product *product, int32_t first, int32_t last, const ms_cpu_product *next, int32_t next_panel) {
    const int32_t whole = own_panels(product);
    const int32_t end = last < whole ? last : whole;
    int32_t ignored;
    tile t;
    t.y_stride = product->y_stride;
    t.gated_stride = product->gated_stride;
    for (int32_t panel = first; panel < last;) {
        int32_t step;
        const place start = place_of(product, panel, end, &step);
        const int32_t panels = product->gated ? 2 * step : step;
        const tile_function *functions = panel >= end ? PART : panels == 4 ? FOUR : panels == 2 ? TWO : ONE;
        t.height = panel >= end ? product->rows - panel * MS_PANEL : MS_PANEL;
        t.lanes = (__mmask16)((1u << t.height) - 1u);
        t.y_panel = product->gated && step == 1 ? product->rows / 2 : MS_PANEL;
        t.y_group = product->gated ? product->rows / 2 : 2 * MS_PANEL;
        const place after = panel + step < last ? place_of(product, panel + step, end, &ignored)
                            : next              ? place_of(next, next_panel, own_panels(next), &ignored)
                                                : start;
        multiply_panels(product, t, panel * MS_PANEL, functions, start, after);
        panel += step;
    }
}

void ms_cpu_bf16_fetch(const ms_cpu_product *product, int32_t panel, int32_t first_pair, int32_t pairs) {
    int32_t step;
    place from = place_of(product, panel, own_panels(product), &step);
    const int32_t panels = product->gated ? 2 * step : step;
    from.start += (int64_t)first_pair * 64;
    for (int32_t pair = 0; pair < pairs; pair++, from.start += 64) {
        for (int n = 0; n < panels; n++) {
            _mm_prefetch((const char *)(from.start + panel_place(n, panels, from.panel_bytes, from.group_bytes)), _MM_HINT_T1);
        }
    }
}
