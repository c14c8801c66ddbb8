// Tiles of the paged cache in shared memory: rows of one token, padded by 16 bytes so that the
// eight rows of an ldmatrix fall into different banks (a row is an odd number of 16 B units).
#pragma once
#include "fp8.cuh"
#include "params.h"

namespace ms {

template <int D, bool Fp8>
struct KvRow {
  static constexpr int kBytes = D * (Fp8 ? 1 : 2);
  static constexpr int kPitch = kv_pitch(D, Fp8);
  static constexpr int kVecs = kBytes / 16;
};

/// Where token `position` of the row with that block table lives, in bytes from the layer's keys.
/// 64-bit: a pool exceeds 2^31 elements.
MS_DEVICE i64 kv_offset(const KvView& kv, const int* table, int position, int head, int row_bytes) {
  i64 block = table[position / kv.block_size];
  return block * kv.block_bytes + head * kv.head_bytes +
         (i64)(position % kv.block_size) * row_bytes;
}

/// Starts the copy of keys and values [first, first + Rows) into k_tile and v_tile. Tokens outside
/// [low, high) become zeros and are not read: their memory may hold NaN, and 0 * NaN is NaN.
template <int D, bool Fp8, int Rows, int Threads>
MS_DEVICE void load_kv_tile(const KvView& kv, const int* table, int head, int first, int low,
                            int high, u8* k_tile, u8* v_tile) {
  using Row = KvRow<D, Fp8>;
  for (int i = threadIdx.x; i < Rows * Row::kVecs; i += Threads) {
    int token = i / Row::kVecs, vec = i % Row::kVecs;
    int position = first + token;
    bool valid = position >= low && position < high;
    i64 offset = valid ? kv_offset(kv, table, position, head, Row::kBytes) + vec * 16 : 0;
    int to = token * Row::kPitch + vec * 16;
    cp_async16(k_tile + to, kv.k + offset, valid);
    cp_async16(v_tile + to, kv.v + offset, valid);
  }
}

/// The address that lane `lane` gives to ldmatrix_x4 for keys: r[0], r[1] become the B fragment of
/// tokens 0-7 over 16 elements, r[2], r[3] that of tokens 8-15.
MS_DEVICE const u8* key_fragment(const u8* tile, int pitch, int token, int element, int lane) {
  int row = token + (lane / 16) * 8 + lane % 8;
  return tile + row * pitch + (element + (lane / 8 % 2) * 8) * 2;
}

/// The same for values (transposed): r[0], r[1] become the B fragment of 16 tokens over elements
/// 0-7, r[2], r[3] over elements 8-15.
MS_DEVICE const u8* value_fragment(const u8* tile, int pitch, int token, int element, int lane) {
  int row = token + (lane / 8 % 2) * 8 + lane % 8;
  return tile + row * pitch + (element + (lane / 16) * 8) * 2;
}

/// Softcap, then units of log2: exp2(score_log2(q.k)) is proportional to the softmax weight.
MS_DEVICE float score_log2(float dot, float scale, float softcap) {
  float s = dot * scale;
  if (softcap > 0.f) s = softcap * tanhf(s / softcap);
  return s * kLog2e;
}

/// Online softmax of one row held by the four lanes of a quad.
struct RowSoftmax {
  float top, sum;  // sum is this lane's part until quad_sum

  MS_DEVICE void reset() {
    top = kLowest;
    sum = 0.f;
  }
  /// Takes the quad-wide maximum of new scores; returns the factor for what was accumulated.
  MS_DEVICE float raise(float candidate) {
    candidate = fmaxf(candidate, shfl_xor(candidate, 1));
    candidate = fmaxf(candidate, shfl_xor(candidate, 2));
    float next = fmaxf(top, candidate);
    float factor = exp2_fast(top - next);
    top = next;
    sum *= factor;
    return factor;
  }
  MS_DEVICE float quad_sum() const {
    float s = sum + shfl_xor(sum, 1);
    return s + shfl_xor(s, 2);
  }
};

/// The score of a key that must not be seen: below kLowest, so that its weight is exactly 0.
constexpr float kMasked = -3e38f;

}  // namespace ms
