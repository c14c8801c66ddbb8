/*
 * Narrow panels: bfloat16 weights in 12 bits, without loss; not part of the interface.
 *
 * Weights of one row have few exponents. A weight keeps its sign, its seven bits of mantissa, and of its exponent the place within a
 * window of 16, which ends at the row's largest one or near it. Decoded, every window is 112 to 127: a row's weights come out
 * multiplied by a power of two, which changes no bit of any sum but its exponent; sums start and end with the factors for it.
 *
 * A panel starts with its head, of as many lines of 64 bytes as the matrix needs, and then has three lines for every four pairs of
 * columns. A lane of the three holds the first three pairs where they are used, and in the eight bits of each that are the same in
 * every decoded weight, the fourth. Those bits are chosen so that three shifted lines, exclusively ored, give the fourth.
 *
 * Weights outside their window are exceptions: coded as the least weight of all, and listed in the head by place and value. Sums
 * meet them first, and what the code will add too much.
 */
#ifndef MODELSERVE_CPU_BF16_NARROW_H
#define MODELSERVE_CPU_BF16_NARROW_H

#include <stdint.h>
#include <string.h>

#include "avx512.h"

/* Bytes of four pairs of columns of a panel, and so of one pair on average. */
#define MS_NARROW_QUAD_BYTES 192
#define MS_NARROW_PAIR_BYTES 48

/* The bits of two decoded weights that are stored, and those that all have: of the exponent's upper four, the lower three. */
#define MS_NARROW_KEPT ((int)0x87FF87FFu)
#define MS_NARROW_FIXED 0x38003800

/* The last exponent of the window when decoded, and the negative of the weight that stands for an exception: -2^-15. */
#define MS_NARROW_LAST 127
#define MS_NARROW_LESS 0xB800u

/* A head: the last exponent of each row's window, 0 for a row of zeros; the number of exceptions; they themselves, in the columns' order. */
#define MS_NARROW_COUNT_AT 16
#define MS_NARROW_LIST_AT 18
#define MS_NARROW_ITEM_BYTES 6

/* A weight that its panel's code cannot say. */
typedef struct ms_narrow_item {
    int32_t column;
    int32_t lane;
    uint16_t half;
} ms_narrow_item;

MS_INLINE int32_t ms_narrow_count(const uint8_t *head) {
    uint16_t count;
    memcpy(&count, head + MS_NARROW_COUNT_AT, sizeof count);
    return count;
}

MS_INLINE ms_narrow_item ms_narrow_get(const uint8_t *head, int32_t number) {
    const uint8_t *from = head + MS_NARROW_LIST_AT + number * MS_NARROW_ITEM_BYTES;
    uint32_t place;
    uint16_t half;
    memcpy(&place, from, sizeof place);
    memcpy(&half, from + sizeof place, sizeof half);
    return (ms_narrow_item){(int32_t)(place >> 4), (int32_t)(place & 15), half};
}

MS_INLINE void ms_narrow_add(uint8_t *head, int32_t column, int32_t lane, uint16_t half) {
    const uint16_t count = (uint16_t)ms_narrow_count(head);
    uint8_t *to = head + MS_NARROW_LIST_AT + count * MS_NARROW_ITEM_BYTES;
    const uint32_t place = (uint32_t)column << 4 | (uint32_t)lane;
    memcpy(to, &place, sizeof place);
    memcpy(to + sizeof place, &half, sizeof half);
    const uint16_t more = (uint16_t)(count + 1);
    memcpy(head + MS_NARROW_COUNT_AT, &more, sizeof more);
}

/* An exception times the factor of its row; where that is too small for a normal number, zero, as which dot products take it. */
MS_INLINE uint16_t ms_narrow_scaled(uint16_t half, int32_t top) {
    const int32_t exponent = half >> 7 & 0xFF, scaled = exponent + MS_NARROW_LAST - top;
    return exponent == 0 || scaled <= 0 ? half & 0x8000 : (uint16_t)((half & 0x807F) | scaled << 7);
}

/* What the decoded weights of each row of a panel are multiples of the true ones by, and what takes that back; both 0 for a row of zeros. */
MS_INLINE MS_TARGET_BF16 void ms_narrow_factors(const uint8_t *head, float *up, float *down) {
    const __m512i top = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)head));
    const __mmask16 some = _mm512_test_epi32_mask(top, top);
    _mm512_storeu_si512(up, _mm512_maskz_slli_epi32(some, _mm512_sub_epi32(_mm512_set1_epi32(127 + MS_NARROW_LAST), top), 23));
    _mm512_storeu_si512(down, _mm512_maskz_slli_epi32(some, _mm512_add_epi32(top, _mm512_set1_epi32(127 - MS_NARROW_LAST)), 23));
}

/* The pairs of the first three lines, and the fourth pair of three lines. */
MS_INLINE MS_TARGET_BF16 __m512i ms_narrow_own(const void *line, __m512i kept, __m512i fixed) {
    return _mm512_ternarylogic_epi32(_mm512_loadu_si512(line), kept, fixed, 0xEA);
}

/*
 * What three lines tell of the fourth pair, among other bits. A load from a byte further on is a shift by eight that costs nothing; on
 * Zen 4 shifts hide behind dot products too, where rotations and multiplications do not.
 */
MS_INLINE MS_TARGET_BF16 __m512i ms_narrow_shared(const uint8_t *lines) {
    const __m512i nibbles = _mm512_xor_si512(_mm512_loadu_si512(lines + 1), _mm512_loadu_si512(lines + 128));
    return _mm512_ternarylogic_epi32(
        _mm512_srli_epi32(nibbles, 4), _mm512_slli_epi32(_mm512_loadu_si512(lines), 20), _mm512_loadu_si512(lines + 65), 0x96);
}

MS_INLINE MS_TARGET_BF16 __m512i ms_narrow_fourth(const uint8_t *lines, __m512i kept, __m512i fixed) {
    return _mm512_ternarylogic_epi32(ms_narrow_shared(lines), kept, fixed, 0xEA);
}

#endif
