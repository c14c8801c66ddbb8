/* Products of bfloat16: weights from memory, activations from the cache, sums in registers. */
#include "avx512.h"
#include "modelserve_cpu.h"

/* Bytes that one activation row runs ahead of itself, in each panel: enough for the memory, and mostly within the panel. */
#define RUN_AHEAD 2048

/* Pairs of columns that one pass covers: two panels of them take half of a second-level cache of 1 MiB. */
#define MOST_PAIRS 4096

/* One tile: a few panels times one block of activations, over a range of pairs of columns. */
typedef struct tile {
    const uint8_t *weight; /* first pair of the first panel */
    int64_t panel_bytes;   /* from one panel to the next */
    const uint8_t *ahead;  /* what the cache should fetch meanwhile, as far from the weights as the pairs are */
    int64_t ahead_step;    /* bytes of it for each pair, in each panel */
    const uint32_t *x;     /* first pair of the block */
    int64_t pairs;
    float *y; /* first row, first lane */
    int64_t y_stride;
    const float *bias; /* of the first lane, or null */
    int resume;        /* whether y holds the sums of earlier pairs */
    __mmask16 lanes;   /* rows of the panel that are there */
    int32_t height;    /* how many */
} tile;

MS_INLINE MS_TARGET_BF16 void multiply_tile(const tile *t, const int rows, const int panels, const int partial) {
    /* Four panels are four streams, which the processor's own prefetcher follows by itself; it only starts late. */
    const int prefetches = panels < 4 || rows < 3;
    const uint8_t *w = t->weight;
    const uint8_t *ahead = t->ahead;
    const uint32_t *x = t->x;
    const int64_t panel_bytes = t->panel_bytes;
    const int64_t ahead_step = t->ahead_step;
    const __mmask16 lanes = partial ? t->lanes : (__mmask16)0xFFFF;
    const int64_t pair_bytes = partial ? 4 * (int64_t)t->height : 64;
    __m512 sum[24];
#pragma GCC unroll 12
    for (int m = 0; m < rows; m++) {
#pragma GCC unroll 4
        for (int n = 0; n < panels; n++) {
            sum[m * panels + n] = t->resume ? _mm512_maskz_loadu_ps(lanes, t->y + m * t->y_stride + n * MS_PANEL)
                                  : t->bias ? _mm512_maskz_loadu_ps(lanes, t->bias + n * MS_PANEL)
                                            : _mm512_setzero_ps();
        }
    }

    for (int64_t pair = t->pairs; pair > 0; pair--) {
        __m512bh weights[4];
#pragma GCC unroll 4
        for (int n = 0; n < panels; n++) {
            const uint8_t *place = w + n * panel_bytes;
            weights[n] = (__m512bh)(partial ? _mm512_maskz_loadu_epi32(lanes, place) : _mm512_loadu_si512(place));
            if (prefetches) {
                _mm_prefetch((const char *)(ahead + n * panel_bytes), _MM_HINT_T1);
            }
        }

#pragma GCC unroll 12
        for (int m = 0; m < rows; m++) {
            const __m512bh both = (__m512bh)_mm512_set1_epi32((int)x[m]);
#pragma GCC unroll 4
            for (int n = 0; n < panels; n++) {
                sum[m * panels + n] = _mm512_dpbf16_ps(sum[m * panels + n], both, weights[n]);
            }
        }

        w += pair_bytes;
        ahead += ahead_step;
        x += rows;
    }

#pragma GCC unroll 12
    for (int m = 0; m < rows; m++) {
#pragma GCC unroll 4
        for (int n = 0; n < panels; n++) {
            _mm512_mask_storeu_ps(t->y + m * t->y_stride + n * MS_PANEL, lanes, sum[m * panels + n]);
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

/* All activations times some panels that lie beside each other; the weights come from memory once. */
static void multiply_panels(
    const ms_cpu_product *product, int32_t panel, int32_t panels, const tile_function *functions, int32_t height) {
    const int64_t all_pairs = product->columns / 2;
    const int32_t blocks = (product->count + MS_BLOCK - 1) / MS_BLOCK;
    tile t;
    t.panel_bytes = (int64_t)MS_PANEL * product->columns * 2;
    t.y_stride = product->y_stride;
    t.bias = product->bias ? product->bias + panel * MS_PANEL : 0;
    t.height = height;
    t.lanes = (__mmask16)((1u << height) - 1u);
    t.ahead_step = 64 / blocks;
    const uint8_t *start = (const uint8_t *)product->weight + panel * t.panel_bytes;
    for (int64_t pair = 0; pair < all_pairs; pair += MOST_PAIRS) {
        t.pairs = all_pairs - pair < MOST_PAIRS ? all_pairs - pair : MOST_PAIRS;
        t.resume = pair > 0;
        t.weight = start + pair * 4 * height;
        for (int32_t block = 0; block < blocks; block++) {
            const int32_t first = (int32_t)((int64_t)product->count * block / blocks);
            const int32_t rows = (int32_t)((int64_t)product->count * (block + 1) / blocks) - first;

            /* Each block's pass fetches its share of the next panels. */
            t.ahead = product->count < 3 ? t.weight + RUN_AHEAD
                                         : t.weight + panels * t.panel_bytes + block * t.pairs * t.ahead_step;
            t.x = product->arranged + all_pairs * first + pair * rows;
            t.y = product->y + first * product->y_stride + panel * MS_PANEL;
            functions[rows - 1](&t);
        }
    }
}

void ms_cpu_bf16_multiply(const ms_cpu_product *product, int32_t first, int32_t last) {
    const int32_t whole = product->rows / MS_PANEL;
    const int32_t end = last < whole ? last : whole;
    int32_t panel = first;

    /* Few activations need more panels at a time: their sums must keep the multiplier busy while it waits for its own results. */
    if (product->count <= 6) {
        for (; panel + 4 <= end; panel += 4) {
            multiply_panels(product, panel, 4, FOUR, MS_PANEL);
        }
    }

    for (; panel + 2 <= end; panel += 2) {
        multiply_panels(product, panel, 2, TWO, MS_PANEL);
    }

    for (; panel < end; panel++) {
        multiply_panels(product, panel, 1, ONE, MS_PANEL);
    }

    if (panel < last) {
        multiply_panels(product, panel, 1, PART, product->rows - panel * MS_PANEL);
    }
}
