/* Making narrow panels of plain rows, and reading them back. */
#include "bf16_narrow.h"
#include "modelserve_cpu.h"

/* Last exponents of windows: beyond, factors of sums could overflow. */
#define LEAST_TOP 95
#define MOST_TOP 159

/* The largest magnitude of a row's bits, and all bits that any has. */
typedef struct extent {
    uint32_t magnitude;
    uint32_t any;
} extent;

MS_TARGET_BF16 static extent measure_row(const uint16_t *row, int32_t columns) {
    __m512i most = _mm512_setzero_si512(), any = _mm512_setzero_si512();
    for (int32_t column = 0; column < columns; column += 32) {
        const __mmask32 within = columns - column < 32 ? (1u << (columns - column)) - 1u : 0xFFFFFFFFu;
        const __m512i bits = _mm512_maskz_loadu_epi16(within, row + column);
        most = _mm512_max_epu16(most, _mm512_and_si512(bits, _mm512_set1_epi16(0x7FFF)));
        any = _mm512_or_si512(any, bits);
    }

    const __m512i upper = _mm512_srli_epi32(most, 16), lower = _mm512_and_si512(most, _mm512_set1_epi32(0xFFFF));
    return (extent){_mm512_reduce_max_epu32(_mm512_max_epu32(upper, lower)), (uint32_t)_mm512_reduce_or_epi32(any)};
}

/* Weights whose exponent, less the window's first, is none of its sixteen. */
MS_INLINE MS_TARGET_BF16 __mmask32 outside(__m512i bits, __m512i first) {
    const __m512i exponent = _mm512_and_si512(_mm512_srli_epi16(bits, 7), _mm512_set1_epi16(0xFF));
    return _mm512_cmpgt_epu16_mask(_mm512_sub_epi16(exponent, first), _mm512_set1_epi16(15));
}

MS_TARGET_BF16 static int32_t count_outside(const uint16_t *row, int32_t columns, int32_t top) {
    const __m512i first = _mm512_set1_epi16((short)(top - 15));
    int32_t count = 0;
    for (int32_t column = 0; column < columns; column += 32) {
        const __mmask32 within = columns - column < 32 ? (1u << (columns - column)) - 1u : 0xFFFFFFFFu;
        count += __builtin_popcount(outside(_mm512_maskz_loadu_epi16(within, row + column), first) & within);
    }

    return count;
}

/* The last exponent of the window that leaves the fewest weights outside, and how many. */
static int32_t best_window(const uint16_t *row, int32_t columns, int32_t *exceptions) {
    int32_t counts[256] = {0}, within = 0, most = -1, best = MOST_TOP;
    for (int32_t column = 0; column < columns; column++) {
        counts[row[column] >> 7 & 0xFF]++;
    }

    for (int32_t top = LEAST_TOP - 15; top <= MOST_TOP; top++) {
        within += counts[top] - (top - 16 >= LEAST_TOP - 15 ? counts[top - 16] : 0);
        if (top >= LEAST_TOP && within >= most) {
            most = within;
            best = top;
        }
    }

    *exceptions = columns - most;
    return best;
}

/* The window of a row by its last exponent, 0 for a row of zeros; -1 where there is none: a weight is no finite number, or too large. */
static int32_t choose_window(const uint16_t *row, int32_t columns, int32_t *exceptions) {
    const extent e = measure_row(row, columns);
    *exceptions = 0;
    if (e.any == 0) {
        return 0;
    }

    if (e.magnitude >= 0x7F80) {
        return -1;
    }

    const int32_t largest = (int32_t)(e.magnitude >> 7);
    const int32_t top = largest < LEAST_TOP ? LEAST_TOP : largest > MOST_TOP ? MOST_TOP : largest;
    *exceptions = count_outside(row, columns, top);

    /* Seldom: a few weights lie far above all others. Multiplied by their row's factor, they must be numbers still. */
    const int32_t best = *exceptions > columns / 256 ? best_window(row, columns, exceptions) : top;
    return largest + 127 - best > 254 ? -1 : best;
}

void ms_cpu_bf16_survey(
    const uint16_t *weight, int32_t rows, int32_t columns, int32_t first, int32_t last, ms_cpu_survey *survey) {
    *survey = (ms_cpu_survey){0, 0, 0};
    for (int32_t panel = first; panel < last; panel++) {
        int32_t sum = 0;
        for (int32_t row = panel * MS_PANEL; row < (panel + 1) * MS_PANEL && row < rows; row++) {
            int32_t exceptions;
            const int32_t top = choose_window(weight + (int64_t)row * columns, columns, &exceptions);
            survey->unfit += top < 0;
            survey->zero_rows += top == 0;
            sum += exceptions;
        }

        survey->most = sum > survey->most ? sum : survey->most;
    }
}

int32_t ms_cpu_bf16_head_lines(int32_t exceptions) {
    return (MS_NARROW_LIST_AT + exceptions * MS_NARROW_ITEM_BYTES + 63) / 64;
}

/* Codes a pair of columns of every row: 12 bits in the places where they are used. Notes its exceptions. */
MS_INLINE MS_TARGET_BF16 __m512i code_pair(__m512i bits, __m512i first, int64_t pair, uint8_t *head) {
    const __mmask32 exceptions = outside(bits, first);
    const __m512i exponent = _mm512_and_si512(_mm512_srli_epi16(bits, 7), _mm512_set1_epi16(0xFF));
    const __m512i code = _mm512_slli_epi16(_mm512_sub_epi16(exponent, first), 7);
    const __m512i coded = _mm512_or_si512(_mm512_and_si512(bits, _mm512_set1_epi16((short)0x807F)), code);
    if (__builtin_expect(exceptions != 0, 0)) {
        uint16_t halves[32];
        _mm512_storeu_si512(halves, bits);
        for (uint32_t left = exceptions; left != 0; left &= left - 1) {
            const int32_t place = __builtin_ctz(left);
            ms_narrow_add(head, (int32_t)(2 * pair + place % 2), place / 2, halves[place]);
        }
    }

    return _mm512_maskz_mov_epi16(~exceptions, coded);
}

MS_INLINE MS_TARGET_BF16 __m512i some_bits(__m512i bits, uint32_t which) {
    return _mm512_and_si512(bits, _mm512_set1_epi32((int)which));
}

/* Writes four coded pairs as three lines. */
MS_INLINE MS_TARGET_BF16 void write_quad(const __m512i coded[4], uint8_t *lines) {
    for (int i = 0; i < 3; i++) {
        _mm512_storeu_si512(lines + 64 * i, coded[i]);
    }

    /* What these lines tell of the fourth without their free bits is what those must correct. */
    const __m512i wanted = _mm512_xor_si512(coded[3], ms_narrow_shared(lines));
    const __m512i first = _mm512_or_si512(
        _mm512_slli_epi32(some_bits(wanted, 0x00078007), 12), _mm512_srli_epi32(some_bits(wanted, 0x80000000), 20));
    _mm512_storeu_si512(lines, _mm512_or_si512(coded[0], first));
    _mm512_storeu_si512(lines + 64, _mm512_or_si512(coded[1], _mm512_slli_epi32(some_bits(wanted, 0x00780078), 8)));
    _mm512_storeu_si512(lines + 128, _mm512_or_si512(coded[2], _mm512_slli_epi32(some_bits(wanted, 0x07800780), 4)));
}

MS_TARGET_BF16 static void narrow_panel(const uint16_t *source, uint8_t *target, int32_t columns, int32_t head_lines) {
    const int64_t pairs = columns / 2;
    uint16_t firsts[2 * MS_PANEL];
    uint8_t *lines = target + 64 * (int64_t)head_lines;
    memset(target, 0, 64 * (size_t)head_lines);
    for (int32_t row = 0; row < MS_PANEL; row++) {
        int32_t exceptions;
        const int32_t top = choose_window(source + (int64_t)row * columns, columns, &exceptions);
        target[row] = (uint8_t)top;
        firsts[2 * row] = firsts[2 * row + 1] = (uint16_t)(top == 0 ? 0 : top - 15);
    }

    const __m512i first = _mm512_loadu_si512(firsts);
    for (int64_t pair = 0; pair < pairs; pair += 16) {
        const int32_t width = pairs - pair < 16 ? (int32_t)(pairs - pair) : 16;
        const __mmask16 within = (__mmask16)((1u << width) - 1u);
        __m512i r[16];
        for (int i = 0; i < 16; i++) {
            r[i] = _mm512_maskz_loadu_epi32(within, (const uint32_t *)source + i * pairs + pair);
        }

        ms_transpose16(r);
        for (int i = 0; i < width; i += 4, lines += MS_NARROW_QUAD_BYTES) {
            const __m512i coded[4] = {
                code_pair(r[i], first, pair + i, target),
                code_pair(r[i + 1], first, pair + i + 1, target),
                code_pair(r[i + 2], first, pair + i + 2, target),
                code_pair(r[i + 3], first, pair + i + 3, target),
            };
            write_quad(coded, lines);
        }
    }
}

void ms_cpu_bf16_narrow(
    uint16_t *weight, int32_t columns, int32_t first, int32_t last, int32_t head_lines, uint16_t *scratch) {
    const int64_t plain = (int64_t)MS_PANEL * columns;
    uint8_t *target = (uint8_t *)(weight + first * plain);
    for (int32_t panel = first; panel < last; panel++) {
        memcpy(scratch, weight + panel * plain, (size_t)plain * sizeof(uint16_t));
        narrow_panel(scratch, target, columns, head_lines);
        target += ms_cpu_bf16_panel_bytes(columns, head_lines);
    }
}

int64_t ms_cpu_bf16_panel_bytes(int32_t columns, int32_t head_lines) {
    return head_lines == 0 ? 2 * (int64_t)MS_PANEL * columns : 64 * (int64_t)head_lines + columns / 8 * (int64_t)MS_NARROW_QUAD_BYTES;
}

static uint32_t word_at(const uint8_t *place) {
    uint32_t word;
    memcpy(&word, place, sizeof word);
    return word;
}

/* One lane of the three lines of a quad of pairs, as the four pairs. */
static void decode_lane(const uint8_t *lane, uint32_t pairs[4]) {
    for (int i = 0; i < 3; i++) {
        pairs[i] = word_at(lane + 64 * i);
    }

    pairs[3] = (word_at(lane + 1) ^ pairs[2]) >> 4 ^ pairs[0] << 20 ^ word_at(lane + 65);
    for (int i = 0; i < 4; i++) {
        pairs[i] = (pairs[i] & (uint32_t)MS_NARROW_KEPT) | MS_NARROW_FIXED;
    }
}

MS_TARGET_BF16 void ms_cpu_bf16_narrow_row(
    const uint16_t *weight, int32_t columns, int32_t head_lines, int32_t row, float *output) {
    const uint8_t *head = (const uint8_t *)weight + row / MS_PANEL * ms_cpu_bf16_panel_bytes(columns, head_lines);
    const int32_t lane = row % MS_PANEL;
    float up[MS_PANEL], down[MS_PANEL];
    ms_narrow_factors(head, up, down);
    const uint8_t *source = head + 64 * (int64_t)head_lines + 4 * lane;
    for (int32_t column = 0; column < columns; column += 8, source += MS_NARROW_QUAD_BYTES) {
        uint32_t pairs[4];
        decode_lane(source, pairs);
        for (int i = 0; i < 4; i++) {
            const uint32_t bits[2] = {pairs[i] << 16, pairs[i] & 0xFFFF0000u};
            float values[2];
            memcpy(values, bits, sizeof values);
            output[column + 2 * i] = values[0] * down[lane];
            output[column + 2 * i + 1] = values[1] * down[lane];
        }
    }

    for (int32_t number = 0; number < ms_narrow_count(head); number++) {
        const ms_narrow_item item = ms_narrow_get(head, number);
        if (item.lane == lane) {
            const uint32_t bits = (uint32_t)item.half << 16;
            memcpy(output + item.column, &bits, sizeof bits);
        }
    }
}
