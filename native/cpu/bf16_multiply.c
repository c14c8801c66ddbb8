/* Products of bfloat16: weights from memory, activations from the cache, sums in registers. */
#include "bf16_tiles.h"
#include "modelserve_cpu.h"

/* Blocks of activations, the last of a pass, that fetch the next weights between them: any earlier, and they might be gone again. */
#define FETCHING_BLOCKS 4

/* What sums of a few narrow panels start with and are multiplied by at last: [panel, lane]. */
typedef struct factors {
    float begin[4 * MS_PANEL];
    float down[4 * MS_PANEL];
} factors;

MS_TARGET_BF16 static void read_factors(factors *f, const tile *t, int32_t panels) {
    for (int n = 0; n < panels; n++) {
        const uint8_t *head = t->heads.start + panel_place(n, panels, t->heads.panel_bytes, t->heads.group_bytes);
        const int64_t lane = panel_place(n, panels, t->y_panel, t->y_group);
        float *begin = f->begin + n * MS_PANEL;
        ms_narrow_factors(head, begin, f->down + n * MS_PANEL);
        _mm512_storeu_ps(begin, t->bias ? _mm512_mul_ps(_mm512_loadu_ps(t->bias + lane), _mm512_loadu_ps(begin)) : _mm512_setzero_ps());
    }
}

/* All activations times a few panels, from a row of the weights on; the weights come from memory once. */
MS_TARGET_BF16 static void multiply_panels(
    const ms_cpu_product *product, tile t, int32_t row, int32_t panels, const tile_function *functions, place start, place next) {
    const int narrow = product->head_lines != 0;
    const int64_t all_pairs = product->columns / 2;
    const int64_t pair_bytes = narrow ? MS_NARROW_PAIR_BYTES : 4 * (int64_t)t.height;
    const int32_t blocks = (product->count + MS_BLOCK - 1) / MS_BLOCK;
    const int32_t fetching = blocks < FETCHING_BLOCKS ? blocks : FETCHING_BLOCKS;
    const int64_t most_pairs = product->count < 3 ? all_pairs : MOST_PAIRS;

    /* Of several blocks the first decodes narrow panels for the others. */
    const int keeps = narrow && blocks > 1;
    _Alignas(64) uint8_t decoded[2 * DECODED_BYTES];
    factors f;
    t.decoded = decoded;
    t.bias = product->bias ? product->bias + row : 0;
    if (narrow) {
        t.heads = start;
        t.begin = f.begin;
        read_factors(&f, &t, panels);
        start.start += 64 * (int64_t)product->head_lines;
    }

    for (int64_t pair = 0; pair < all_pairs; pair += most_pairs) {
        const int last = all_pairs - pair <= most_pairs;
        place ahead = last ? next : start;
        ahead.start += last ? 0 : (pair + most_pairs) * pair_bytes;
        t.pairs = last ? all_pairs - pair : most_pairs;
        t.resume = pair > 0;
        t.down = narrow && last ? f.down : 0;
        t.weight = start;
        t.weight.start += pair * pair_bytes;
        int64_t covered = 0;
        for (int32_t block = 0; block < blocks; block++) {
            const int32_t first = (int32_t)((int64_t)product->count * block / blocks);
            const int32_t rows = (int32_t)((int64_t)product->count * (block + 1) / blocks) - first;
            const int32_t turn = block - (blocks - fetching);
            t.ahead = turn < 0 ? t.weight : ahead;
            t.ahead_step = turn < 0 ? 0 : 64 / fetching;
            t.ahead.start += covered;
            covered += t.ahead_step * (narrow && (block == 0 || !keeps) ? t.pairs / 4 * 3 : t.pairs);
            t.x = product->arranged + all_pairs * first + pair * rows;
            t.y = product->y + first * product->y_stride + row;
            t.gated = product->gated && last ? product->gated + first * product->gated_stride + row : 0;
            if (keeps && block > 0) {
                t.weight = (place){decoded, DECODED_BYTES, 0};
            }

            const tile_function *const several = block == 0 ? KEEPING_TILES[panels - 1] : DECODED_TILES[panels - 1];
            (keeps ? several[rows - LEAST_OF_SEVERAL] : functions[rows - 1])(&t);
        }
    }
}

/* Panels of which tiles of so many activations take some at a time; gated ones are followed by their partners. */
static int32_t own_panels(const ms_cpu_product *product) {
    return (product->gated ? product->rows / 2 : product->rows) / MS_PANEL;
}

/* Where the panels lie that are read together from this one on, and how many of the product's own they are. */
static place place_of(const ms_cpu_product *product, int32_t panel, int32_t end, int32_t *step) {
    const int64_t panel_bytes = ms_cpu_bf16_panel_bytes(product->columns, product->head_lines);
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
        const tile_function *functions = panel >= end ? PART : tiles_of(panels, product->head_lines != 0);
        t.height = panel >= end ? product->rows - panel * MS_PANEL : MS_PANEL;
        t.lanes = (__mmask16)((1u << t.height) - 1u);
        t.y_panel = product->gated && step == 1 ? product->rows / 2 : MS_PANEL;
        t.y_group = product->gated ? product->rows / 2 : 2 * MS_PANEL;
        const place after = panel + step < last ? place_of(product, panel + step, end, &ignored)
                            : next              ? place_of(next, next_panel, own_panels(next), &ignored)
                                                : start;
        multiply_panels(product, t, panel * MS_PANEL, panels, functions, start, after);
        panel += step;
    }
}

void ms_cpu_bf16_fetch(const ms_cpu_product *product, int32_t panel, int32_t first_pair, int32_t pairs) {
    int32_t step;
    place from = place_of(product, panel, own_panels(product), &step);
    const int32_t panels = product->gated ? 2 * step : step;
    const int64_t pair_bytes = product->head_lines == 0 ? 64 : MS_NARROW_PAIR_BYTES;
    const int64_t end = (first_pair + pairs) * pair_bytes;
    int64_t at = first_pair * pair_bytes / 64 * 64;
    from.start += at;
    for (; at < end; at += 64, from.start += 64) {
        for (int n = 0; n < panels; n++) {
            _mm_prefetch((const char *)(from.start + panel_place(n, panels, from.panel_bytes, from.group_bytes)), _MM_HINT_T1);
        }
    }
}
